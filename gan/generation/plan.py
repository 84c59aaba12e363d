"""The plan of a run, decided before anything is written: its jobs, the network that samples them, and their images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from defects.attributes.guide import GuideValue
from defects.provenance import Provenance
from engine.errors import Issue, UsageError
from engine.runtime.device import inference_dtype, prepare, select_device, select_precision
from engine.seeding import torch_generator
from gan.checkpoint import LoadedGenerator, load_generator
from gan.generation.jobs import Job, JobList, Request
from gan.generation.masks import inspect, list_masks
from gan.networks.layers import to_pixels
from gan.networks.magna_generator import Noise

if TYPE_CHECKING:
    from engine.run.sample_folder import Item
    from gan.networks.registry import WholeImageGenerator

LONGEST_SUFFIX = 32
"""Room that an image's name, its extension and its temporary's name need beyond the mask's name."""
MICRO_BATCH = {"cpu": 8, "cuda": 32}

Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True)
class GeneratedImage:
    """An image with its label.

    Attributes:
        pixels: (H, W, C) uint8.
        mask: (H, W) the defect's pixels.
        label: Name of the defect's class.
        raw: Guide values; lengths are in px of this image.
        scaled: Guide values, numeric ones in 0..1.
        columns: Further columns of its manifest row.
        passed: False where it is not to be written.
        rejected: Rows of `rejected.jsonl`, a candidate each.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    label: str
    raw: Mapping[str, GuideValue]
    scaled: Mapping[str, GuideValue]
    columns: Mapping[str, Any] = field(default_factory=dict)
    passed: bool = True
    rejected: tuple[Mapping[str, Any], ...] = ()


class NetworkRunner(Generic[Network]):
    """A network ready to generate.

    Args:
        network: It is moved and converted in place.
        device: Where to compute.
        seed: Of all noise.
        dtype: Number format; None for the fastest that the device has.
    """

    count = 1
    """How many jobs are generated together."""

    def __init__(self, network: Network, device: torch.device, seed: int, dtype: torch.dtype | None = None) -> None:
        self.device, self.seed = device, seed
        self.dtype = dtype or inference_dtype(device)
        self.network = prepare(network, device, self.dtype)


class Sampler(NetworkRunner[Any]):
    """Masks, guides and noise keys to pixels, in padded micro-batches of a fixed size.

    A kernel's rounding depends on the batch's size and on the number of threads. Here the size is a constant, and a
    thread that samples computes alone (`torch.set_num_threads(1)`); several threads sample different micro-batches.
    """

    def __init__(
        self, network: WholeImageGenerator, device: torch.device, seed: int, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(network, device, seed, dtype)
        self.count = MICRO_BATCH[device.type]

    def sample(
        self,
        masks: Sequence[NDArray[np.bool_]],
        vectors: Sequence[NDArray[np.float32]],
        keys: Sequence[tuple[str | int, ...]],
    ) -> NDArray[np.uint8]:
        """Up to `count` images.

        Args:
            masks: (S, S) each, at the generator's size.
            vectors: (G,) guide vectors.
            keys: What the noise of each image depends on, besides the seed.

        Returns:
            (n, S, S, C) uint8, see `to_pixels`.

        Raises:
            ValueError: There are more masks than fit into the micro-batch.
        """
        n = len(masks)
        if not 0 < n <= self.count:
            raise ValueError(f"expected 1 to {self.count} masks, got {n}; cut the jobs into micro-batches")
        noise = self.network.sample_noise([torch_generator(self.seed, *key) for key in keys])
        padded = Noise(self._padded(noise.latent), tuple(self._padded(texture) for texture in noise.texture))
        with torch.inference_mode():
            images = self.network(
                self._padded(torch.from_numpy(np.stack(masks)[:, None])),
                padded,
                self._padded(torch.from_numpy(np.stack(vectors))),
            )
            return to_pixels(images[:n])

    def _padded(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows moved to the device, converted, and filled up with zeros to the micro-batch's size."""
        full = F.pad(rows.to(self.dtype), (0, 0) * (rows.dim() - 1) + (0, self.count - rows.shape[0]))
        if full.dim() == 4:
            full = full.contiguous(memory_format=torch.channels_last)
        return full.to(self.device)


@dataclass(frozen=True)
class Plan:
    """What a run generates and with what.

    Attributes:
        jobs: The images.
        sampler: The network, ready.
        checkpoint: SHA-256 of the generator.
        description: All that decides the bytes, for `request.json`.
        provenance: What the generator says of itself, for `generator.json`.
        warnings: About the masks.
        notes: About the rest.
    """

    jobs: JobList
    sampler: NetworkRunner[Any]
    checkpoint: str
    description: dict[str, Any]
    provenance: Provenance
    warnings: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()

    optional: ClassVar[bool] = False
    """Whether some images may be left out."""
    logs: ClassVar[tuple[str, ...]] = ()
    """Files that `log_rejections` writes."""

    @property
    def side(self) -> int | None:
        """Of the written images, px; None where they differ."""
        return self.jobs.size

    @property
    def micro_batch(self) -> int:
        """How many jobs are generated together."""
        return self.sampler.count

    def warnings_of(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Warnings about the generated images, from their rows."""
        widths = self.jobs.trained_widths
        return width_warnings(rows, widths, len(self.jobs.masks.entries)) if widths else []

    @contextmanager
    def log_rejections(self, out: Path, done: int) -> Iterator[Callable[[Sequence[Item]], object] | None]:  # noqa: ARG002
        """What is called before the rows of some images are written; None where no image is ever rejected."""
        yield None

    def why_empty(self, out: Path) -> str:  # noqa: ARG002
        """Why no image was written."""
        return "no image was generated"

    def generate(self, jobs: Sequence[Job]) -> list[GeneratedImage]:
        """The images of a micro-batch."""
        items = [self.jobs.resolve(job) for job in jobs]
        keys = [self.jobs.noise_key(job) for job in jobs]
        sampler = cast(Sampler, self.sampler)
        images = sampler.sample([item.condition for item in items], [item.vector for item in items], keys)
        return [
            GeneratedImage(_resized(image, self.jobs.size), item.mask, item.label, item.raw, item.scaled)
            for item, image in zip(items, images, strict=True)
        ]


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if size == image.shape[0]:
        return image
    interpolation = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    resized = cv2.resize(image, (size, size), interpolation=interpolation)
    return resized.reshape(size, size, -1).astype(np.uint8, copy=False)


def make_plan(
    request: Request,
    masks: Path,
    checkpoint: Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 2,
) -> Plan:
    """Reads the generator and every mask.

    Args:
        request: What to generate.
        masks: A mask image or a folder, see `gan.generation.masks.list_masks`.
        checkpoint: A checkpoint or run folder; None for the bundled generator.
        device: See `engine.runtime.device.select_device`.
        precision: `auto`, `bf16` or `fp32`.
        workers: Threads that read masks.

    Raises:
        MagnaError: The request, the generator or a mask cannot be used; all masks with errors are listed.
    """
    where, dtype = select_device(device), select_precision(precision)
    listed = list_masks(masks, longest_suffix=LONGEST_SUFFIX)
    generator = load_generator(checkpoint)
    check_whole_images(generator)
    jobs = JobList(request, listed, generator.schema, generator.table, generator.size, generator.provenance.classes)
    inspected = inspect(listed, workers=workers)
    sampler = Sampler(cast("WholeImageGenerator", generator.network), where, request.seed, dtype)
    description = {
        "masks": {"count": len(listed.entries), "sha256": inspected.digest},
        "checkpoint": generator.sha256,
        **request.describe(jobs.guide, jobs.size),
        "classes": list(jobs.classes),
        "device": where.type,
        "precision": str(sampler.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }
    warnings = (*jobs.warnings(), *inspected.warnings)
    return Plan(jobs, sampler, generator.sha256, description, generator.provenance, warnings)


def check_whole_images(generator: LoadedGenerator) -> None:
    """Refuses a generator that blends defects into backgrounds.

    Raises:
        UsageError: It is one.
    """
    if generator.blends:
        raise UsageError(
            "this generator blends defects into backgrounds; give --backgrounds a folder of good images, "
            "or --checkpoint a generator of whole images",
            code="E-generate-needs-backgrounds",
        )


def width_warnings(rows: Iterable[Mapping[str, Any]], widths: tuple[float, float], masks: int) -> list[str]:
    """Masks thinner or thicker than all training masks; the images of a mask follow each other."""
    latest, outside = "", 0
    for row in rows:
        if row["mask_source"] != latest and not widths[0] <= row["guide"]["raw"]["thickness"] <= widths[1]:
            latest = row["mask_source"]
            outside += 1
    if not outside:
        return []
    return [
        f"{outside} of {masks} masks are thinner or thicker than the generator was trained on "
        f"({widths[0]:.1f}..{widths[1]:.1f} px); their labels stay as they are, but the images may not: "
        "give --guide thickness=0..1"
    ]
