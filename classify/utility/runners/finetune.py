"""Trials that train a whole network on crops of images, and its scores of images or crops."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from classify.config import DEFECT, DataConfig, NetworkConfig, TrainConfig
from classify.data.examples import Example, Examples
from classify.models.checkpoint import to_pixels
from classify.models.weights import Classifier, build_network, normalization, pretrained
from classify.training.fit import Fitting, fit
from classify.utility.analysis.scores import outcome
from classify.utility.design.bench import Bench
from classify.utility.design.crop_units import CropUnit, labeled_boxes
from classify.utility.design.division import UNCLEAR
from classify.utility.design.sources import pasted_images, paster_of, training_views
from classify.utility.design.trials import PASTED, Settings, Trial
from defects.formats.dataset import open_dataset
from defects.images.decode import encode_image
from defects.manifest import NAME, row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.files.atomic import sha256_bytes, to_json, write_many

_CLASSES = (GOOD, DEFECT)
_BATCH = 16


class ImageCrops:
    """The crops of images, cut as `views_of` does.

    Args:
        samples: The images.
        settings: Size, channels, crop and least defect.

    Attributes:
        examples: All crops, unclear ones as good.
        owners: (N,) index of the image of each crop.
        labels: (N,) 1, 0 or `UNCLEAR`.
        clear: (N,) whether it can be trained on.

    Raises:
        DataError: An image or a mask does not open.
    """

    def __init__(self, samples: Sequence[Sample], settings: Settings) -> None:
        boxes = [
            (index, box, label)
            for index, sample in enumerate(samples)
            for box, label in labeled_boxes(sample, crop=settings.crop, least=settings.least)
        ]
        data = DataConfig.model_validate({"size": settings.size, "channels": settings.channels})
        examples = [Example(samples[index], box, max(label, 0)) for index, box, label in boxes]
        self.examples = Examples("real", examples, _CLASSES, data)
        self.owners: NDArray[np.int64] = np.asarray([index for index, _, _ in boxes], np.int64)
        self.labels: NDArray[np.int64] = np.asarray([label for _, _, label in boxes], np.int64)
        self.clear: NDArray[np.bool_] = self.labels != UNCLEAR
        self.count = len(samples)

    def of(self, images: NDArray[np.bool_]) -> Examples:
        """Clear crops of the images that are marked (P,)."""
        return self.of_views(images[self.owners])

    def of_views(self, views: NDArray[np.bool_]) -> Examples:
        """Clear ones of the crops that are marked (N,)."""
        return self.examples.part(np.flatnonzero(views & self.clear))

    def only(self, units: Sequence[CropUnit], *, each: bool) -> ImageCrops:
        """These crops alone; `each` for itself, or as of their images."""
        keys = {(unit.owner, unit.place) for unit in units}
        firsts = np.searchsorted(self.owners, self.owners)
        at = [n for n, owner in enumerate(self.owners) if (int(owner), n - int(firsts[n])) in keys]
        less = copy(self)
        less.examples = self.examples.part(at)
        less.owners = np.arange(len(at)) if each else self.owners[at]
        less.labels, less.clear = self.labels[at], self.clear[at]
        less.count = len(at) if each else self.count
        return less


def synthetic_examples(samples: Sequence[Sample], like: ImageCrops) -> Examples:
    """Synthetic images, each of which is one crop."""
    examples = [Example(sample, None, int(sample.label != GOOD)) for sample in samples]
    return Examples("synthetic", examples, _CLASSES, like.examples.data)


def together(parts: Sequence[Examples], name: str = "train") -> Examples:
    """All examples of several sets; those of the first share what it has decoded."""
    examples = [example for part in parts for example in part.examples]
    return Examples(name, examples, _CLASSES, parts[0].data).share(parts[0])


def pasted_folder(root: Path, bench: Bench, subset: Sequence[Sample], seed: int, count: int) -> list[Sample]:
    """`count` pasted images of a few-shot split, in a folder of `root` named by a hash of their inputs; written once.

    Raises:
        DataError: Hardly any defect fits into the good images.
        OutputError: The folder cannot be written.
    """
    paster = paster_of(bench.settings, bench.request.pasted, subset, bench.backgrounds, seed)
    names = [_content(sample, bench) for sample in [*subset, *bench.backgrounds]]
    content = [paster.method, paster.seed, vars(paster.crop_spec), names, count]
    folder = root / sha256_bytes(to_json(content))[:16]
    if not (folder / NAME).is_file():
        rows = []
        files: list[tuple[Path, bytes]] = []
        for pasted in pasted_images(paster, count):
            image, mask = folder / "images" / f"{pasted.name}.png", folder / "masks" / f"{pasted.name}.png"
            data = encode_image(pasted.image)
            files += [(image, data), (mask, encode_image(pasted.mask))]
            sample = Sample(pasted.name, image, mask, (), pasted.label, pasted.group, "pasted", pasted.metadata)
            rows.append((sample, sha256_bytes(data)))
        write_many(files)
        write_manifest(folder, [row_of(sample, folder, sha256=digest) for sample, digest in rows])
    return open_dataset(folder).samples


def _content(sample: Sample, bench: Bench) -> str:
    """The content hash of an image or a crop."""
    box = sample.metadata.get("square")
    return bench.hashes[sample.name] if box is None else f"{sample.metadata['sha256']}@{box}"


@torch.inference_mode()
def image_scores(
    network: Classifier,
    crops: ImageCrops,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> NDArray[np.float64]:
    """(P,) the highest logit of each image's crops."""
    network.eval()
    logits = []
    for start in range(0, len(crops.examples), _BATCH):
        batch = crops.examples.batch(range(start, min(start + _BATCH, len(crops.examples))))
        logits.append(network(to_pixels(batch, mean, std)).logits[:, 0].double().numpy())
    starts = np.flatnonzero(np.diff(crops.owners, prepend=-1))
    return np.asarray(np.maximum.reduceat(np.concatenate(logits), starts))


def train_settings(learning_rate: float, batch: int, seed: int) -> TrainConfig:
    """How every arm and scheme trains: classes in balance, half an epoch of warm-up."""
    return TrainConfig(learning_rate=learning_rate, batch_size=batch, balance="sampler", warm_up_epochs=0.5, seed=seed)


class FinetuneRunner:
    """Computes trials.

    Args:
        bench: What is compared.
        folder: Where pasted images of the few-shot splits are written.
        source: The weights to start from.
        threads: Of PyTorch.
    """

    def __init__(
        self,
        bench: Bench,
        folder: Path,
        *,
        source: Literal["imagenet", "none"] | Path = "imagenet",
        threads: int | None = None,
    ) -> None:
        self.bench, self._folder, self._source, self._threads = bench, folder, source, threads
        settings, division = bench.settings, bench.division
        self._train, self._val, self._test = (
            ImageCrops(samples, settings) for samples in (division.train, division.val, division.test)
        )
        if (units := bench.crops) is not None:
            self._train = self._train.only(units.train, each=False)
            self._val = self._val.only(units.val, each=True)
            self._test = self._test.only(units.test, each=True)

    def run(self, trial: Trial) -> dict[str, Any]:
        """Trains, selects by validation and tests; returns the trial's results line without its name.

        Raises:
            WeightsError: The network's weights cannot be loaded.
        """
        began = time.monotonic()
        settings, division = self.bench.settings, self.bench.division
        subset = self.bench.subset(trial.split)
        train = self._train
        parts = [train.of_views(training_views(division.train, subset, train.labels, train.owners, settings.eval_on))]
        counts = self.bench.counts(subset)
        for name in trial.arm.sources:
            own = self._source_of(name, trial, subset)
            parts.append(own)
            counts[name] = len(own)
        config = NetworkConfig(name=settings.network)
        network = build_network(config, 1, trial.seed)
        pretrained(network, config, self._source)
        mean, std = normalization(settings.network)
        fitting = Fitting(
            network,
            together(parts),
            self._val.of(np.ones(self._val.count, np.bool_)),
            train_settings(settings.learning_rate, settings.batch, trial.seed),
            mean=mean,
            std=std,
            preset=settings.preset if trial.arm.classical else None,
            steps=settings.steps,
        )
        fitted = fit(fitting, threads=self._threads)
        val = image_scores(network, self._val, mean, std)
        test = image_scores(network, self._test, mean, std)
        scores, threshold = outcome(val=val, test=test, division=self.bench.scored)
        return {
            **trial.to_dict(),
            **scores,
            "chosen": {"epoch": fitted.best_epoch, "threshold": round(threshold, 6)},
            "images": counts,
            "shots_sha256": [self.bench.hashes[sample.name][:12] for sample in subset],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _source_of(self, name: str, trial: Trial, subset: list[Sample]) -> Examples:
        """The images of a source that the trial takes."""
        if name == PASTED and self.bench.pasted is None:
            count = trial.count(len(subset))
            samples = pasted_folder(self._folder / "pasted", self.bench, subset, trial.seed, count)
            return synthetic_examples(samples, self._train)
        folder, at = self.bench.draw_source(name, trial, subset)
        return synthetic_examples([folder.samples[index] for index in at], self._train)
