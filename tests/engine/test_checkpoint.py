"""Checkpoints: what is saved comes back; what is pickled, unfinished or damaged does not."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from engine import checkpoint
from engine.checkpoint import find_checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from tests.builders.errors import raises


def _tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    base = torch.full((2, 3, 4, 4), value).to(memory_format=torch.channels_last)
    return {"weight": base, "alias": base, "part": base[:, 1], "half": base.bfloat16(), "count": torch.tensor(3)}


@pytest.mark.parametrize("suffix", ["", ".safetensors", ".json"])
def test_a_checkpoint_comes_back_by_each_of_its_names(tmp_path: Path, suffix: str) -> None:
    saved = save_checkpoint(tmp_path / "run" / "epoch-0.5", _tensors(), {"size": 128, "names": ["ü"]})
    tensors, meta = load_checkpoint(tmp_path / "run" / f"epoch-0.5{suffix}")
    assert saved == find_checkpoint(tmp_path / "run" / f"epoch-0.5{suffix}")
    assert meta == {"size": 128, "names": ["ü"]}
    assert tensors.keys() == _tensors().keys()
    for name, tensor in _tensors().items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    files = [save_checkpoint(tmp_path / name / "x", _tensors(), {"a": 1}) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].with_suffix(".json").read_bytes() == files[1].with_suffix(".json").read_bytes()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl", ".PTH", ".bin"])
def test_a_pickled_checkpoint_is_refused_unread(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"a": torch.zeros(1)}, path)
    monkeypatch.setattr(checkpoint, "_read", lambda file: pytest.fail(f"{file} was opened"))
    with raises("E-checkpoint-pickled"):
        load_checkpoint(path)


def test_a_pickle_under_another_name_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "x", _tensors(), {})
    torch.save({"a": torch.zeros(1)}, path)
    description = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(description | {"sha256": checkpoint.sha256_file(path)}))
    with raises("E-checkpoint-format"):
        load_checkpoint(path)


def test_a_checkpoint_whose_hash_does_not_match_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "x", _tensors(), {})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with raises("E-checkpoint-damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "E-checkpoint-unreadable"),
        ("{", "E-checkpoint-format"),
        ("[]", "E-checkpoint-format"),
        ('{"format": "other", "sha256": "", "meta": {}}', "E-checkpoint-format"),
        ('{"format": "magna-checkpoint-1", "meta": {}}', "E-checkpoint-format"),
    ],
)
def test_a_checkpoint_without_its_json_is_refused(tmp_path: Path, text: str | None, code: str) -> None:
    path = save_checkpoint(tmp_path / "x", _tensors(), {})
    path.with_suffix(".json").unlink()
    if text is not None:
        path.with_suffix(".json").write_text(text)
    with raises(code):
        load_checkpoint(path)


def test_a_run_folder_gives_best_then_last_then_the_highest_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoints"
    for value, name in enumerate(["epoch-0009", "epoch-0010", "epoch-0100"]):
        save_checkpoint(folder / name, _tensors(value), {"name": name})
    assert load_checkpoint(tmp_path)[1] == load_checkpoint(folder)[1] == {"name": "epoch-0100"}
    (folder / "epoch-0100.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(tmp_path)[1] == {"name": "epoch-0010"}
    assert "epoch-0100" in caplog.text
    for name in ("last", "best"):
        save_checkpoint(folder / name, _tensors(), {"name": name})
        assert load_checkpoint(tmp_path)[1] == {"name": name}


def test_a_removed_checkpoint_is_no_longer_there(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "epoch-1", _tensors(), {})
    remove_checkpoint(tmp_path / "epoch-1")
    remove_checkpoint(tmp_path / "epoch-1")
    assert list(tmp_path.iterdir()) == []
    with raises("E-checkpoint-missing"):
        load_checkpoint(tmp_path)
    with raises("E-checkpoint-missing"):
        load_checkpoint(tmp_path / "epoch-1")
