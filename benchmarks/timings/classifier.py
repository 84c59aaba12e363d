"""What the map costs, and how fast one image is, against the bare timm network and in ONNX Runtime, in one run.

    python benchmarks/timings/classifier.py [--network efficientnet_lite0] [--size 128] [--rounds 200] [--threads 1]

All ways take turns on the same image (`turns.py`); the ratios are to the bare network. The map alone is timed on the
features of that image, which is more exact than the difference of two forward passes; that difference is shown, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import onnxruntime
import timm
import torch
from turns import take_turns, timing_parser

import classify
from classify.config import ClassifierConfig
from classify.inference.export import OUTPUTS, export_classifier
from classify.models.backbones import BACKBONES
from classify.models.checkpoint import neurons, save_classifier
from classify.models.weights import build_network
from engine.seeding import torch_generator

SEED = 3


def measure(name: str, *, short: bool, size: int, rounds: int, threads: int) -> None:
    """Prints the table of one network."""
    content = {"network": {"name": name, "short": short}, "data": {"size": size}}
    config = ClassifierConfig.model_validate(content)
    bare = timm.create_model(BACKBONES[name].timm_name, pretrained=False, num_classes=1).eval()
    bare.to(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        network = build_network(config.network, neurons("binary", ("good", "defect")), SEED)
        path = save_classifier(Path(folder, "best"), network, config, ("good", "defect"), {})
        classifier = classify.load(path, device="cpu").loaded
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
    times = take_turns(ways, rounds=rounds, warm_up=10, seed=SEED)
    print(f"{name}{'_s' if short else ''}, one image of {size} px, {threads} threads, {rounds} rounds in turns")
    print(times.table("without the map" if short else "bare timm network"))
    share = times.ratio("without the map", "the map alone")
    more = times.ratio("without the map", "with the map") - 1
    print(f"the map costs {share:.2%} of a forward pass timed alone, {more:+.2%} by difference")
    print()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=200)
    parser.add_argument("--network", nargs="+", default=["efficientnet_lite0"], help=", ".join(BACKBONES))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        for name in options.network:
            for short in (False, True):
                measure(name, short=short, size=options.size, rounds=options.rounds, threads=options.threads)


if __name__ == "__main__":
    main()
