"""How well the contrast of a real defect is foretold by other ones: of its kind, or like it in width and ground.

    python benchmarks/studies/contrast.py RUN

Reads what the checkpoint tells of its training defects; each is foretold from all others (leave one out).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import cast

import numpy as np

from gan.blending.matching import TrainingDefects
from gan.checkpoint import load_generator

DRAWS = 16


def main(run: Path) -> None:
    """Prints, for each kind, the correlation of contrast and ground, and the mean errors of both ways to foretell."""
    generator = load_generator(run)
    rows, background_stats = generator.table, generator.background_stats
    rng = np.random.default_rng(0)
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for i, row in enumerate(rows):
        kind, shown = str(row.get("kind", "defect")), cast(float, row["brightness"])
        others = TrainingDefects([*rows[:i], *rows[i + 1 :]], [*background_stats[:i], *background_stats[i + 1 :]])
        choose = others.row_sampler(background_stats[i])
        fixed = {"kind": kind} if "kind" in row else {}
        like = [
            cast(float, choose(fixed, float(share), cast(float, row["thickness"]))["brightness"])
            for share in rng.random(DRAWS)
        ]
        same = [cast(float, other["brightness"]) for other in others.rows if other.get("kind", kind) == kind]
        anyone = rng.choice(same or [shown], DRAWS)
        errors[kind].append((float(np.abs(anyone - shown).mean()), float(np.abs(np.array(like) - shown).mean())))
        points[kind].append((shown, background_stats[i].level))
    errors["all"] = [pair for kind in sorted(errors) for pair in errors[kind]]
    print(f"{'kind':10} {'count':>5}  {'contrast by ground':>18}  {'any of its kind':>15}  {'like it':>7}")
    for kind, pairs in errors.items():
        blind, seeing = np.mean(pairs, axis=0)
        told = f"{np.corrcoef(np.array(points[kind]).T)[0, 1]:.2f}" if kind in points else ""
        print(f"{kind:10} {len(pairs):5}  {told:>18}  {blind:15.3f}  {seeing:7.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
