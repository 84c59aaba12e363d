"""`make golden REASON="why"`: renews what the golden runs are compared with, and says so in the changelog."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tests.golden.fingerprint import GOLDEN, Left, Stored, hashes, machine, portable, read, sheet
from tests.golden.runs import ROOT, RUNS, perform, write_inputs


def renew(lefts: Mapping[str, Left], reason: str, key: str, folder: Path, changelog: Path) -> str:
    """Keeps what the runs left, and returns the line that the changelog gets; empty where nothing changed.

    A run has changed where its hashes for this machine are others than before, or where it is beyond the tolerances.
    The hashes that other machines have for it are then dropped: they cannot be right any more.
    """
    before = Stored.load(folder)
    changed = [
        run
        for run, left in lefts.items()
        if before.differences(run, left, key) or before.differences(run, left, "another machine")
    ]
    others = {
        other: {run: found for run, found in runs.items() if run in lefts and run not in changed}
        for other, runs in before.hashes.items()
        if other != key
    }
    after = {other: runs for other, runs in others.items() if runs} | {key: {n: hashes(x) for n, x in lefts.items()}}
    expected = {run: portable(left) if run in changed else before.expected[run] for run, left in lefts.items()}
    if after == before.hashes and expected == before.expected:
        return ""
    line = f"- Golden runs: {', '.join(changed)}: {reason}" if changed else f"- Golden runs, one more machine: {reason}"
    text = _with_line(changelog.read_text(encoding="utf-8"), line)
    (folder / "images").mkdir(exist_ok=True)
    for run in before.sheets.keys() - lefts.keys():
        (folder / "images" / f"{run}.png").unlink()
    for run in changed:
        Image.fromarray(sheet(lefts[run])).save(folder / "images" / f"{run}.png", optimize=True)
    (folder / "hashes.json").write_text(_lines(after, 3) + "\n", encoding="utf-8")
    (folder / "expected.json").write_text(_lines(expected, 3) + "\n", encoding="utf-8")
    changelog.write_text(text, encoding="utf-8")
    return line


def _lines(value: Any, depth: int, pad: str = "") -> str:
    """JSON with a line for each entry down to a depth: a change of one file is then a change of one line."""
    if not depth or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = (f"{pad} {json.dumps(name)}: {_lines(one, depth - 1, pad + ' ')}" for name, one in value.items())
    return "{\n" + ",\n".join(inner) + f"\n{pad}}}"


def _with_line(text: str, line: str) -> str:
    """The changelog with one more line at the end of what has changed in its first part, which is unreleased."""
    lines = text.splitlines()
    heads = [index for index, one in enumerate(lines) if one.startswith("## ")] + [len(lines)]
    if "unreleased" not in "".join(lines[heads[0] : heads[0] + 1]).lower():
        raise SystemExit("error: CHANGELOG.md: its first part is not unreleased; begin one")
    end = _filled(lines, heads[1])
    if "### Changed" not in lines[heads[0] : end]:
        lines[end:end] = ["", "### Changed"]
        end += 2
    begin = lines.index("### Changed", heads[0]) + 1
    following = [index for index in range(begin, end) if lines[index].startswith("### ")]
    lines.insert(_filled(lines, min([*following, end])), line)
    return "\n".join(lines) + "\n"


def _filled(lines: list[str], end: int) -> int:
    """`end`, or where the empty lines before it begin."""
    while not lines[end - 1].strip():
        end -= 1
    return end


def main() -> None:
    """Entry point of `python -m tests.golden.renew`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reason", required=True, help="why what the runs leave has changed; for the changelog")
    reason = " ".join(parser.parse_args().reason.split())
    if not reason:
        raise SystemExit('error: no reason given; run make golden REASON="why it changed"')
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        write_inputs(root / "inputs")
        lefts = {run: read(perform(run, root / "inputs", root / run), root) for run in RUNS}
    line = renew(lefts, reason, machine(), GOLDEN, ROOT / "CHANGELOG.md")
    sys.stdout.write(f"CHANGELOG.md: {line}\n" if line else "nothing has changed\n")


if __name__ == "__main__":
    main()
