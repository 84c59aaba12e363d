"""Training pairs in another light: image and background by the same factors, never overexposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defects.attributes.appearance import reliable_brightness
from engine.seeding import numpy_generator
from gan.config import BlendDataConfig
from gan.data.blend_pairs import PairSource
from gan.data.color_jitter import jittered, sample_jitter
from tests.builders.gan import prepared, tiny


@pytest.mark.parametrize("channels", [1, 3])
def test_no_light_overexposes_a_image(channels: int) -> None:
    image = np.random.default_rng(0).integers(150, 240, (32, 32, channels)).astype(np.uint8)
    for seed in range(20):
        jitter = sample_jitter(image, BlendDataConfig(brightness_jitter=1.0), numpy_generator(seed, "light"))
        assert (jittered(image, jitter) == 255).mean() <= 0.02


def test_without_color_a_image_is_gray_and_as_bright_as_before() -> None:
    image = np.random.default_rng(1).integers(40, 160, (32, 32, 3)).astype(np.uint8)
    shares = [
        sample_jitter(image, BlendDataConfig(color_jitter=1.0), numpy_generator(seed, "x")).color for seed in range(50)
    ]
    assert min(shares) < 0.2
    assert max(shares) > 0.9
    jitter = sample_jitter(image, BlendDataConfig(color_jitter=0.0), numpy_generator(0, "x"))
    assert np.array_equal(jittered(image, jitter), image)


def test_both_images_of_a_pair_are_lit_alike_and_its_brightness_is_what_it_shows(tmp_path: Path) -> None:
    upright = {"rotation": 0, "zoom": 0, "shear": 0}
    plain, relit = (
        tiny(network={"architecture": "blend", "blend_radius": 3}, data=upright | {"brightness_jitter": light})
        for light in (0.0, 0.5)
    )
    parts = prepared(tmp_path / "data", plain)
    source = PairSource(parts.train, side=32, blend_radius=3, seed=0)
    ratios = []
    for seed in range(8):
        source.jitter, source.jitters = plain.data, False
        before = source.cut(parts.defective[0], numpy_generator(seed, "pose"))
        source.jitter, source.jitters = relit.data, True
        after = source.cut(parts.defective[0], numpy_generator(seed, "pose"))
        assert np.array_equal(before.mask, after.mask)
        beyond = after.distance <= -3
        assert np.array_equal(after.image[beyond], after.background[beyond])
        ratios.append(float(after.background.mean()) / float(before.background.mean()))
        if after.measured:
            assert after.guide["brightness"] == pytest.approx(
                reliable_brightness(after.image, after.mask, source.radius)[0]
            )
    assert np.ptp(ratios) > 0.1
