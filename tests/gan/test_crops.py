"""Training crops: what is random is decided by the seed, and image, mask and guide stay together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defects.attributes.appearance import luminance
from defects.attributes.guide import measure
from defects.images.decode import as_channels, encode_image
from defects.masks.width import Mask, width
from defects.sample import GOOD, Sample
from gan.config import DataConfig
from gan.data.crops import CropSource, TrainingCrop

TURNED = DataConfig(rotation=180, zoom=0.3, shear=20)
PLAIN = DataConfig(rotation=0, zoom=0, shear=0, horizontal_flip=False, vertical_flip=False, width_jitter=1)


def save(folder: Path, image: np.ndarray, mask: Mask, label: str = "crack") -> Sample:
    (folder / "image.png").write_bytes(encode_image(image, "png"))
    (folder / "mask.png").write_bytes(encode_image(mask, "png"))
    return Sample("image", folder / "image.png", folder / "mask.png", label=label)


def planted(side: tuple[int, int] = (48, 60), channels: int = 3) -> tuple[np.ndarray, Mask]:
    """A white L on black, and the same as a mask: wherever the image goes, the mask must go."""
    mask = np.zeros(side, bool)
    mask[20:34, 22:26] = mask[30:34, 22:36] = True
    return np.repeat(mask[..., None], channels, axis=2).astype(np.uint8) * 255, mask


def source(
    sample: Sample, config: DataConfig = TURNED, *, size: int = 32, channels: int = 3, **column: str
) -> CropSource:
    return CropSource([sample], [dict(column)], size=size, channels=channels, config=config)


def same(a: TrainingCrop, b: TrainingCrop) -> bool:
    arrays = zip((a.image, a.mask, a.condition), (b.image, b.mask, b.condition), strict=True)
    return a.guide == b.guide and all(np.array_equal(x, y) for x, y in arrays)


def rngs(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_the_same_seed_gives_the_same_crop_and_another_one_another(tmp_path: Path) -> None:
    crops = source(save(tmp_path, *planted()))
    again = source(save(tmp_path, *planted()))
    for seed in range(5):
        first = crops.cut(0, np.random.default_rng(seed))
        assert same(first, again.cut(0, np.random.default_rng(seed)))
        assert not same(first, crops.cut(0, np.random.default_rng(seed + 100)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("config", [TURNED, DataConfig(), DataConfig(crop=24), DataConfig(crop=40), PLAIN])
def test_a_crop_has_the_shapes_of_the_network(tmp_path: Path, config: DataConfig, channels: int) -> None:
    crops = source(save(tmp_path, *planted()), config, channels=channels)
    for rng in [None, *rngs(5)]:
        crop = crops.cut(0, rng)
        assert crop.image.shape == (32, 32, channels)
        assert crop.image.dtype == np.uint8
        assert crop.mask.shape == crop.condition.shape == (32, 32)
        assert crop.mask.dtype == crop.condition.dtype == np.bool_


@pytest.mark.parametrize("side", [(32, 32), (48, 60), (200, 90)])
@pytest.mark.parametrize("crop", [None, 32])
def test_a_crop_of_a_defective_part_holds_defect_pixels(
    tmp_path: Path, side: tuple[int, int], crop: int | None
) -> None:
    mask = np.zeros(side, bool)
    mask[1:4, -4:-1] = True
    image = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 200
    crops = source(save(tmp_path, image, mask), TURNED.model_copy(update={"crop": crop}))
    for rng in [None, *rngs(40)]:
        cut = crops.cut(0, rng)
        assert cut.mask.any()
        assert cut.condition.any()
        assert set(cut.guide) == {"thickness", "brightness"}


@pytest.mark.parametrize(
    "change", [{"rotation": 180}, {"zoom": 0.5}, {"shear": 30}, {"horizontal_flip": True}, {"vertical_flip": True}]
)
def test_image_and_mask_are_moved_together_by_every_augmentation(tmp_path: Path, change: dict[str, object]) -> None:
    crops = source(save(tmp_path, *planted()), PLAIN.model_copy(update={"crop": 32, **change}))
    known = set()
    for rng in rngs(20):
        crop = crops.cut(0, rng)
        assert np.array_equal(crop.image[..., 0] >= 128, crop.mask)
        known.add(crop.mask.tobytes())
    assert len(known) > 5


def test_the_flips_mirror_and_do_nothing_else(tmp_path: Path) -> None:
    image, mask = planted((32, 32))
    for name, flipped in (("horizontal_flip", mask[:, ::-1]), ("vertical_flip", mask[::-1])):
        crops = source(save(tmp_path, image, mask), PLAIN.model_copy(update={name: True}))
        known = {crops.cut(0, rng).mask.tobytes() for rng in rngs(12)}
        assert known == {mask.tobytes(), np.ascontiguousarray(flipped).tobytes()}


def test_without_augmentation_the_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image, (_, mask) = rng.integers(0, 256, (48, 60, 3)).astype(np.uint8), planted()
    crops = source(save(tmp_path, image, mask), PLAIN.model_copy(update={"crop": 32}))
    for draw in [None, *rngs(5)]:
        crop = crops.cut(0, draw)
        places = np.lib.stride_tricks.sliding_window_view(image, (32, 32), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
        assert (places == crop.image).all(axis=(2, 3, 4)).any()


def test_the_width_of_the_condition_is_jittered_while_the_guide_keeps_the_true_one(tmp_path: Path) -> None:
    crops = source(save(tmp_path, *planted()), TURNED.model_copy(update={"width_jitter": 2.0}))
    changed = []
    for rng in rngs(40):
        crop = crops.cut(0, rng)
        assert crop.guide == measure(crop.image, crop.mask)
        assert crop.guide["thickness"] == width(crop.mask)
        if not np.array_equal(crop.condition, crop.mask):
            changed.append(width(crop.condition) / width(crop.mask))
    assert 8 < len(changed) < 32
    assert min(changed) < 0.85
    assert max(changed) > 1.2
    assert min(changed) > 0.3
    assert max(changed) < 2.6


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_jittered_conditions_is_a_matter_of_configuration(tmp_path: Path, share: float) -> None:
    config = PLAIN.model_copy(update={"width_jitter": 2.5, "jitter_share": share})
    crops = [source(save(tmp_path, *planted()), config).cut(0, rng) for rng in rngs(12)]
    retained = sum(np.array_equal(w.condition, w.mask) for w in crops)
    if share:  # a factor near 1 may leave a mask as it is
        assert retained < 4
        widths = [width(w.condition) / width(w.mask) for w in crops]
        assert min(widths) < 0.7
        assert max(widths) > 1.6
    else:
        assert retained == 12


def test_a_plain_crop_and_a_jitter_of_one_keep_the_mask(tmp_path: Path) -> None:
    sample = save(tmp_path, *planted())
    assert np.array_equal(*[getattr(source(sample).cut(0, None), name) for name in ("mask", "condition")])
    for rng in rngs(10):
        crop = source(sample, PLAIN).cut(0, rng)
        assert np.array_equal(crop.mask, crop.condition)


def test_a_good_part_has_no_mask_and_no_measured_guide(tmp_path: Path) -> None:
    image, mask = planted()
    crops = source(save(tmp_path, image, np.zeros_like(mask), GOOD), background="dark")
    for rng in [None, *rngs(5)]:
        crop = crops.cut(0, rng)
        assert not crop.mask.any()
        assert not crop.condition.any()
        assert crop.guide == {"background": "dark"}


def test_given_columns_stand_in_the_guide(tmp_path: Path) -> None:
    guide = source(save(tmp_path, *planted()), kind="crack").cut(0, None).guide
    assert list(guide) == ["kind", "thickness", "brightness"]


def test_gray_is_repeated_and_color_becomes_luminance() -> None:
    rng = np.random.default_rng(0)
    gray, color = (rng.integers(0, 256, (8, 9, channels)).astype(np.uint8) for channels in (1, 3))
    repeated = as_channels(gray, 3)
    assert all(np.array_equal(repeated[..., c], gray[..., 0]) for c in range(3))
    assert np.array_equal(as_channels(color, 1)[..., 0], np.round(luminance(color) * 255))
    assert as_channels(color, 3) is color
    assert as_channels(gray, 1) is gray


@pytest.mark.parametrize(("stored", "requested"), [(1, 3), (3, 1)])
def test_files_of_another_channel_count_are_converted(tmp_path: Path, stored: int, requested: int) -> None:
    crop = source(save(tmp_path, *planted(channels=stored)), channels=requested).cut(0, None)
    assert crop.image.shape[2] == requested
    assert set(np.unique(crop.image[crop.mask])) <= set(range(128, 256))


def test_a_thin_defect_survives_the_reduction_of_a_large_image(tmp_path: Path) -> None:
    mask = np.zeros((400, 400), bool)
    mask[200, 100:300] = True
    image = np.full((400, 400, 1), 90, np.uint8)
    assert source(save(tmp_path, image, mask), channels=1).cut(0, None).mask.sum() >= 16
