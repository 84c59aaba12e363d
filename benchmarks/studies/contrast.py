"""How well the contrast of a real defect is predicted from others: from those of its class, or from similar ones.

    python benchmarks/studies/contrast.py RUN

Reads the training defects that the checkpoint describes; each is predicted from all others (leave one out): from any
of its class, and from those of like width on a like background.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from gan.blending.matching import TrainingDefects
from gan.checkpoint import load_generator

SAMPLES = 16


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints, for each class, the correlation of contrast and background, and the mean errors of both predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="the bundled Magna-Blend by default")
    generator = load_generator(parser.parse_args(arguments).run, blend=True)
    rows, background_stats = generator.table, generator.background_stats
    rng = np.random.default_rng(0)
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for i, row in enumerate(rows):
        label, real = str(row.get("kind", "defect")), cast(float, row["brightness"])
        others = TrainingDefects([*rows[:i], *rows[i + 1 :]], [*background_stats[:i], *background_stats[i + 1 :]])
        sample_row = others.row_sampler(background_stats[i])
        fixed = {"kind": label} if "kind" in row else {}
        similar = [
            cast(float, sample_row(fixed, float(share), cast(float, row["thickness"]))["brightness"])
            for share in rng.random(SAMPLES)
        ]
        same = [cast(float, other["brightness"]) for other in others.rows if other.get("kind", label) == label]
        anyone = rng.choice(same or [real], SAMPLES)
        errors[label].append((float(np.abs(anyone - real).mean()), float(np.abs(np.array(similar) - real).mean())))
        points[label].append((real, background_stats[i].level))
    errors["all"] = [pair for label in sorted(errors) for pair in errors[label]]
    print(f"{'class':10} {'count':>5}  {'r of background':>18}  {'any of its class':>16}  {'similar':>7}")
    for label, pairs in errors.items():
        by_class, by_background = np.mean(pairs, axis=0)
        correlation = f"{np.corrcoef(np.array(points[label]).T)[0, 1]:.2f}" if label in points else ""
        print(f"{label:10} {len(pairs):5}  {correlation:>18}  {by_class:16.3f}  {by_background:7.3f}")


if __name__ == "__main__":
    main()
