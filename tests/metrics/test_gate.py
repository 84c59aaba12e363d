from __future__ import annotations

import pytest

from engine.errors import UsageError
from metrics.bench.gate import Condition, failures, parse_gate

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
    ("text", "message"),
    [
        ("fid<40", "unknown score 'fid'; use one of fid_efficientnet_lite0, label_iou"),
        ("magna.fid<40", "unknown score 'fid'"),
        ("magma.label_iou>0.6", "no source is called 'magma'; use one of magna, other-1"),
        ("label_iou=0.6", "cannot read 'label_iou=0.6'"),
        ("label_iou", "cannot read 'label_iou'"),
        ("0.2<label_iou<0.6", "cannot read"),
        ("label_iou>much", "'much' in 'label_iou>much' is no number"),
        ("label_iou>nan", "is no number"),
        ("label_iou>inf", "is no number"),
        (" , ", "holds no condition"),
    ],
)
def test_a_wrong_condition_is_told_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"^--gate: ") as caught:
        parse_gate(text, SCORES, SOURCES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_failure_is_told_with_its_source() -> None:
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


def test_the_reason_of_a_missing_score_is_told() -> None:
    lines = failures([Condition("label_iou", ">", 0.6)], {"magna": {}}, {"magna.label_iou": "skipped"})
    assert lines == ["gate: magna: label_iou could not be computed (skipped); expected > 0.6"]


def test_the_limit_itself() -> None:
    assert Condition("label_iou", "<=", 0.5).holds(0.5)
    assert not Condition("label_iou", "<", 0.5).holds(0.5)
