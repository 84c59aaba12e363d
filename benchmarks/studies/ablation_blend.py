"""What each part of Magna-Blend is worth: the same data, seed and number of images, one part left out.

    python benchmarks/studies/ablation_blend.py DATA --config blend_bsdata --out runs/ablation [--images 10000] [--jobs 2]

Every part is a short training run, from which the commands that a user has make images of the held-out masks; one
`bench-fid` measures all of them. The last two leave out parts of generation: they use the weights of `all parts`. What
is there already is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from defects.formats.dataset import open_dataset
from defects.formats.folders import write_masks
from defects.sample import GOOD
from engine.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from engine.config import load_config
from gan.checkpoint import load_generator
from gan.config import GanConfig

ALL = "all parts"
PARTS: dict[str, tuple[str, ...]] = {
    ALL: (),
    "no other light": ("data.brightness_jitter=0", "data.color_jitter=0"),
    "no feature matching": ("loss.features=0",),
    "no augmentation of what is judged": ("train.diff_augment=false",),
    "no discriminator": ("loss.features=0", "loss.adversarial=0"),
    "no brightness loss": ("loss.guide=0",),
    "one scale": ("network.discriminator_scales=1",),
    "no texture term": ("loss.gradient_energy=0",),
    "no lay of the surface": ("network.directional_noise=false",),
    "no spatial noise": ("network.noise_injection=false", "network.directional_noise=false"),
}
DRAWN_ANYWHERE = "drawn on any ground"
BLIND = "any ground, and brightness without a look at it"


def command(*words: object) -> str:
    """What one of the project's commands prints; its last line of errors ends this."""
    program, *rest = map(str, words)
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(rest)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def stem(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def train(name: str, data: Path, config: str, out: Path, epochs: int) -> Path:
    """The run of a part."""
    folder = out / "runs" / stem(name)
    sets = [word for value in (*PARTS[name], f"train.epochs={epochs}") for word in ("--set", value)]
    going = ["--resume"] if folder.exists() else []
    command("train-gan", data, "--config", config, "--out", folder, "--threads", 1, *sets, *going)
    return folder


def without_grounds(run: Path, out: Path) -> Path:
    """The same weights in a checkpoint that does not tell of grounds."""
    tensors, meta = load_checkpoint(find_checkpoint(run))
    return save_checkpoint(out / "blind", tensors, meta | {"grounds": []})


def draw(name: str, checkpoint: Path, masks: Path, data: Path, out: Path, more: list[str]) -> Path:
    """Images of the held-out masks."""
    folder = out / "sets" / stem(name)
    words = ("gen-defects", "--checkpoint", checkpoint, "--masks", masks, "--backgrounds", data, "--num", 4)
    going = ["--resume"] if folder.exists() else []
    command(*words, "--guide", "brightness=random", "--out", folder, "--workers", 1, *more, *going)
    return folder


def main() -> None:
    """Trains, draws, measures, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", default="blend_bsdata")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a thread each")
    parser.add_argument("--parts", type=int, default=len(PARTS), help="how many, in the order of PARTS")
    given = parser.parse_args()
    config = load_config(given.config, GanConfig, [], folder="gan")
    there = [
        name for name, sets in PARTS.items() if load_config(given.config, GanConfig, list(sets), folder="gan") != config
    ]
    parts = [ALL, *there][: given.parts]
    dataset = open_dataset(given.data)
    defective = sum(sample.label != GOOD for sample in dataset.samples) * (1 - config.data.test_fraction)
    epochs = max(1, round(given.images / defective))
    with ThreadPoolExecutor(given.jobs) as pool:
        trained = pool.map(lambda name: train(name, given.data, given.config, given.out, epochs), parts)
        runs = dict(zip(parts, trained, strict=True))
    held = set(load_generator(runs[ALL]).provenance.test)
    masks = given.out / "masks"
    write_masks([sample for sample in dataset.samples if sample.name in held], None, masks)
    good = any(sample.label == GOOD and sample.name not in held for sample in dataset.samples)
    more = ["--size", "128", *([] if good else ["--inpaint"])]
    checkpoints = runs | {DRAWN_ANYWHERE: runs[ALL], BLIND: without_grounds(runs[ALL], given.out)}
    anywhere = [*more, "--background-sampling", "uniform"]
    with ThreadPoolExecutor(given.jobs) as pool:
        drawn = pool.map(
            lambda name: draw(
                name, checkpoints[name], masks, given.data, given.out, more if name in parts else anywhere
            ),
            checkpoints,
        )
        sets = dict(zip(checkpoints, drawn, strict=True))
    fakes = [word for name, folder in sets.items() for word in ("--fake", f"{stem(name)}={folder}")]
    report = given.out / "report"
    words = ("bench-fid", "--real", given.data, "--held-out", *fakes, "--out", report, "--force", "--skip", "tsne")
    print(f"{epochs} epochs of about {given.images / epochs:.0f} images")
    print(command(*words))


if __name__ == "__main__":
    main()
