"""Targets of a set of `gen-defects --match-difficulty`, and what it reached, by the segmenters that selected it.

python benchmarks/studies/difficulty_targets.py SET
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defects.manifest import NAME as MANIFEST
from engine.files.atomic import from_json
from gan.filtering.report import REJECTED


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each class and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    folder = parser.parse_args(arguments).set
    rows = [from_json(line) for line in (folder / MANIFEST).read_bytes().splitlines()]
    rejected = len((folder / REJECTED).read_bytes().splitlines())
    passed = sum(row["filter"].get("passed", True) for row in rows)
    print(f"{rejected} of {rejected + passed} candidates rejected")
    classes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        classes[row["label"]].append(row["filter"])
    classes["all"] = [row["filter"] for row in rows]
    for label, own in classes.items():
        target, reached, near = (np.mean([one[key] for one in own]) for key in ("aim", "label_iou", "passed"))
        print(
            f"{label:10} {len(own):4} images   target {target:.3f}   reached {reached:.3f}   "
            f"within the tolerance {near:.0%}"
        )


if __name__ == "__main__":
    main()
