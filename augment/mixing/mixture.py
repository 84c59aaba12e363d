"""The Python API of mixing and pasting: `augment.mix` and `augment.paste`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augment.mixing.folder import WriteResult, input_folders, write_mixture
from augment.mixing.holdout import SplitResult, split_real, with_groups
from augment.mixing.plan import Plan
from augment.mixing.planning import make_plan
from augment.mixing.request import Request, Thresholds, parse_ratio
from augment.mixing.sources import hashes_by_name, read_generator_split
from augment.pasting.folder import write_pasted
from augment.pasting.paster import METHODS, Paster
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from defects.images.decode import image_info
from defects.manifest import NAME, sample_of
from defects.sample import GOOD
from engine.config import nearest
from engine.errors import DataError, UsageError
from engine.files.atomic import check_apart, from_json

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from augment.mixing.dataset import MixedDataset

Folder = str | os.PathLike[str]


@dataclass(frozen=True)
class Mixture:
    """A planned mixture: to train on directly, or to write as a folder.

    Attributes:
        plan: Its images by split, what is left out, the strata and the warnings.
    """

    plan: Plan

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def classes(self) -> list[str]:
        """`good` first, then by name; a label is an index of this list."""
        return self.plan.classes

    @property
    def warnings(self) -> list[str]:
        """What is left out or unknown, one message each."""
        return self.plan.warnings

    def summary(self) -> dict[str, Any]:
        """Images by split, source and class, the shares of an epoch and the dropped images, as JSON."""
        return self.plan.summary()

    def dataset(self, split: str = "train") -> MixedDataset:
        """The images of `train`, `val` or `test`, read and augmented on demand.

        An item has `image` (C, H, W) and `mask` (1, H, W), float in [0, 1], `label`, `source` and `name`.
        """
        from augment.mixing.dataset import MixedDataset

        return MixedDataset(self.plan, split)

    def dataloader(self, split: str = "train", batch_size: int = 32, *, workers: int = 0) -> DataLoader[dict[str, Any]]:
        """Batches of a split: epochs with the sampling weights for `train`, else the images in order.

        Args:
            split: `train`, `val` or `test`.
            batch_size: Images per batch; they must have one size unless it is 1.
            workers: Processes that read and augment; 0 for this one.

        Returns:
            A loader whose `sampler.set_epoch(number)` selects the epoch of the training split.
        """
        from torch.utils.data import DataLoader

        from augment.mixing.dataset import EpochSampler

        data = self.dataset(split)
        sampler = EpochSampler(data) if split == "train" else None
        return DataLoader(data, batch_size=batch_size, sampler=sampler, num_workers=workers)

    def write(self, out: Folder, *, resume: bool = False, workers: int = 2) -> WriteResult:
        """Writes the mixture as a sample folder per split, as `mix-defects` does.

        Args:
            out: The folder.
            resume: Continue a folder begun with the same settings.
            workers: Threads.

        Raises:
            OutputError: The folder is in use, not empty, or cannot be written.
            UsageError: It lies inside an input folder, or was begun with other settings.
            DataError: An image does not open.
        """
        check_apart(Path(out), input_folders(self.plan.request))
        return write_mixture(self.plan, Path(out), resume=resume, workers=workers)


def mix(
    real: Folder,
    sources: Mapping[str, Folder] | None = None,
    *,
    ratio: str | Sequence[float] = (),
    preset: str = "",
    augmentations: int = 1,
    balance: Sequence[str] = (),
    sampling_weights: Mapping[str, float] | None = None,
    epoch: int | None = None,
    val: float = 0.1,
    test: float = 0.2,
    split_from: str = "auto",
    size: int | None = None,
    crop: int | None = None,
    native: bool = False,
    scores: Sequence[Folder] = (),
    thresholds: Thresholds | None = None,
    keep_unscored: bool = False,
    class_map: Mapping[str, str] | None = None,
    check: str = "near-duplicates",
    drop_near_duplicates: bool = False,
    layout: str = "auto",
    device: str = "",
    seed: int = 0,
    workers: int = 2,
) -> Mixture:
    """Mixes real with synthetic, pasted and augmented images; only real images validate and test.

    With the same settings it is the mixture of `mix-defects`, image by image.

    Args:
        real: Folder of real images, in any layout.
        sources: Other folders by name: those of `gen-defects`, and one of `augment.paste`, which is recognized by its
            manifest or by the name `pasted`.
        ratio: Real : synthetic [: pasted] training images, such as (1, 0.5) or "1:0.5"; empty takes all.
        preset: Name or YAML file of augmentations; empty for none.
        augmentations: Augmented images per training image.
        balance: Any of `class`, `size` and `brightness`: their strata are filled evenly, empty ones first.
        sampling_weights: Share of `real`, `synthetic` and `pasted` in an epoch; by the number of images if None.
        epoch: Images per epoch; all training images with their augmentations if None.
        val: Share of the real images for validation.
        test: Share of the real images for the test.
        split_from: `auto` (the generators' split), `none`, `column`, or a `generator.json` or checkpoint.
        size: Side of the crops after resizing, px; the generator's if None.
        crop: Side of the crops in the image, px.
        native: Use whole images at their own size.
        scores: Files `scores.jsonl` of `bench-fid`.
        thresholds: Scores that synthetic images must reach.
        keep_unscored: Use synthetic images without a score.
        class_map: New names of classes.
        check: `near-duplicates` compares training with held-out images by pixels, `files` by checksums only.
        drop_near_duplicates: Drop near-duplicates of held-out images instead of raising an error.
        layout: Of `real`.
        device: Augment in batches on `auto`, `cpu` or `cuda`; empty for one image at a time on the CPU.
        seed: Of all random choices.
        workers: Threads.

    Raises:
        DataError: Folders do not fit together, images leak, or classes cannot be split.
        UsageError: A setting is unknown or cannot be met.
    """
    synthetic: dict[str, Path] = {}
    pasted: Path | None = None
    for name, folder in (sources or {}).items():
        if name != "pasted" and not _is_pasted(Path(folder)):
            synthetic[name] = Path(folder)
        elif pasted is None:
            pasted = Path(folder)
        else:
            what = f"{folder}: a second folder of pasted images; paste into one folder"
            raise UsageError(what, code="E-mix-two-pasted")
    shares = parse_ratio(ratio if isinstance(ratio, str) else ":".join(map(str, ratio)))
    request = Request(
        Path(real), synthetic, pasted, layout, shares, tuple(balance), preset,
        augmentations, val, test, split_from, dict(sampling_weights or {}), epoch, size, crop, native,
        tuple(Path(path) for path in scores), thresholds or Thresholds(), keep_unscored, dict(class_map or {}), check,
        drop_near_duplicates, seed, device,
    )  # fmt: skip
    return Mixture(make_plan(request, workers=workers))


def _is_pasted(folder: Path) -> bool:
    """Whether the first row of the folder's manifest is a pasted image."""
    try:
        with open(folder / NAME, encoding="utf-8-sig") as file:
            return sample_of(from_json(file.readline()), folder).source == "pasted"
    except (OSError, ValueError, AttributeError, DataError):
        return False  # opening the folder reports what is wrong with it


@dataclass(frozen=True)
class PasteResult:
    """Pasted images.

    Attributes:
        out: Their folder.
        images: Number of images in it.
        classes: Their defect classes.
        training: Number of real training images, which they are pasted from.
        held_out: Number of real images that are held out for validation and test, and not used.
        split_by: How the real images are split, in words.
        written: Number of images written now.
        seconds: Of this run.
    """

    out: Path
    images: int
    classes: tuple[str, ...]
    training: int
    held_out: int
    split_by: str
    written: int
    seconds: float


def paste(
    real: Folder,
    out: Folder,
    *,
    num: int = 100,
    method: str = "alpha",
    label: str = "texture",
    size: int | None = None,
    crop: int | None = None,
    val: float = 0.1,
    test: float = 0.2,
    split_from: str = "none",
    layout: str = "auto",
    seed: int = 0,
    resume: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> PasteResult:
    """Pastes real defects into good training images, with exact masks, as `mix-defects paste` does.

    Args:
        real: Folder of real images, in any layout; held-out ones are not used.
        out: Sample folder to write.
        num: Number of images.
        method: `alpha` or `poisson` blend a real defect in; `perlin` a texture.
        label: Class of the defects of `perlin`.
        size: Side of the crops after resizing, px; None for whole images.
        crop: Side of the crops in the image, px.
        val: Share of the real images for validation.
        test: Share of the real images for the test.
        split_from: `none`, `column`, or a `generator.json` whose split is used, as in the mixture.
        layout: Of `real`.
        seed: Of all random choices; that of the mixture, for the same split.
        resume: Continue a folder begun with the same settings.
        dry_run: Check everything, write nothing.
        on_progress: Called with the number of images completed since the last call.

    Raises:
        UsageError: A setting is unknown.
        DataError: The folder cannot be read or split, an image does not open, or no defect fits.
        OutputError: The folder is not empty, in use or cannot be written.
    """
    start, folder = time.perf_counter(), Path(out)
    if method not in METHODS:
        raise UsageError(f"--method: unknown {method!r}; {nearest(method, METHODS)}", code="E-mix-unknown-value")
    if crop is not None and size is None:
        raise UsageError("--crop: the size of the resized crops is unknown; give --size too", code="E-mix-no-size")
    check_apart(folder, {"--real": Path(real)})
    split = training_split(Path(real), layout=layout, val=val, test=test, split_from=split_from, seed=seed)
    train = split.samples["train"]
    channels = 3 if image_info(train[0].image).channels >= 3 else 1
    crop_spec = None if size is None else CropSpec(size, crop, channels)
    defective, good = ([s for s in train if (s.label == GOOD) is is_good] for is_good in (False, True))
    paster = Paster(defective, good, method=method, seed=seed, crop_spec=crop_spec, texture_label=label)
    written = 0 if dry_run else write_pasted(folder, paster, num, resume=resume, on_progress=on_progress)
    seconds = time.perf_counter() - start
    return PasteResult(folder, num, paster.classes, len(train), len(split.held_out), split.method, written, seconds)


def training_split(
    real: Path, *, layout: str = "auto", val: float = 0.1, test: float = 0.2, split_from: str = "none", seed: int = 0
) -> SplitResult:
    """Splits the images of a folder as `mix-defects` does with the same settings.

    Raises:
        DataError: The folder cannot be read or split.
        UsageError: A setting is wrong.
    """
    usable = [s for s in open_dataset(real, layout).samples if s.source in ("real", "procedural") and s.has_pixels]
    if not usable:
        what = f"{real}: no real image with known pixels in it; see `check-data {real}` for what was read"
        raise DataError(what, code="E-mix-no-images")
    samples, _ = with_groups(usable)
    known = None if split_from in ("none", "auto", "column") else read_generator_split(Path(split_from))
    hashes = hashes_by_name(samples) if known is not None else {}
    fractions = {"val": val, "test": test}
    return split_real(samples, fractions, seed, known=known, hashes=hashes, column=split_from == "column")
