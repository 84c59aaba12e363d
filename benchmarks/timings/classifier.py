"""What the map costs, and how fast one image is, against the bare timm network and in ONNX Runtime, in one run.

    python benchmarks/timings/classifier.py [--network efficientnet_lite0] [--size 128] [--rounds 200] [--threads 1]

All ways take turns on the same image; each turn goes through them in another order, so that none always follows the
same one. Medians of wall time are shown as ratios. The map alone is timed on the features of that image, which is more
exact than the difference of two forward passes; that difference is shown, too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch

from classify.config import ClassifierConfig
from classify.inference.export import OUTPUTS, export_classifier
from classify.models.backbones import BACKBONES
from classify.models.checkpoint import load_classifier, neurons, save_classifier
from classify.models.weights import build_network
from engine.seeding import numpy_generator, torch_generator

SEED = 3


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, taken in turns of changing order."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    order = numpy_generator(SEED, "order")
    names = list(ways)
    for turn in range(rounds + 10):
        for index in order.permutation(len(names)):
            start = time.perf_counter()
            ways[names[index]]()
            if turn >= 10:  # the first turns warm up
                seconds[names[index]].append(time.perf_counter() - start)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def measure(name: str, *, short: bool, size: int, rounds: int, threads: int) -> None:
    """Prints the table of one network."""
    content = {"network": {"name": name, "short": short}, "data": {"size": size}}
    config = ClassifierConfig.model_validate(content)
    bare = timm.create_model(BACKBONES[name].timm_name, pretrained=False, num_classes=1).eval()
    bare.to(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        network = build_network(config.network, neurons("binary", ("good", "defect")), SEED)
        path = save_classifier(Path(folder, "best"), network, config, ("good", "defect"), {})
        classifier = load_classifier(path)
        exported = export_classifier(classifier, Path(folder, "model.onnx")).path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    ours = classifier.network
    images = torch.rand(1, 3, size, size, generator=torch_generator(SEED)).contiguous(memory_format=torch.channels_last)
    array = images.contiguous().numpy()
    latent = ours.features(images)
    ways: dict[str, Callable[[], object]] = {
        "bare timm network": lambda: bare(images),
        "without the map": lambda: ours.classify(ours.features(images)),
        "with the map": lambda: ours(images),
        "the map alone": lambda: ours.map_of(latent),
        "ONNX Runtime, with the map": lambda: session.run(list(OUTPUTS), {"images": array}),
    }
    if short:
        del ways["bare timm network"]  # timm has no shortened network to compare with
    found = medians(ways, rounds)
    base = found["without the map" if short else "bare timm network"]
    print(f"{name}{'_s' if short else ''}, one image of {size} px, {threads} threads, {rounds} rounds in turns")
    print(f"{'':28} {'ms':>8} {'ratio':>7}")
    for way, seconds in found.items():
        print(f"{way:28} {seconds * 1000:8.3f} {seconds / base:7.3f}")
    share = found["the map alone"] / found["without the map"]
    more = found["with the map"] / found["without the map"] - 1
    print(f"the map costs {share:.2%} of a forward pass timed alone, {more:+.2%} by difference")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=["efficientnet_lite0"], choices=list(BACKBONES))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    with torch.inference_mode():
        for name in options.network:
            for short in (False, True):
                measure(name, short=short, size=options.size, rounds=options.rounds, threads=options.threads)
    print(f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
