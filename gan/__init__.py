"""Synthetic defect images from masks and guide values, and the training of their generators.

>>> import numpy as np, gan
>>> mask = np.zeros((128, 128), bool); mask[60:64, 20:100] = True
>>> s = gan.load("magna", device="cpu").generate(mask, num=2, seed=0, thickness=0.4, brightness=0.5, background="dark")
>>> s.images.shape, s.masks.shape, s.attributes[0]["scaled"]["background"]
((2, 128, 128, 3), (2, 128, 128), 'dark')
>>> steel = np.full((150, 200, 3), 120, np.uint8)
>>> s = gan.load("blend", device="cpu").blend(steel, mask, seed=0, move=True, scale=(0.5, 0.8), brightness="matched")
>>> s.images[0].shape, bool((s.images[0][~s.masks[0]] == 120).mean() > 0.9)
((150, 200, 3), True)

`gan.train("data/", config="magna", out="runs/x", overrides={"train.epochs": 10})` trains a generator. Importing this
package loads neither torch nor NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from engine.errors import MagnaError, UsageError
    from gan.checkpoint import LoadedGenerator
    from gan.config import GanConfig
    from gan.generation.jobs import JobList, Request
    from gan.generation.masks import MaskList
    from gan.generation.samples import Guide, Masks, Samples

__version__ = version("magna-defect")

__all__ = ["BUNDLED", "GanConfig", "Generator", "MagnaError", "Request", "Samples", "UsageError", "load", "train"]

BUNDLED = ("magna", "blend")
"""Names of the bundled generators: of whole images, and of pitting blended into steel."""
_LAZY = {
    "GanConfig": "gan.config",
    "MagnaError": "engine.errors",
    "Request": "gan.generation.jobs",
    "Samples": "gan.generation.samples",
    "UsageError": "engine.errors",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class Generator:
    """A trained generator; see `load`.

    Attributes:
        blends: Whether it blends defects into backgrounds (`blend`), instead of generating whole images (`generate`).
        size: Side of its images, px.
        channels: Of its images, 1 or 3.
        guides: Names of its guide entries.
    """

    def __init__(self, loaded: LoadedGenerator, device: torch.device, dtype: torch.dtype | None) -> None:
        self._loaded, self._device, self._dtype = loaded, device, dtype
        self.blends, self.size, self.channels = loaded.blends, loaded.size, loaded.channels
        self.guides = loaded.schema.names

    def generate(
        self,
        mask: Masks,
        *,
        num: int = 1,
        seed: int = 0,
        size: int | None = None,
        label: str = "",
        workers: int = 2,
        **guides: Guide,
    ) -> Samples:
        """Generates whole images; the same request to `gen-defects` gives the same pixels.

        Args:
            mask: (H, W) numbers, positive on the defect (above 127 where uint8 gray); a list of such; or the path of a
                mask image or a folder. A single array is called `mask`, arrays of a list `mask-0`, `mask-1`, ...: the
                noise depends on the name, which for a file is its own.
            num: Images for each mask and each point of the guide's grid.
            seed: Of noise and of sampled guide values.
            size: Side of the images, px; None for the generator's own.
            label: Name of the defect.
            workers: Threads; they change no pixel.
            **guides: Value of an entry: 0..1, a class name, "6px", "random", "measured", (low, high) for a sampled
                value, or a list for a grid.

        Raises:
            UsageError: A guide or another argument is wrong, or the generator blends.
            DataError: A mask cannot be used.
        """
        from gan.generation.plan import Plan, Sampler, check_whole_images
        from gan.generation.samples import generate_samples, make_request, masks_of

        check_whole_images(self._loaded)
        request = make_request(num, seed, size, label, guides)
        jobs = self._jobs(request, masks_of(mask))
        sampler = Sampler(cast(Any, self._loaded.network), self._device, seed, self._dtype)
        plan = Plan(jobs, sampler, self._loaded.sha256, {}, self._loaded.provenance)
        return generate_samples(plan, workers)

    def blend(
        self,
        background: NDArray[Any] | Sequence[NDArray[Any]] | str | PathLike[str],
        mask: Masks,
        *,
        num: int = 1,
        seed: int = 0,
        size: int | None = None,
        label: str = "",
        move: bool = False,
        rotate: tuple[float, float] = (0.0, 0.0),
        scale: tuple[float, float] = (1.0, 1.0),
        background_sampling: str = "matched",
        workers: int = 2,
        **guides: Guide,
    ) -> Samples:
        """Blends defects into images of good parts; see `generate` for the other arguments.

        Args:
            background: (H, W, C) uint8, C 1 or 3; a list of such; or the path of an image or a folder of good images.
            mask: See `generate`; it is placed where it lies in its own frame.
            num: See `generate`.
            seed: See `generate`.
            size: Side of a crop around the defect, px; None for the whole background.
            label: See `generate`.
            move: Put masks anywhere in a background.
            rotate: Smallest and largest angle, degrees.
            scale: Smallest and largest factor.
            background_sampling: `matched` to the backgrounds of real defects, or `uniform`.
            workers: See `generate`.
            **guides: See `generate`; "matched" leaves an entry to the background: a training defect on a similar one
                gives its value.

        Raises:
            UsageError: An argument is wrong, or the generator generates whole images.
            DataError: A mask or a background cannot be used, or a mask fits nowhere.
        """
        from engine.errors import UsageError
        from gan.blending.backgrounds import BackgroundArrays, list_backgrounds
        from gan.blending.compositing import BlendSampler, working_scale
        from gan.blending.matching import TrainingDefects
        from gan.blending.placement import BACKGROUND_SAMPLING, LocationFinder, Placement
        from gan.blending.plan import BlendPlan, check_blends
        from gan.generation.samples import array_list, generate_samples, make_request, masks_of

        network, crop = check_blends(self._loaded), self._loaded.provenance.crop
        if background_sampling not in BACKGROUND_SAMPLING:
            raise UsageError(
                f"background_sampling: {background_sampling!r} is unknown; choose matched or uniform",
                code="E-generate-unknown-value",
            )
        request = make_request(num, seed, size, label, {k: v for k, v in guides.items() if v != "matched"})
        options: dict[str, Any] = {
            "scale": lambda shape: working_scale(shape, network.config.size, crop),
            "blend_radius": network.config.blend_radius,
        }
        if isinstance(background, str | PathLike):
            found = list_backgrounds(Path(background), held_out=self._loaded.provenance.test, **options)
        else:
            found = BackgroundArrays(array_list(background), **options)
        placement = Placement(move, rotate, scale, background_sampling == "uniform")
        plan = BlendPlan(
            jobs=self._jobs(request, masks_of(mask)),
            sampler=BlendSampler(network, self._device, seed, self._dtype),
            checkpoint=self._loaded.sha256,
            description={},
            provenance=self._loaded.provenance,
            locations=LocationFinder(found, placement, network.config.size, TrainingDefects.of(self._loaded)),
            crop=crop,
        )
        return generate_samples(plan, workers)

    def _jobs(self, request: Request, masks: MaskList) -> JobList:
        from gan.generation.jobs import JobList

        loaded = self._loaded
        return JobList(request, masks, loaded.schema, loaded.table, loaded.size, loaded.provenance.classes)


def load(generator: str | PathLike[str] = "magna", *, device: str = "auto", precision: str = "auto") -> Generator:
    """Loads a generator.

    Args:
        generator: A name of `BUNDLED`, a run folder of `train`, or a checkpoint.
        device: auto, cpu or cuda.
        precision: auto (bf16 where the hardware has it), bf16 or fp32.

    Raises:
        CheckpointError: There is none, it is damaged, or of something else.
        UsageError: The device or the precision is unknown or not there.
    """
    from engine.errors import CheckpointError
    from engine.runtime.device import select_device, select_precision
    from gan.checkpoint import load_generator

    path = None if generator in BUNDLED else Path(generator)
    try:
        loaded = load_generator(path, blend=generator == "blend")
    except CheckpointError as error:
        if error.code != "E-checkpoint-missing":
            raise
        raise CheckpointError(f"{error}, or a bundled one by name: {', '.join(BUNDLED)}", code=error.code) from None
    return Generator(loaded, select_device(device), select_precision(precision))


def train(
    data: str | PathLike[str],
    config: str = "magna",
    out: str | PathLike[str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    layout: str = "auto",
    style_weights: str | PathLike[str] | None = None,
    device: str = "auto",
    workers: int = 2,
    resume: bool = False,
) -> Generator:
    """Trains a generator, as `train-gan` does, and loads it.

    Args:
        data: Folder with images and masks, in any layout that `check-data` reads.
        config: A packaged configuration (magna, magna_paper, blend_bsdata, ...) or a YAML file.
        out: Run folder; None for `runs/<config>-<folder>`.
        overrides: Values by key, such as `{"train.epochs": 10}`.
        layout: Of the folder; auto detects it.
        style_weights: VGG-16 as safetensors; None for torchvision's, downloaded once.
        device: auto, cpu, cuda or mps.
        workers: Threads that cut crops; they change no byte.
        resume: Complete the run in the folder.

    Raises:
        UsageError: A key or value is wrong, or the folder was begun with another configuration.
        DataError: The folder or an image cannot be used.
        OutputError: The run folder is in use or cannot be written.
        WeightsError: The weights of the style loss cannot be fetched or trusted.
        TrainingError: A loss is no longer a number.
    """
    from json import dumps

    from defects.formats.dataset import open_dataset
    from engine.config import load_config
    from gan.config import GanConfig
    from gan.training.launch import start

    sets = [f"{key}={dumps(value)}" for key, value in (overrides or {}).items()]
    resolved = load_config(config, GanConfig, sets, folder="gan")
    folder = Path(out) if out is not None else Path("runs") / f"{resolved.name}-{Path(data).resolve().name}"
    weights = Path(style_weights) if style_weights is not None else None
    start(
        open_dataset(Path(data), layout), resolved, folder,
        style_weights=weights, device=device, workers=workers, resume=resume,
    )  # fmt: skip
    return load(folder, device=device if device in ("cpu", "cuda") else "auto")
