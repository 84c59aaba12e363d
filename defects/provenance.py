"""Where the images of a synthetic sample folder come from: `generator.json`, written by `gen-defects`.

It holds what measuring and mixing need of a checkpoint's description: how an image is cropped to be compared with the
generated ones, what the guide values mean, and which images the generator was trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.attributes.guide import GuideSchema
from defects.images.crops import CropSpec
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import from_json, sha256_file

file_name = "generator.json"


@dataclass(frozen=True)
class Provenance:
    """A generator as the folder of its images describes it; what an old checkpoint lacks is None or empty.

    Attributes:
        checkpoint: SHA-256 of the weights.
        size: Side S of the generator's images, px; those of the folder may be of another `--size`.
        channels: 1 or 3.
        crop: Side of the training crops in the image, px, resized to S; None for the image's shorter side.
        schema: The guide entries and their scales.
        architecture: Of the network.
        layout: Of the folder it was trained on.
        license: Of the data, and so of the weights and the images.
        train: Number of training images.
        defective: Those of them with a defect.
        classes: The defect classes it was trained on.
        test: Names of the images that were held out.
        train_sha256: SHA-256 of every training image file.
    """

    checkpoint: str
    size: int
    channels: int
    crop: int | None = None
    schema: GuideSchema | None = None
    architecture: str | None = None
    layout: str | None = None
    license: str | None = None
    train: int | None = None
    defective: int | None = None
    classes: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    train_sha256: frozenset[str] = frozenset()

    @property
    def crop_spec(self) -> CropSpec:
        """How an image is cropped to be compared with the generator's images."""
        return CropSpec(self.size, self.crop, self.channels)

    def to_dict(self) -> dict[str, Any]:
        """The content of `generator.json`."""
        return {
            "checkpoint": self.checkpoint,
            "architecture": self.architecture,
            "size": self.size,
            "channels": self.channels,
            "window": self.crop,
            "guides": self.schema.to_dict() if self.schema is not None else None,
            "data": {
                "layout": self.layout,
                "licence": self.license,
                "train": self.train,
                "defective": self.defective,
                "kinds": list(self.classes),
                "test": list(self.test),
                "train_sha256": sorted(self.train_sha256),
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Provenance:
        """Reads what `to_dict` wrote; unknown keys are ignored, absent ones are None or empty.

        Raises:
            ValueError: A value is of another type, or checkpoint, size or channels are missing.
        """
        data = _typed(content, "data", dict) or {}
        guides = _typed(content, "guides", dict)
        try:
            schema = GuideSchema.from_dict(guides) if guides else None
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("expected guides as a checkpoint holds them, got others") from None
        size, channels, crop = (_typed(content, key, int) for key in ("size", "channels", "window"))
        checkpoint = _typed(content, "checkpoint", str)
        if not checkpoint or not size or size < 1 or channels not in (1, 3) or (crop is not None and crop < 1):
            raise ValueError("expected a checkpoint, a size, 1 or 3 channels and a crop, if any, of at least 1 px")
        return cls(
            checkpoint,
            size,
            channels,
            crop,
            schema,
            _typed(content, "architecture", str),
            _typed(data, "layout", str),
            _typed(data, "licence", str),
            _typed(data, "train", int),
            _typed(data, "defective", int),
            _words(data, "kinds"),
            _words(data, "test"),
            frozenset(_words(data, "train_sha256")),
        )

    @classmethod
    def from_checkpoint(cls, meta: Mapping[str, Any], sha256: str) -> Provenance:
        """From a generator's description; the license stated at a release stands before that of the training.

        Raises:
            ValueError: A value is of another type, or is missing.
        """
        data, network = _typed(meta, "data", dict) or {}, _typed(meta, "network", dict) or {}
        training = _typed(_typed(meta, "config", dict) or {}, "data", dict) or {}
        return cls.from_dict(
            {
                "checkpoint": sha256,
                "architecture": meta.get("architecture"),
                "size": network.get("size"),
                "channels": network.get("channels"),
                "window": training.get("crop", training.get("window")),
                "guides": meta.get("guides"),
                "data": data | {"licence": meta.get("licence") or data.get("licence")},
            }
        )


def read_provenance(folder: Path) -> Provenance | None:
    """What a sample folder says of its generator; None where it says nothing.

    Raises:
        DataError: The file is there and unreadable or damaged.
    """
    path = folder / file_name
    try:
        content = from_json(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, got a {type(content).__name__}")
        return Provenance.from_dict(content)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions", code="E-provenance-unreadable"
        ) from None
    except ValueError as error:
        reason = "is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else str(error)
        raise DataError(
            f"{path}: is damaged ({reason}); generate the folder again by gen-defects", code="E-provenance-damaged"
        ) from None


def image_hashes(samples: Sequence[Sample]) -> list[str]:
    """SHA-256 of every image file, read anew: the column of a manifest may be out of date.

    Raises:
        DataError: A file cannot be read.
    """

    def read(path: Path) -> str:
        try:
            return sha256_file(path)
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror}; restore it or check its permissions", code="E-image-unreadable"
            ) from None

    paths = list(dict.fromkeys(sample.image for sample in samples))
    with ThreadPoolExecutor(4) as pool:
        digests = dict(zip(paths, pool.map(read, paths), strict=True))
    return [digests[sample.image] for sample in samples]


def _typed(content: Mapping[str, Any], key: str, expected_type: type) -> Any:
    """A value of one type; None where it is absent or null."""
    value = content.get(key)
    if value is None or (isinstance(value, expected_type) and not isinstance(value, bool)):
        return value
    raise ValueError(f"expected {key} to be {expected_type.__name__} or null, got {value!r:.40}")


def _words(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _typed(content, key, list) or []
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"expected {key} to hold names, got others")
    return tuple(values)
