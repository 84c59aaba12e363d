from __future__ import annotations

import pytest

from metrics.bench.gate import Condition, failures, parse_gate
from tests.builders.errors import raises

SCORES = ["fid_efficientnet_lite0", "label_iou", "fid_onnx_net.v2"]
SOURCES = ["magna", "other-1"]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("label_iou>0.6", Condition("label_iou", ">", 0.6)),
        ("label_iou >= 0.6", Condition("label_iou", ">=", 0.6)),
        ("fid_efficientnet_lite0<40", Condition("fid_efficientnet_lite0", "<", 40)),
        ("magna.label_iou<=1e-1", Condition("label_iou", "<=", 0.1, "magna")),
        ("other-1.fid_onnx_net.v2<5", Condition("fid_onnx_net.v2", "<", 5, "other-1")),
        ("fid_onnx_net.v2<5", Condition("fid_onnx_net.v2", "<", 5)),
    ],
)
def test_a_condition_is_read(text: str, condition: Condition) -> None:
    assert parse_gate(text, SCORES, SOURCES) == [condition]


def test_several_conditions_are_read_in_order() -> None:
    assert [str(one) for one in parse_gate("fid_efficientnet_lite0<40, label_iou>0.6,", SCORES, SOURCES)] == [
        "fid_efficientnet_lite0<40",
        "label_iou>0.6",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fid<40", "E-gate-unknown-score"),
        ("magna.fid<40", "E-gate-unknown-score"),
        ("magma.label_iou>0.6", "E-gate-unknown-source"),
        ("label_iou=0.6", "E-gate-syntax"),
        ("label_iou", "E-gate-syntax"),
        ("0.2<label_iou<0.6", "E-gate-syntax"),
        ("label_iou>much", "E-gate-syntax"),
        ("label_iou>nan", "E-gate-syntax"),
        ("label_iou>inf", "E-gate-syntax"),
        (" , ", "E-gate-syntax"),
    ],
)
def test_a_wrong_condition_is_one_line_of_its_flag(text: str, code: str) -> None:
    with raises(code, "^--gate: ") as caught:
        parse_gate(text, SCORES, SOURCES)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with raises("E-gate-unknown-score", "'fid'; use one of fid_efficientnet_lite0, label_iou"):
        parse_gate("fid<40", SCORES, SOURCES)


def test_every_failure_names_its_source() -> None:
    conditions = parse_gate("fid_efficientnet_lite0<40,magna.label_iou>0.6", SCORES, SOURCES)
    values = {
        "magna": {"fid_efficientnet_lite0": 41.5, "label_iou": 0.5},
        "other-1": {"fid_efficientnet_lite0": 30.0, "label_iou": 0.1},
    }
    assert failures(conditions, values, {}) == [
        "gate: magna: fid_efficientnet_lite0 is 41.5; expected < 40",
        "gate: magna: label_iou is 0.5; expected > 0.6",
    ]


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_a_score_that_could_not_be_computed_fails(value: float | None, sign: str) -> None:
    assert not Condition("label_iou", sign, 0.5).holds(value)


def test_a_missing_score_gives_its_reason() -> None:
    lines = failures([Condition("label_iou", ">", 0.6)], {"magna": {}}, {"magna.label_iou": "skipped"})
    assert lines == ["gate: magna: label_iou could not be computed (skipped); expected > 0.6"]


def test_the_limit_itself() -> None:
    assert Condition("label_iou", "<=", 0.5).holds(0.5)
    assert not Condition("label_iou", "<", 0.5).holds(0.5)
