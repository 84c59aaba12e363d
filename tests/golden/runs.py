"""The eight runs: their command lines in one table, the tiny folders they start from, and how they are run.

Nothing here knows a module of the project: a run is started by the name of its command alone, and what it starts from
is computed with integer arithmetic, so that no version of a library and no processor changes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ("crack-branching-1", "pits")

# float32 everywhere: bfloat16 is taken where the hardware has it, and no two processors would then agree within
# one gray level. One thread where a command says so: the others promise the same bytes for any number.
_TINY = """--device cpu --threads 1 --set train.precision=fp32 --set train.epochs=1 --set train.sample_every=1
    --set train.checkpoint_every=1 --set network.size=32 --set network.width=4 --set network.max_width=8
    --set network.critic_width=4 --set data.test_fraction=0.25"""
RUNS: dict[str, tuple[str, ...]] = {
    "generator": (
        """gen-defects --masks {inputs}/masks --guide thickness=0.2|0.8,brightness=0.1..0.9,background=dark --seed 3
        --labels mask,coco,yolo,labelme --device cpu --precision fp32 --out {out}/grid""",
        """gen-defects --masks {inputs}/masks/pits.png --guide thickness=measured,brightness=random --num 2 --size 64
        --same-noise --device cpu --precision fp32 --out {out}/pair""",
    ),
    "blend": (
        """gen-defects --masks {inputs}/pits --backgrounds {inputs}/good --move --rotate=-20,20 --scale 0.8,1.2 --num 2
        --guide thickness=random,brightness=random --seed 5 --device cpu --precision fp32 --out {out}""",
    ),
    "mixture": (
        """mix-defects --real {inputs}/real --synthetic {inputs}/synthetic --pasted {inputs}/pasted --ratio 1:0.5:0.25
        --balance kind,size --augment gan_paper --seed 7 --out {out}""",
    ),
    "paste": tuple(
        f"mix-defects paste --real {{inputs}}/real --num 6 --method {method} --seed 7 --out {{out}}/{method}"
        for method in ("alpha", "poisson", "perlin")
    ),
    "masks": tuple(
        f"gen-masks --kind {shape} --count 2 --size 64 --seed 11 --out {{out}}/{shape}"
        for shape in ("crack", "scratch", "pit", "spot")
    ),
    "mpi": ("gen-mpi --count 5 --size 64 --kinds crack,scratch,pit,spot --seed 13 --out {out}",),
    "train_magna": (
        f"""train-gan {{inputs}}/real --config magna {_TINY} --set train.batch_size=12 --set loss.style=0.1
        --set loss.style_every=1 --set loss.style_size=16 --style-weights {{inputs}}/vgg.safetensors --out {{out}}""",
    ),
    "train_blend": (
        f"""train-gan {{inputs}}/real --config blend_tile {_TINY} --set train.batch_size=12 --set network.crop=null
        --set network.reach=3 --set network.latent=6 --out {{out}}""",
    ),
}  # fmt: skip


def grain(seed: int, count: int, levels: int) -> np.ndarray:
    """(count,) integers from 0 to `levels` - 1, by a mixing of 32 bits that is exact everywhere."""
    value = np.arange(count, dtype=np.uint32) + np.uint32(seed * 2654435769 % 2**32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = (value ^ (value >> np.uint32(shift))) * np.uint32(factor)
    return (value ^ (value >> np.uint32(16))) % np.uint32(levels)


def surface(seed: int, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: a slope of light over grain, which no other seed gives."""
    slope = np.add.outer(np.arange(height) * (1 + seed % 3), np.arange(width)) // 8
    fine = grain(seed, height * width * 3, 10).reshape(height, width, 3)
    coarse = grain(seed + 1000, (height // 4 + 1) * (width // 4 + 1), 90).reshape(height // 4 + 1, width // 4 + 1)
    blocks = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
    return (70 + (slope % 40)[..., None] + fine + blocks[..., None]).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Writes a PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def samples(root: Path, source: str, labels: Sequence[str], first: int) -> None:
    """A sample folder with a dark bar (crack) or block (pit) in a surface; two neighbors are one part."""
    rows = []
    for index, label in enumerate(labels):
        seed, mask = first + index, np.zeros((40, 48), np.uint8)
        y, x = (int(value) for value in grain(seed, 2, 18) + np.uint32(6))
        side = 7 + 5 * (index % 3)
        tall, wide = {"crack": (3, 14), "pit": (side, side), "good": (0, 0)}[label]
        mask[y : y + tall, x : x + wide] = 255
        image = surface(seed, 40, 48)
        image[mask > 0] //= 4
        name = f"{source}_{index:02d}"
        file = save(root / "images" / f"{name}.png", image)
        save(root / "masks" / f"{name}.png", mask)
        row = {"file_name": f"images/{name}.png", "mask": f"masks/{name}.png", "label": label, "source": source,
               "group": f"{source}{index // 2}", "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
               "guide": {"raw": {"thickness": float(tall)} if tall else {}, "scaled": {}}}  # fmt: skip
        origin = {"checkpoint": "c" * 64, "seed": 1, "mask_source": f"{name}.png"}
        rows.append(json.dumps(row | (origin if source == "synthetic" else {})))
    (root / "metadata.jsonl").write_text("\n".join(rows) + "\n")


def write_inputs(root: Path) -> None:
    """Every folder that the table names."""
    for name in EXAMPLES:
        (root / "masks").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "examples" / "masks" / f"{name}.png", root / "masks" / f"{name}.png")
    for index in range(2):
        pit = np.zeros((96, 96), np.uint8)
        pit[30 + 8 * index : 52, 24 : 60 + 4 * index] = 255
        save(root / "pits" / f"pit_{index}.png", pit)
        save(root / "good" / f"plate_{index}.png", surface(70 + index, 128, 144))
    samples(root / "real", "real", ("crack", "crack", "pit", "pit", "good", "good") * 4, 100)
    samples(root / "synthetic", "synthetic", ("crack", "pit") * 5, 300)
    samples(root / "pasted", "pasted", ("pit", "crack") * 3, 500)
    data = {"test": ["real_00", "real_01", "real_08", "real_09", "real_10", "real_11"], "train_sha256": []}
    provenance = {"checkpoint": "c" * 64, "size": 32, "channels": 3, "data": data}
    (root / "synthetic" / "generator.json").write_text(json.dumps(provenance))
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    tensors = {}
    for place, position in enumerate((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)):
        narrow, wide = widths[place : place + 2]
        weights = (grain(900 + place, wide * narrow * 9, 255).astype(np.float32) - 127) / (64 * narrow**0.5)
        tensors[f"features.{position}.weight"] = weights.reshape(wide, narrow, 3, 3).astype(np.float16)
        tensors[f"features.{position}.bias"] = np.zeros(wide, np.float16)
    save_file(tensors, root / "vgg.safetensors")


def call(line: Sequence[str]) -> None:
    """Runs a console command in this process: one start of the interpreter for all runs.

    Raises:
        RuntimeError: It did not end with 0.
    """
    (command,) = entry_points(group="console_scripts", name=line[0])
    said, before = io.StringIO(), sys.argv
    sys.argv = list(line)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            code = command.load()()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    if code:
        raise RuntimeError(f"{' '.join(line)} ended with {code}: {said.getvalue()[-2000:]}")


def perform(name: str, inputs: Path, out: Path) -> Path:
    """Runs the lines of one run and returns the folder they wrote."""
    out.mkdir(parents=True)
    for line in RUNS[name]:
        call(line.format(inputs=inputs, out=out).split())
    return out
