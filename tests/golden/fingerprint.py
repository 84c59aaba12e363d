"""What a run left: as SHA-256, and as what another machine can be compared with.

Kernels round differently from one sort of processor and one version of a library to the next. So the hashes are stored
by machine, and where there are none for this one, pixels are compared within one gray level, documents and tensors
within tolerances.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

GOLDEN = Path(__file__).parent
VARYING = frozenset({"torch", "python", "platform", "packages", "commit", "command", "seconds", "config", "network"})
"""Keys of documents that hold the machine, the versions, the clock, or settings under names that may be replaced."""
BY_HASH = ("preview.png", "leak.json")
"""What other machines only need to have: a sheet that repeats images under captions in a font, and which held-out
image an image is least unlike where it is like none of them, a choice among near-ties."""
FEW = 64
"""A file of more tensors than these has one hash; where it differs, the tolerances say which tensor it was."""
GRAYS, SHARE, LEAST, LEAST_WEIGHT = 1, 1e-3, 1e-4, 1e-6
"""What may differ between machines: in a pixel; in a number, relative and absolute; in a weight, absolute."""

_HEX = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Left:
    """What one run left, by file name: pixels, documents without what varies, tensors."""

    images: dict[str, np.ndarray]
    documents: dict[str, Any]
    tensors: dict[str, dict[str, np.ndarray]]


def read(folder: Path, root: Path) -> Left:
    """Reads all files below a folder; paths below `root` are written as if they began there."""
    left = Left({}, {}, {})
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix in (".png", ".jpg", ".webp"):
            with Image.open(path) as image:
                left.images[name] = np.asarray(image)
        elif path.suffix == ".safetensors":
            left.tensors[name] = load_file(path)
        elif path.suffix in (".json", ".jsonl", ".txt"):
            text = path.read_text(encoding="utf-8").replace(f"{root}/", "")
            left.documents[name] = _without_varying(_parsed(text, path.suffix))
    return left


def by_hash(name: str) -> bool:
    """Whether other machines compare only that a file is there."""
    return name.endswith(BY_HASH)


def _parsed(text: str, suffix: str) -> Any:
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if suffix == ".txt":
        return [[float(word) for word in line.split()] for line in text.splitlines()]
    return json.loads(text)


def _without_varying(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_varying(inner) for key, inner in value.items() if key not in VARYING}
    return [_without_varying(inner) for inner in value] if isinstance(value, list) else value


def machine() -> str:
    """The type of the processor and the versions that decide how results are rounded."""
    try:
        cpu = dict(re.findall(r"^([^\t:]+?)\s*: *(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    except OSError:
        cpu = {}
    names = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
    flags = {"avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16"}
    parts = [platform.machine(), *(cpu[name] for name in names if name in cpu)]
    parts += [torch.backends.cpu.get_cpu_capability()]
    parts += sorted(flags & set((cpu.get("flags") or cpu.get("Features") or "").split()))
    versions = [f"python {'.'.join(platform.python_version_tuple()[:2])}", " ".join(platform.libc_ver())]
    versions += [f"torch {torch.__version__}", f"opencv {cv2.__version__}"]
    packages = ("torchvision", "numpy", "scikit-image", "scikit-learn", "scipy", "albumentations", "pillow")
    return "; ".join([" ".join(parts), *versions, *(f"{name} {version(name)}" for name in packages)])


def hashes(left: Left) -> dict[str, str]:
    """SHA-256 by file name, and by tensor where a file has few; pixels with their shape and type."""
    found = {name: _sha256(pixels) for name, pixels in left.images.items()}
    for name, document in left.documents.items():
        found[name] = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    for name, tensors in left.tensors.items():
        each = {f"{name} {key}": _sha256(tensors[key]) for key in sorted(tensors)}
        found |= each if len(each) <= FEW else {name: hashlib.sha256(json.dumps(each).encode()).hexdigest()}
    return found


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.shape} {array.dtype}\n".encode() + array.tobytes()).hexdigest()


def portable(left: Left) -> dict[str, Any]:
    """Shapes of images, documents without hashes, and type, shape, mean and norm of tensors."""
    return {
        "images": {name: list(pixels.shape) for name, pixels in left.images.items()},
        "documents": {
            name: None if by_hash(name) else _without_hashes(left.documents[name]) for name in left.documents
        },
        "tensors": {
            name: {key: [str(one.dtype), list(one.shape), *_mean_and_norm(one)] for key, one in sorted(tensors.items())}
            for name, tensors in left.tensors.items()
        },
    }


def _without_hashes(value: Any, key: str = "") -> Any:
    """Hashes of files change with a gray level; that of a generator, which is given, does not."""
    if isinstance(value, Mapping):
        return {name: _without_hashes(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [_without_hashes(one) for one in value]
        alike = len(inner) > 3 and all(one == inner[0] for one in inner)
        return [inner[0], f"... {len(inner)} alike"] if alike else inner
    return _HEX.sub("SHA-256", value) if isinstance(value, str) and key != "checkpoint" else value


def _mean_and_norm(tensor: np.ndarray) -> tuple[float, float]:
    values = tensor.astype(np.float64)
    return float(f"{values.mean():.7g}"), float(f"{np.linalg.norm(values):.7g}")


def sheet(left: Left) -> np.ndarray:
    """(H, W, 3) uint8: the images one below the other."""
    shown = [_colored(pixels) for name, pixels in left.images.items() if not by_hash(name)]
    width = max(pixels.shape[1] for pixels in shown)
    return np.concatenate([np.pad(pixels, ((0, 0), (0, width - pixels.shape[1]), (0, 0))) for pixels in shown])


def _colored(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, 2)


@dataclass(frozen=True)
class Stored:
    """What `make golden` has stored: hashes by machine and run, what other machines are compared with, and sheets."""

    hashes: dict[str, dict[str, dict[str, str]]]
    expected: dict[str, dict[str, Any]]
    sheets: dict[str, np.ndarray]

    @classmethod
    def load(cls, folder: Path = GOLDEN) -> Stored:
        """Reads a folder; what is not there is empty."""
        texts = [folder / name for name in ("hashes.json", "expected.json")]
        contents = [json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {} for path in texts]
        sheets = {path.stem: np.asarray(Image.open(path)) for path in (folder / "images").glob("*.png")}
        return cls(contents[0], contents[1], sheets)

    def differences(self, run: str, left: Left, key: str) -> list[str]:
        """What is not as it was, a line each: by hash where this machine's are stored, else by what is near enough."""
        known = self.hashes.get(key, {}).get(run)
        near = [f"{run}: {line}" for line in self._beyond_tolerance(run, left)]
        if known is None:
            return near
        found = hashes(left)
        lines = [
            f"{run}: {name}: {'missing' if name not in found else 'new' if name not in known else 'other SHA-256'}"
            for name in sorted(known.keys() | found.keys())
            if known.get(name) != found.get(name)
        ]
        return lines and [*lines, *(near or [f"{run}: all of it within the tolerances of other machines"])]

    def _beyond_tolerance(self, run: str, left: Left) -> Iterator[str]:
        if run not in self.expected or run not in self.sheets:
            yield "nothing is stored; run make golden"
            return
        expected, found, top = self.expected[run], portable(left), 0
        for name, shape in expected["images"].items():
            pixels = left.images.get(name)
            if pixels is not None and (list(pixels.shape) != shape or pixels.dtype != np.uint8):
                yield f"{name}: {pixels.shape} {pixels.dtype}, expected {tuple(shape)} uint8"
            elif pixels is not None and not by_hash(name):
                stored = self.sheets[run][top : top + shape[0], : shape[1]]
                away = np.abs(_colored(pixels).astype(int) - stored).max(axis=2)
                if away.max() > GRAYS:
                    yield f"{name}: {(away > GRAYS).sum()} pixels differ by up to {away.max()} gray levels"
            top += 0 if by_hash(name) else shape[0]
        for part in ("images", "documents", "tensors"):
            for name in sorted(expected[part].keys() ^ found[part].keys()):
                yield f"{name}: {'missing' if name in expected[part] else 'new'}"
        for name in expected["documents"].keys() & found["documents"].keys():
            yield from _unlike(found["documents"][name], expected["documents"][name], name)
        for name in expected["tensors"].keys() & found["tensors"].keys():
            before, now = expected["tensors"][name], found["tensors"][name]
            for key in sorted(before.keys() | now.keys()):
                if key not in before or key not in now:
                    yield f"{name} {key}: {'missing' if key in before else 'new'}"
                elif not _like(now[key], before[key]):
                    yield f"{name} {key}: type, shape, mean, norm {now[key]}, expected {before[key]}"


def _unlike(found: Any, stored: Any, at: str) -> Iterator[str]:
    """Where two documents differ in more than the last digits of a real number."""
    if isinstance(found, dict) and isinstance(stored, dict) and found.keys() == stored.keys():
        for key in stored:
            yield from _unlike(found[key], stored[key], f"{at}: {key}")
    elif isinstance(found, list) and isinstance(stored, list) and len(found) == len(stored):
        for index, pair in enumerate(zip(found, stored, strict=True)):
            yield from _unlike(*pair, f"{at}: {index}")
    elif isinstance(found, float) and isinstance(stored, float):
        if not math.isclose(found, stored, rel_tol=SHARE, abs_tol=LEAST):
            yield f"{at}: {found}, expected {stored}"
    elif type(found) is not type(stored) or found != stored:
        yield f"{at}: {str(found)[:200]}, expected {str(stored)[:200]}"


def _like(found: list[Any], stored: list[Any]) -> bool:
    """Whether a tensor has the type and the shape, and mean and norm within a share of its own size."""
    root = math.sqrt(math.prod(stored[1]))
    allowed = SHARE * stored[3] + LEAST_WEIGHT * root
    near = abs(found[3] - stored[3]) <= allowed and abs(found[2] - stored[2]) <= allowed / root
    return near and found[:2] == stored[:2]
