"""The guide vector: measuring, scales and encoding."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from defects.attributes.appearance import brightness, brightness_tensor, ring, ring_radius
from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry, measure
from defects.masks.width import Mask

numbers = st.floats(-100, 100, allow_nan=False)
words = st.text("abcdefghij-", min_size=1, max_size=6)


@st.composite
def schemas(draw: st.DrawFn) -> GuideSchema:
    entries: list[NumericEntry | CategoricalEntry] = []
    for name in draw(st.lists(words, min_size=1, max_size=4, unique=True)):
        if draw(st.booleans()):
            low = draw(numbers)
            entries.append(NumericEntry(name, low, low + draw(st.floats(0.01, 100)), draw(st.sampled_from(["", "px"]))))
        else:
            entries.append(CategoricalEntry(name, tuple(sorted(draw(st.sets(words, min_size=1, max_size=4))))))
    return GuideSchema(tuple(entries))


def block(tone: int, background: int, channels: int = 3) -> tuple[np.ndarray, Mask]:
    mask = np.zeros((40, 40), bool)
    mask[14:20, 12:30] = True
    image = np.full((40, 40, channels), background, np.uint8)
    image[mask] = tone
    return image, mask


@given(schemas(), st.data())
def test_scaled_values_come_back_from_raw_ones(schema: GuideSchema, data: st.DataObject) -> None:
    scaled = {
        e.name: data.draw(st.floats(0, 1)) if isinstance(e, NumericEntry) else data.draw(st.sampled_from(e.values))
        for e in schema.entries
    }
    back = schema.scale(schema.unscale(scaled))
    for name, value in scaled.items():
        assert back[name] == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


@given(schemas(), st.data())
def test_the_vector_holds_every_value_in_its_place(schema: GuideSchema, data: st.DataObject) -> None:
    scaled = {
        e.name: data.draw(st.floats(0, 1)) if isinstance(e, NumericEntry) else data.draw(st.sampled_from(e.values))
        for e in schema.entries
    }
    vector = schema.encode(scaled)
    assert vector.shape == (schema.size,)
    assert vector.dtype == np.float32
    start = 0
    for entry in schema.entries:
        part, start = vector[start : start + entry.size], start + entry.size
        if isinstance(entry, NumericEntry):
            assert (part[0] + 1) / 2 == pytest.approx(scaled[entry.name], abs=1e-6)
        else:
            assert part.sum() == 1.0
            assert entry.values[int(part.argmax())] == scaled[entry.name]


@given(schemas())
def test_a_schema_survives_json(schema: GuideSchema) -> None:
    assert GuideSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@given(st.lists(numbers, min_size=2, max_size=40))
def test_a_scale_runs_from_the_5th_to_the_95th_percentile(values: list[float]) -> None:
    entry = GuideSchema.fit([{"depth": value} for value in values], {"depth": "px"})["depth"]
    assert isinstance(entry, NumericEntry)
    low, high = np.percentile(values, [5, 95])
    if high - low < 1e-6:
        assert (entry.low, entry.high) == (pytest.approx(low - 0.5), pytest.approx(high + 0.5))
    else:
        assert (entry.low, entry.high) == (low, high)
    assert entry.unit == "px"
    assert all(0.0 <= entry.scale(value) <= 1.0 for value in values)


def test_fitting_keeps_the_order_of_the_columns_sorts_categories_and_passes_over_gaps() -> None:
    rows = [{"thickness": 2.0, "kind": "pit"}, {"thickness": 6.0, "kind": "crack"}, {"kind": None, "thickness": 4.0}]
    schema = GuideSchema.fit(rows)
    assert schema.names == ("thickness", "kind")
    assert schema["kind"] == CategoricalEntry("kind", ("crack", "pit"))
    assert schema.scale({"thickness": 4.0, "kind": None}) == {"thickness": pytest.approx(0.5)}


def test_a_column_of_numbers_and_words_is_refused() -> None:
    with pytest.raises(ValueError, match="column depth to hold numbers or words, got both"):
        GuideSchema.fit([{"depth": 1.0}, {"depth": "deep"}])


def test_absent_values_are_zeros_and_unknown_categories_refused() -> None:
    schema = GuideSchema((NumericEntry("thickness", 2, 6), CategoricalEntry("kind", ("crack", "pit"))))
    assert schema.encode({}).tolist() == [0.0, 0.0, 0.0]
    assert schema.encode({"thickness": 1.0, "kind": None}).tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="expected kind to be one of crack, pit, got 'dent'"):
        schema.encode({"kind": "dent"})
    with pytest.raises(KeyError):
        schema["depth"]


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_is_negative_for_a_dark_defect_and_positive_for_a_bright_one(channels: int) -> None:
    assert brightness(*block(50, 150, channels)) == pytest.approx(-100 / 255, abs=0.005)
    assert brightness(*block(250, 100, channels)) == pytest.approx(150 / 255, abs=0.005)
    assert brightness(*block(90, 90, channels)) == pytest.approx(0.0, abs=1e-6)


def test_brightness_compares_with_the_surroundings_alone() -> None:
    image, mask = block(200, 100)
    image[:3] = 255
    assert brightness(image, mask) == pytest.approx(100 / 255, abs=0.005)


def test_the_ring_leaves_out_the_defect_and_its_soft_edge() -> None:
    _, mask = block(0, 0)
    around = ring(mask, 3)
    assert not around[12:22, 10:32].any()
    assert around[10, 20]
    assert not around[8, 20]


def test_a_defect_that_fills_the_image_is_compared_with_mid_gray() -> None:
    image = np.full((8, 8, 1), 255, np.uint8)
    assert brightness(image, np.ones((8, 8), bool)) == pytest.approx(0.5)


def test_measuring_gives_thickness_in_px_and_brightness_and_nothing_for_a_good_part() -> None:
    image, mask = block(250, 100)
    values = measure(image, mask)
    assert values["thickness"] == pytest.approx(6.0, abs=0.1)
    assert values["brightness"] == pytest.approx(150 / 255, abs=0.005)
    assert measure(image, np.zeros_like(mask)) == {}
    with pytest.raises(ValueError, match="got an empty one"):
        brightness(image, np.zeros_like(mask))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_brightness_is_the_same_for_arrays_and_tensors(size: tuple[int, int], channels: int) -> None:
    rng = np.random.default_rng(channels)
    image = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    blob = np.zeros(size, bool)
    blob[10:20, 8:15] = True
    corner, line, full, nearly = np.zeros((4, *size), bool)
    corner[:3, :4] = True
    line[:, 12] = True
    full[:], nearly[:] = True, True
    nearly[0, 0] = False
    masks = [blob, corner, line, full, nearly]
    expected = [brightness(image, mask) for mask in masks]
    tensors = torch.from_numpy(np.stack([image] * len(masks))).permute(0, 3, 1, 2) / 255
    found = brightness_tensor(tensors, torch.from_numpy(np.stack(masks))[:, None], ring_radius(max(size)))
    assert found.tolist() == pytest.approx(expected, abs=2e-3)  # the luminance of an RGB array is rounded to 1/255
    if channels == 1:
        assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_brightness_of_a_tensor_has_gradients_inside_and_around_only() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:18, 12:18] = 1
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    brightness_tensor(images, mask, 3).sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    changed = images.grad.abs().sum(1)[0] > 0
    assert changed[12:18, 12:18].all()
    assert not changed[:6].any()
    assert float(brightness_tensor(images.detach(), torch.zeros_like(mask), 3)) == 0
