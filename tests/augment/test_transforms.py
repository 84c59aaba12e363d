"""The catalog on the CPU: masks stay true, random choices are seeded, results are those of albumentations."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import cv2
import numpy as np
import pytest

from augment.transforms.catalog import CATALOG, PipelineConfig
from augment.transforms.geometry import Matrix, matrix_of
from augment.transforms.lighting import albumentations, normal_field, uniform_field
from augment.transforms.pipeline import Pipeline
from augment.transforms.plan import generator_for
from tests.builders.blobs import SHAPE, defect, smooth_image

MOVES = [name for name, entry in CATALOG.items() if entry.moves]


def as_array(matrix: Matrix) -> np.ndarray:
    """(3, 3)."""
    return np.array(matrix).reshape(3, 3)


def one(name: str, least: float = 0.5, **settings: Any) -> Pipeline:
    """A pipeline of one step that is always applied."""
    return Pipeline(PipelineConfig.model_validate({"min_defect_kept": least, "steps": [{name: {"p": 1, **settings}}]}))


def test_the_catalog_has_every_transform_of_the_specification() -> None:
    assert {name for name, entry in CATALOG.items() if entry.family == "camera"} >= {
        "centre_crop", "horizontal_flip", "vertical_flip", "rotation", "shear", "translation", "zoom", "perspective",
    }  # fmt: skip
    assert {name for name, entry in CATALOG.items() if entry.family == "lighting"} >= {
        "gaussian_noise", "poisson_noise", "salt_and_pepper", "colour_space", "channel_shift", "mixing",
        "random_erasing", "sharpness", "brightness", "contrast", "gamma", "gaussian_blur",
    }  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CATALOG)
def test_every_transform_works_on_gray_and_color_and_leaves_its_input(name: str, channels: int) -> None:
    image, mask = smooth_image(channels), defect()
    before = image.copy(), mask.copy()
    partner = (smooth_image(channels, seed=5), np.zeros(SHAPE, bool))
    result, label, applied = one(name)(image, mask, generator_for(3), [partner])
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert label.shape == SHAPE
    assert label.dtype == np.bool_
    assert np.array_equal(image, before[0])
    assert np.array_equal(mask, before[1])
    first = result.copy(), label.copy()
    one(name)(smooth_image(channels, seed=6), mask, generator_for(4), [partner])
    assert np.array_equal(result, first[0]), "no memory of the engine is returned"
    assert np.array_equal(label, first[1])
    skipped = channels == 1 and CATALOG[name].color
    assert applied == [f"{name}:skipped" if skipped else name]
    assert (result == image).all() == skipped


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", ["reflect", "edge", "black"])
@pytest.mark.parametrize("name", MOVES)
def test_a_mask_moves_with_its_image(name: str, border: str, channels: int) -> None:
    """An image that equals its mask still equals it afterwards."""
    mask = defect()
    image = np.repeat(mask[..., None] * np.uint8(255), channels, 2)
    config = PipelineConfig.model_validate({"border": border, "steps": [{name: {"p": 1}}]})
    for seed in range(5):
        result, label, _ = Pipeline(config)(image, mask, generator_for(seed))
        assert np.array_equal(result[..., 0] >= 128, label)
        assert label.any()


@pytest.mark.parametrize("name", [name for name in CATALOG if name not in (*MOVES, "random_erasing", "mixing")])
def test_lighting_leaves_the_mask_alone(name: str) -> None:
    _, label, _ = one(name)(smooth_image(), defect(), generator_for(0))
    assert np.array_equal(label, defect())


def test_moves_that_follow_one_another_are_one_warp() -> None:
    """Rotated there and back is the image itself: nothing is cut off or smoothed in between."""
    there = {"rotation": {"p": 1, "degrees": 40}}
    back = {"rotation": {"p": 1, "degrees": -40}}
    image, mask = smooth_image(), defect()
    result, label, _ = Pipeline(PipelineConfig.model_validate({"steps": [there, back]}))(image, mask, generator_for(0))
    assert np.abs(result.astype(int) - image).max() <= 1
    assert np.array_equal(label, mask)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    steps = [{name: {"p": 0.7}} for name in CATALOG]
    partners = [(smooth_image(seed=8), defect())]
    runs = []
    for order in (range(8), reversed(range(8))):
        pipeline = Pipeline(PipelineConfig.model_validate({"steps": steps}))
        augmented = {seed: pipeline(smooth_image(), defect(), generator_for(seed), partners) for seed in order}
        runs.append(
            {seed: (image.tobytes(), mask.tobytes(), names) for seed, (image, mask, names) in augmented.items()}
        )
    assert runs[0] == runs[1]
    assert len({image for image, _, _ in runs[0].values()}) == 8


def test_threads_and_processes_give_the_same_bytes_as_one_loop() -> None:
    seeds = range(12)
    alone = [_augmented(seed) for seed in seeds]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(_augmented, seeds)) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert list(processes.map(_augmented, seeds)) == alone


def _augmented(seed: int) -> tuple[bytes, bytes]:
    image, mask, _ = Pipeline.from_preset("gan_paper_noise")(smooth_image(seed=seed), defect(), generator_for(seed))
    return image.tobytes(), mask.tobytes()


def test_a_step_is_applied_with_its_probability() -> None:
    pipeline = Pipeline(PipelineConfig.model_validate({"steps": [{"horizontal_flip": {"p": 0.2}}]}))
    rng = generator_for(0)
    count = sum(bool(pipeline.plan(defect(), 3, rng).applied) for _ in range(2000))
    assert 340 <= count <= 460


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("translation", {"x": [-0.9, 0.9], "y": [-0.9, 0.9]}),
        ("centre_crop", {"keep": [0.1, 1]}),
        ("zoom", {"factor": [1, 8]}),
        ("perspective", {"corner": [-0.3, 0.3]}),
        ("rotation", {"degrees": [-180, 180]}),
        ("shear", {"x": [-60, 60], "y": [-60, 60]}),
        ("random_erasing", {"area": [0.1, 0.9], "defect": "follow"}),
    ],
)
def test_enough_of_the_defect_stays(name: str, settings: dict[str, Any]) -> None:
    """Counted in an image of the pixels' numbers, so that nothing of the planner's own counting is trusted."""
    mask = np.zeros(SHAPE, bool)
    mask[4:16, 60:90] = True
    for seed in range(25):
        plan = one(name, 0.6, **settings).plan(mask, 1, generator_for(seed))
        result, label, _ = one(name, 0.6, **settings)(smooth_image(1), mask, generator_for(seed))
        if plan.applied[0].endswith(":skipped"):
            assert np.array_equal(result, smooth_image(1))
            assert np.array_equal(label, mask)
            continue
        operation: Any = plan.operations[0]
        ys, xs = np.nonzero(mask)
        if name == "random_erasing":
            assert label.sum() >= 0.6 * mask.sum()
        else:
            x, y, w = as_array(operation.matrix) @ np.stack((xs, ys, np.ones_like(xs)))
            inside = (np.abs(x / w - 47.5) <= 48) & (np.abs(y / w - 35.5) <= 36)
            assert inside.mean() >= 0.6
        assert label.any()


def test_the_defect_is_counted_over_all_steps_together() -> None:
    """Each step alone would leave 60 %; both together may not remove 64 %."""
    mask = np.zeros(SHAPE, bool)
    mask[:10, :10] = True
    box = [
        {"translation": {"p": 1, "x": 0, "y": -4 / 72}},
        {"gamma": {"p": 1}},
        {"translation": {"p": 1, "x": -4 / 96, "y": 0}},
    ]
    _, label, applied = Pipeline(PipelineConfig.model_validate({"min_defect_kept": 0.5, "steps": box}))(
        smooth_image(), mask, generator_for(0)
    )
    assert applied == ["translation", "gamma", "translation:skipped"]
    assert label.any()


def test_without_a_least_share_any_loss_is_allowed() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:6, :6] = True
    pipeline = Pipeline(
        PipelineConfig.model_validate(
            {"min_defect_kept": 0, "border": "black", "steps": [{"translation": {"p": 1, "x": -0.3, "y": 0}}]}
        )
    )
    _, label, applied = pipeline(smooth_image(), mask, generator_for(0))
    assert applied == ["translation"]
    assert not label.any()


def test_a_speck_is_not_lost_when_the_image_shrinks() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[40, 50] = True
    _, label, applied = one("zoom", factor=0.3)(smooth_image(), mask, generator_for(0))
    assert applied == ["zoom"]
    assert label.sum() == 1


@pytest.mark.parametrize("fill", ["noise", "mean", "black"])
def test_random_erasing_spares_the_defect(fill: str) -> None:
    image, mask = smooth_image(), defect()
    for seed in range(20):
        result, label, applied = one("random_erasing", area=[0.05, 0.3], fill=fill)(image, mask, generator_for(seed))
        assert np.array_equal(result[mask], image[mask])
        assert np.array_equal(label, mask)
        if applied == ["random_erasing"]:
            assert (result != image).any(2).sum() >= 0.03 * mask.size


def test_random_erasing_is_skipped_where_the_defect_is_everywhere() -> None:
    image = smooth_image()
    result, _, applied = one("random_erasing")(image, np.ones(SHAPE, bool), generator_for(0))
    assert applied == ["random_erasing:skipped"]
    assert np.array_equal(result, image)


def test_mixing_joins_the_masks_and_is_skipped_without_a_partner() -> None:
    other = np.zeros(SHAPE, bool)
    other[60:70, 80:90] = True
    image, partner = smooth_image(), smooth_image(seed=9)
    result, label, applied = one("mixing", weight=0.25)(image, defect(), generator_for(0), [(partner, other)])
    assert applied == ["mixing"]
    assert np.array_equal(label, defect() | other)
    assert np.abs(result - (0.75 * image + 0.25 * partner)).max() <= 0.51
    assert one("mixing")(image, defect(), generator_for(0))[2] == ["mixing:skipped"]


def test_noise_from_the_bank_has_the_statistics_of_sampled_noise() -> None:
    fields = np.stack([normal_field(int(k), (64, 64)) for k in np.random.default_rng(1).integers(0, 2**53, 200)])
    assert abs(fields.mean()) < 0.01
    assert abs(fields.std() - 1) < 0.01
    assert abs((fields**3).mean()) < 0.02
    assert abs((fields**4).mean() - 3) < 0.06
    assert abs((fields[:, :, 1:] * fields[:, :, :-1]).mean()) < 0.01
    rows = fields.reshape(200, -1)
    between = np.corrcoef(rows)[np.triu_indices(200, 1)]
    assert abs(between.std() * 64 - 1) < 0.05, "correlations of independent fields of n numbers spread by 1 / sqrt(n)"
    assert np.abs(between).max() < 0.1
    even = uniform_field(12345, (512, 512))
    assert np.abs(np.histogram(even, 16, (0, 1))[0] / even.size - 1 / 16).max() < 0.002


def test_fields_too_long_for_the_bank_and_fields_without_it_are_sampled_and_seeded() -> None:
    assert np.array_equal(normal_field(7, (50, 50), bank=False), normal_field(7, (50, 50), bank=False))
    assert not np.array_equal(normal_field(7, (50, 50), bank=False), normal_field(7, (50, 50)))
    assert normal_field(7, (1500, 1500)).shape == (1500, 1500)


@pytest.mark.parametrize("bank", [True, False])
def test_gaussian_noise_has_the_requested_deviation(bank: bool) -> None:
    image = np.full((200, 200, 3), 120, np.uint8)
    result, _, _ = one("gaussian_noise", sigma=0.05, bank=bank)(image, np.zeros((200, 200), bool), generator_for(1))
    noise = result.astype(float) - 120
    assert abs(noise.mean()) < 0.2
    assert abs(noise.std() - 0.05 * 255) < 0.15


@pytest.mark.parametrize("level", [0, 2, 30, 120, 220])
def test_poisson_noise_has_mean_variance_and_skewness_of_counts(level: int) -> None:
    image = np.full((400, 400, 1), level, np.uint8)
    photons = 85.0  # a count is 3 levels: nothing is lost by rounding
    result, _, _ = one("poisson_noise", photons=photons)(image, np.zeros((400, 400), bool), generator_for(2))
    counts, mean = result.astype(float) / 3, level / 3
    if level == 0:
        assert not counts.any()
        return
    clipped = np.minimum(np.random.default_rng(0).poisson(mean, counts.shape), 85)
    assert abs(counts.mean() - clipped.mean()) < (0.01 if level > 10 else 0.1) * mean
    assert abs(counts.std() - clipped.std()) < 0.04 * clipped.std()
    if level > 10:
        skewness = [float((((c - c.mean()) / c.std()) ** 3).mean()) for c in (counts, clipped)]
        assert abs(skewness[0] - skewness[1]) < 0.05


def test_salt_and_pepper_are_as_many_as_requested() -> None:
    image = np.full((400, 400, 3), 120, np.uint8)
    result, _, _ = one("salt_and_pepper", amount=0.1, salt=0.7)(image, np.zeros((400, 400), bool), generator_for(2))
    assert abs((result == 255).all(2).mean() - 0.07) < 0.004
    assert abs((result == 0).all(2).mean() - 0.03) < 0.003


@pytest.mark.parametrize(
    ("name", "settings", "arguments"),
    [
        ("rotation", {"degrees": 12.5}, {"rotate": (12.5, 12.5)}),
        ("zoom", {"factor": 1.15}, {"scale": (1.15, 1.15)}),
        ("translation", {"x": 6 / 96, "y": -9 / 72}, {"translate_px": {"x": (6, 6), "y": (-9, -9)}}),
        ("shear", {"x": 9.0, "y": 0.0}, {"shear": {"x": (-9.0, -9.0), "y": (0.0, 0.0)}}),
    ],
)
def test_moves_are_those_of_albumentations(name: str, settings: dict[str, float], arguments: dict[str, Any]) -> None:
    """Where shear has the opposite sign."""
    package = albumentations()
    given = {"scale": 1.0, "rotate": 0.0, "shear": 0.0, "translate_px": None, **arguments}
    affine = package.Affine(**given, border_mode=cv2.BORDER_REFLECT_101, interpolation=cv2.INTER_LINEAR, p=1)
    mask = defect()
    expected = package.Compose([affine])(image=smooth_image(), mask=mask.astype(np.uint8))
    result, label, _ = one(name, **settings)(smooth_image(), mask, generator_for(0))
    difference = np.abs(result.astype(int) - expected["image"])
    assert difference.max() <= 1
    assert (label ^ (expected["mask"] > 0)).sum() <= 0.12 * mask.sum(), "only the outline, which it takes as nearest"


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip", "centre_crop"])
def test_flips_and_crops_are_those_of_albumentations(name: str) -> None:
    package = albumentations()
    target = {
        "horizontal_flip": [package.HorizontalFlip(p=1)],
        "vertical_flip": [package.VerticalFlip(p=1)],
        "centre_crop": [package.CenterCrop(54, 72, p=1), package.Resize(72, 96, interpolation=cv2.INTER_LINEAR, p=1)],
    }[name]
    settings = {"keep": 0.75} if name == "centre_crop" else {}
    result, _, _ = one(name, **settings)(smooth_image(), defect(), generator_for(0))
    difference = np.abs(result.astype(int) - package.Compose(target)(image=smooth_image())["image"])
    inner = difference[2:-2, 2:-2]  # beyond the crop one has the image, the other its reflection
    assert inner.max() <= 1


@pytest.mark.parametrize(
    ("name", "settings", "transform", "arguments", "tolerance"),
    [
        ("brightness", {"by": 0.08}, "RandomBrightnessContrast",
         {"brightness_limit": (0.08, 0.08), "contrast_limit": (0, 0), "brightness_by_max": True}, 1),
        ("gamma", {"gamma": 0.8}, "RandomGamma", {"gamma_limit": (80, 80)}, 1),
        ("contrast", {"factor": 1.3}, "ColorJitter",
         {"brightness": (1, 1), "contrast": (1.3, 1.3), "saturation": (1, 1), "hue": (0, 0)}, 1),
        ("channel_shift", {"by": 0.1}, "RGBShift",
         {"r_shift_limit": (25.5, 25.5), "g_shift_limit": (25.5, 25.5), "b_shift_limit": (25.5, 25.5)}, 1),
        ("gaussian_blur", {"sigma": 1.2}, "GaussianBlur", {"blur_limit": (9, 9), "sigma_limit": (1.2, 1.2)}, 2),
    ],
)  # fmt: skip
def test_lighting_is_that_of_albumentations(
    name: str, settings: dict[str, float], transform: str, arguments: dict[str, Any], tolerance: int
) -> None:
    package = albumentations()
    expected = package.Compose([getattr(package, transform)(**arguments, p=1)])(image=smooth_image())["image"]
    result, _, _ = one(name, **settings)(smooth_image(), defect(), generator_for(0))
    assert np.abs(result.astype(int) - expected).max() <= tolerance


def test_sharpness_is_that_of_pillow() -> None:
    from PIL import Image as Pillow
    from PIL import ImageEnhance

    expected = np.asarray(ImageEnhance.Sharpness(Pillow.fromarray(smooth_image())).enhance(1.8))
    result, _, _ = one("sharpness", factor=1.8)(smooth_image(), defect(), generator_for(0))
    assert np.abs(result.astype(int) - expected).max() <= 1


def test_a_perspective_takes_the_corners_where_they_were_sampled() -> None:
    corner = (0.1, 0.0, -0.05, 0.02, 0.0, -0.1, 0.03, 0.04)
    matrix = as_array(matrix_of("perspective", {"corner": corner}, *SHAPE))
    x, y, w = matrix @ np.array([[0, 95, 95, 0], [0, 0, 71, 71], [1, 1, 1, 1]])
    moved = np.stack((x / w - [0, 95, 95, 0], y / w - [0, 0, 71, 71]), 1) / (96, 72)
    assert np.allclose(moved.ravel(), corner, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "mask", "text"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), bool), r"uint8 image \(H, W, 1 or 3\)"),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), bool), "got float32"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), bool), r"bool mask \(8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), "bool mask"),
    ],
)
def test_what_is_no_image_with_its_mask_is_an_error(image: Any, mask: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        one("rotation")(image, mask, generator_for(0))


def test_a_partner_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="same size"):
        one("mixing")(smooth_image(), defect(), generator_for(0), [(smooth_image(1), defect())])
