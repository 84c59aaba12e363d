"""Finding image files under a folder, with what is wrong about their names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from defects.sample import Sample
from engine.errors import Issue

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


@dataclass
class Found:
    """What a reader gathers."""

    samples: list[Sample] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def issue(self, path: Path | str, what: str, remedy: str) -> None:
        """Note what makes the folder unusable until it is mended."""
        self.issues.append(Issue(str(path), what, remedy))

    def warn(self, path: Path | str, what: str, remedy: str) -> None:
        """Note what a person should know, but the work can go on with."""
        self.issues.append(Issue(str(path), what, remedy, warning=True))


def stays_inside(path: Path, root: Path) -> bool:
    """Whether a path, with its symlinks followed, is within the root."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, by name; none when it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def list_images(
    folder: Path, root: Path, found: Found, *, extensions: Iterable[str] = EXTENSIONS, deep: bool = False
) -> list[Path]:
    """The image files of a folder, sorted; faults for links out of the root and names that collide.

    Args:
        folder: Where to look; nothing is found where it does not exist.
        root: What a symlink may not leave.
        found: Takes the faults.
        extensions: Lower-case endings to take.
        deep: Whether to look into folders within.
    """
    if not folder.is_dir():
        return []
    kept: list[Path] = []
    lower: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(_walk(folder, deep)):
        if path.suffix.lower() not in extensions:
            continue
        if not stays_inside(path, root):
            found.issue(path, "a symlink that leaves the folder", "copy the file itself into the folder")
            continue
        kept.append(path)
        lower[str(path.relative_to(folder).with_suffix("")).casefold()].append(path)
    for same in lower.values():
        if len(same) > 1:
            names = ", ".join(path.name for path in same[1:])
            if len({path.stem for path in same}) == 1:
                found.issue(same[0], f"has the same name as {names}", "rename one of them or remove the copy")
            else:
                found.issue(
                    same[0],
                    f"differs from {names} only in upper and lower case",
                    "rename one of them; Windows and macOS cannot keep both",
                )
    return kept


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by name without extension; of several the first."""
    stems: dict[str, Path] = {}
    for path in paths:
        stems.setdefault(path.stem, path)
    return stems


def _walk(folder: Path, deep: bool) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_file() or (entry.is_symlink() and not entry.is_dir()):
            yield Path(entry.path)
        elif deep and entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), deep)
