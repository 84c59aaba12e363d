"""What a set of `gen-defects --match-difficulty` aimed at and reached, by the segmenters that chose it.

python benchmarks/studies/difficulty_targets.py SET
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from defects.manifest import NAME as MANIFEST
from engine.files.atomic import from_json
from gan.filtering.report import REJECTED


def main(folder: Path) -> None:
    """Prints a line for each kind and one for all."""
    rows = [from_json(line) for line in (folder / MANIFEST).read_bytes().splitlines()]
    rejected = len((folder / REJECTED).read_bytes().splitlines())
    passed = sum(row["filter"].get("passed", True) for row in rows)
    print(f"{rejected} of {rejected + passed} candidates rejected")
    kinds = defaultdict(list)
    for row in rows:
        kinds[row["label"]].append(row["filter"])
    kinds["all"] = [row["filter"] for row in rows]
    for kind, own in kinds.items():
        aim, reached, near = (np.mean([one[key] for one in own]) for key in ("aim", "label_iou", "passed"))
        print(
            f"{kind:10} {len(own):4} images   aim {aim:.3f}   reached {reached:.3f}   within the tolerance {near:.0%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
