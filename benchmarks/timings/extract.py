"""Images a second of Inception's features: this project's extractor against torch-fidelity's, in one run.

    python benchmarks/timings/extract.py [DATA] [--images 32] [--rounds 5] [--threads 2] [--inception-weights FILE]

Both get the same uint8 images in memory and the same weights, by turns (`turns.py`). Without a weights file the weights
are random: the time does not depend on them. With DATA (a folder of images in any layout) the Frechet distance between
two halves of it is computed from both extractors' features.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from turns import take_turns, timing_parser

import defects
from defects.images.crops import CropSpec
from engine.seeding import numpy_generator, torch_generator
from metrics import frechet_distance
from metrics.data.image_set import ImageSet
from metrics.features.inception import Inception
from metrics.features.inception_weights import find_inception_weights, tensor_shapes

BATCH = 32
SEED = 3


def random_weights() -> dict[str, Tensor]:
    """Names and shapes of the published weights: He-normal kernels, batch norms near the identity."""
    random = torch_generator(SEED, "weights")
    tensors = {}
    for name, shape in {**tensor_shapes(), "fc.bias": (1008,)}.items():
        values = torch.randn(shape, generator=random)
        if name.endswith("conv.weight"):
            values *= (2 / values[0].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            values = values.abs() * 0.5 + 0.75
        else:
            values *= 0.1
        tensors[name] = values
    return tensors


def both(weights: Path | None, threads: int) -> tuple[Inception, FeatureExtractorInceptionV3]:
    """Ours and theirs with the same weights."""
    tensors = random_weights() if weights is None else find_inception_weights(weights).read()
    counts = {
        f"{name.removesuffix('weight')}num_batches_tracked": torch.tensor(1) for name in tensors if ".bn.w" in name
    }
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"fc.bias": torch.zeros(1008), **tensors, **counts}, Path(folder, "weights.pth"))
        safetensors.torch.save_file(tensors, Path(folder, "weights.safetensors"))
        ours = Inception(Path(folder, "weights.safetensors"), "cpu", threads=threads)
        ours(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))  # reads the weights
        theirs = FeatureExtractorInceptionV3(
            "inception-v3-compat",
            ["2048", "logits_unbiased"],
            feature_extractor_weights_path=str(Path(folder, "weights.pth")),
        )
    return ours, theirs


def crops(data: Path, count: int) -> Tensor:
    """uint8 (N, 3, 128, 128) crops of a folder, shuffled by the seed."""
    samples = defects.open(data).samples
    order = numpy_generator(SEED, "order").permutation(len(samples))[:count]
    images = ImageSet(data.name, [samples[i] for i in order], CropSpec(128))
    return torch.from_numpy(np.concatenate(list(images.batches(BATCH)))).permute(0, 3, 1, 2).contiguous()


def compare(ours: Inception, theirs: FeatureExtractorInceptionV3, images: Tensor) -> None:
    """Prints how far the features are apart, and the distances of the two halves of the images."""
    values = [
        torch.cat([run(images[i : i + BATCH])[0] for i in range(0, len(images), BATCH)]).numpy().astype(np.float64)
        for run in (ours, theirs)
    ]
    half = len(images) // 2
    distances = [frechet_distance(real=each[:half], fake=each[half:]) for each in values]
    apart = np.abs(values[0] - values[1]).max() / np.abs(values[1]).mean()
    print(f"largest difference of a feature: {apart:.1e} of the mean feature")
    print(f"FID of {half} against {len(images) - half} real images: {distances[0]:.6f} ours, {distances[1]:.6f} theirs")
    print(f"difference of the FIDs: {abs(distances[0] - distances[1]):.1e}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=5)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=BATCH)
    parser.add_argument("--compared", type=int, default=200, help="how many images of DATA")
    parser.add_argument("--size", type=int, default=128, help="side of the timed images, px")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--inception-weights", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    ours, theirs = both(options.inception_weights, options.threads)
    shape = (options.images, 3, options.size, options.size)
    images = torch.randint(0, 256, shape, generator=torch_generator(SEED), dtype=torch.uint8)
    with torch.inference_mode():
        ways = {"torch-fidelity": lambda: theirs(images), "ours": lambda: ours(images)}
        times = take_turns(ways, rounds=options.rounds)
        print(f"{options.images} images of {options.size} px, {options.threads} threads")
        print(times.table("torch-fidelity", items=options.images))
        if options.data is not None:
            compare(ours, theirs, crops(options.data, options.compared))


if __name__ == "__main__":
    main()
