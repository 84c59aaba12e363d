"""What each part of Magna-Blend is worth: the same data, seed and number of images, one part left out.

    python benchmarks/studies/ablation_blend.py DATA --config blend_bsdata --out runs/ablation [--images 10000]

Every part is a short training run. The commands that a user has generate images of the held-out masks from it; one
`bench-fid` measures all of them. The last two leave out parts of generation: they use the weights of `all parts`. An
interrupted study continues.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import defects
from defects.formats.folders import write_masks
from defects.sample import GOOD
from engine.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from engine.config import load_config
from gan.checkpoint import load_generator
from gan.config import GanConfig

ALL = "all parts"
PARTS: dict[str, tuple[str, ...]] = {
    ALL: (),
    "no color jitter": ("data.brightness_jitter=0", "data.color_jitter=0"),
    "no feature matching": ("loss.features=0",),
    "no diff-augment": ("train.diff_augment=false",),
    "no discriminator": ("loss.features=0", "loss.adversarial=0"),
    "no brightness loss": ("loss.guide=0",),
    "one scale": ("network.discriminator_scales=1",),
    "no gradient-energy loss": ("loss.gradient_energy=0",),
    "no directional noise": ("network.directional_noise=false",),
    "no spatial noise": ("network.noise_injection=false", "network.directional_noise=false"),
}
UNIFORM = "uniform background sampling"
BLIND = "uniform, and brightness without background matching"


def command(*words: object) -> str:
    """Output of one of the project's commands; the last line of its errors ends this study."""
    program, *rest = map(str, words)
    result = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"{program} {' '.join(rest)}: {result.stderr.strip().splitlines()[-1]}")
    return result.stdout


def stem(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def train(name: str, data: Path, config: str, out: Path, epochs: int) -> Path:
    """The run of a part."""
    folder = out / "runs" / stem(name)
    sets = [word for value in (*PARTS[name], f"train.epochs={epochs}") for word in ("--set", value)]
    resume = ["--resume"] if folder.exists() else []
    command("train-gan", data, "--config", config, "--out", folder, "--threads", 1, *sets, *resume)
    return folder


def without_backgrounds(run: Path, out: Path) -> Path:
    """The same weights in a checkpoint that describes no backgrounds of training defects."""
    tensors, meta = load_checkpoint(find_checkpoint(run))
    return save_checkpoint(out / "blind", tensors, meta | {"grounds": [], "reliefs": []})


def synthesize(name: str, checkpoint: Path, masks: Path, data: Path, out: Path, more: list[str]) -> Path:
    """Images of the held-out masks."""
    folder = out / "sets" / stem(name)
    words = ("gen-defects", "--checkpoint", checkpoint, "--masks", masks, "--backgrounds", data, "--num", 4)
    resume = ["--resume"] if folder.exists() else []
    command(*words, "--guide", "brightness=random", "--out", folder, "--workers", 1, *more, *resume)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, generates, measures, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", default="blend_bsdata")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a thread each")
    parser.add_argument("--parts", type=int, default=len(PARTS), help="how many, in the order of PARTS")
    options = parser.parse_args(arguments)
    config = load_config(options.config, GanConfig, [], folder="gan")
    configured = [
        name
        for name, sets in PARTS.items()
        if load_config(options.config, GanConfig, list(sets), folder="gan") != config
    ]
    parts = [ALL, *configured][: options.parts]
    dataset = defects.open(options.data)
    defective = sum(sample.label != GOOD for sample in dataset.samples) * (1 - config.data.test_fraction)
    epochs = max(1, round(options.images / defective))
    with ThreadPoolExecutor(options.jobs) as pool:
        trained = pool.map(lambda name: train(name, options.data, options.config, options.out, epochs), parts)
        runs = dict(zip(parts, trained, strict=True))
    held = set(load_generator(runs[ALL]).provenance.test)
    masks = options.out / "masks"
    write_masks([sample for sample in dataset.samples if sample.name in held], None, masks)
    good = any(sample.label == GOOD and sample.name not in held for sample in dataset.samples)
    more = ["--size", "128", *([] if good else ["--inpaint"])]
    checkpoints = runs | {UNIFORM: runs[ALL], BLIND: without_backgrounds(runs[ALL], options.out)}
    uniform = [*more, "--background-sampling", "uniform"]
    with ThreadPoolExecutor(options.jobs) as pool:
        folders = pool.map(
            lambda name: synthesize(
                name, checkpoints[name], masks, options.data, options.out, more if name in parts else uniform
            ),
            checkpoints,
        )
        sets = dict(zip(checkpoints, folders, strict=True))
    fakes = [word for name, folder in sets.items() for word in ("--fake", f"{stem(name)}={folder}")]
    report = options.out / "report"
    words = ("bench-fid", "--real", options.data, "--held-out", *fakes, "--out", report, "--force", "--skip", "tsne")
    print(f"{epochs} epochs of about {options.images / epochs:.0f} images")
    print(command(*words))


if __name__ == "__main__":
    main()
