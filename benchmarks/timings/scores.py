"""Scores on stored features against torch-fidelity and clean-fid: seconds, ratios and whether the numbers agree.

    python benchmarks/timings/scores.py [--counts 500 2000 10000] [--rounds 3] [--threads 2] [--features 2048]

Features are sampled once for each count: non-negative like a pooled ReLU layer's, with a decaying spectrum and shared
directions. All ways take turns (`turns.py`). torch-fidelity and clean-fid get float32 features, as
their extractors give them, for the timing; for the equality they also get the same numbers in float64, since the kernel
distance is a small difference of large sums, whose digits float32 does not hold where the distance is small.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from turns import Times, take_turns, timing_parser

from engine.seeding import numpy_generator
from metrics import frechet_distance, kernel_distance
from metrics.scores.infinity import frechet_infinity
from metrics.scores.kernel import subset_distances

SEED = 2020
SUBSETS = 100


def features(count: int, columns: int, name: str) -> NDArray[np.float32]:
    """Stand-in for pooled network features (count, columns): non-negative, correlated, decaying spectrum."""
    mixing = numpy_generator(SEED, "mixing").standard_normal((256, columns)) / 16
    generator = numpy_generator(SEED, name, count)
    hidden = generator.standard_normal((count, 256)) / np.sqrt(np.arange(1, 257))
    scale, shift = (1.2, 0.05) if name == "fake" else (1.0, 0.0)
    noise = 0.1 * generator.standard_normal((count, columns))
    return np.asarray(np.maximum(scale * hidden @ mixing + noise + 0.3 + shift, 0), np.float32)


def fidelity_frechet(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """torch-fidelity's distance, from features to number."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    first, second = (fid_features_to_statistics(torch.from_numpy(x)) for x in (fake, real))
    return float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID])


def clean_frechet(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """clean-fid's distance, from features to number."""
    from cleanfid.fid import frechet_distance as clean

    def moments(x: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        return np.mean(x, axis=0), np.cov(x, rowvar=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(clean(*moments(fake), *moments(real)))


def fidelity_kernel(real: NDArray[np.floating], fake: NDArray[np.floating], size: int) -> float:
    """torch-fidelity's kernel distance."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    return float(
        kid_features_to_metric(
            torch.from_numpy(fake),
            torch.from_numpy(real),
            kid_subsets=SUBSETS,
            kid_subset_size=size,
            rng_seed=SEED,
            verbose=False,
        )[KEY_METRIC_KID_MEAN]
    )


def same_draws(real: NDArray[np.floating], fake: NDArray[np.floating], size: int) -> float:
    """Our kernel distance over the very subsets that torch-fidelity draws."""
    generator = np.random.RandomState(SEED)
    fake_rows, real_rows = [], []
    for _ in range(SUBSETS):
        fake_rows.append(generator.choice(len(fake), size, replace=False))
        real_rows.append(generator.choice(len(real), size, replace=False))
    first, second = (torch.from_numpy(x).double() for x in (real, fake))
    return float(subset_distances(first, second, real_rows, fake_rows).mean())


def over(times: Times, name: str) -> str:
    """How many times as long as ours, by both clocks."""
    return f"{times.ratio('ours', name):6.1f} (processor {times.ratio('ours', name, 'processor'):6.1f})"


def relative(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / abs(theirs)


def frechet(count: int, columns: int, rounds: int) -> None:
    real, fake = features(count, columns, "real"), features(count, columns, "fake")
    wide, wide_fake = real.astype(np.float64), fake.astype(np.float64)
    ours = frechet_distance(real=real, fake=fake)
    peers = {"torch-fidelity": fidelity_frechet, "clean-fid": clean_frechet}
    times = take_turns(
        {
            "ours": lambda: frechet_distance(real=real, fake=fake),
            "torch-fidelity": lambda: fidelity_frechet(real, fake),
            "clean-fid": lambda: clean_frechet(real, fake),
        },
        rounds=rounds,
        warm_up=0,
    )
    for name, peer in peers.items():
        print(
            f"frechet n={count:<6} ours {times.median('ours'):8.3f} s  {name:14} {times.median(name):8.3f} s  "
            f"ratio {over(times, name)}  value {ours:.6f}  relative difference "
            f"{relative(ours, peer(wide, wide_fake)):.1e} (float32 in: {relative(ours, peer(real, fake)):.1e})",
            flush=True,
        )


def kernel(count: int, columns: int, rounds: int) -> None:
    real, fake = features(count, columns, "real"), features(count, columns, "fake")
    wide, wide_fake = real.astype(np.float64), fake.astype(np.float64)
    size = min(1000, count // 2)
    times = take_turns(
        {
            "ours": lambda: kernel_distance(real=real, fake=fake, subsets=SUBSETS, subset_size=size).mean,
            "theirs": lambda: fidelity_kernel(real, fake, size),
            "theirs, float64": lambda: fidelity_kernel(wide, wide_fake, size),
        },
        rounds=rounds,
        warm_up=0,
    )
    ours = same_draws(real, fake, size)
    print(
        f"kernel  n={count:<6} ours {times.median('ours'):8.3f} s  torch-fidelity {times.median('theirs'):8.3f} s  "
        f"ratio {over(times, 'theirs')}, in float64 {over(times, 'theirs, float64')}  "
        f"value {ours:.8f}  relative difference {relative(ours, fidelity_kernel(wide, wide_fake, size)):.1e} "
        f"(float32 in: {relative(ours, fidelity_kernel(real, fake, size)):.1e}); {SUBSETS} subsets of {size}",
        flush=True,
    )


def infinity(count: int, columns: int) -> None:
    real, fake = features(count, columns, "real"), features(count, columns, "fake")
    start = time.perf_counter()
    found = frechet_infinity(real=real, fake=fake, seed=0, points=15, orders=1)
    print(
        f"infinity n={count:<5} ours {time.perf_counter() - start:8.3f} s for 15 points with their influences  "
        f"value {found.value:.4f}  at all images {found.distances[-1]:.4f}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 2000, 10_000])
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", help="frechet, kernel or infinity")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for count in options.counts:
        if options.only in (None, "frechet"):
            frechet(count, options.features, options.rounds)
        if options.only in (None, "kernel"):
            kernel(count, options.features, options.rounds)
        if options.only in (None, "infinity") and count <= 2000:
            infinity(count, options.features)


if __name__ == "__main__":
    main()
