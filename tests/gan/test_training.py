"""`train-gan` on a handful of tiny images: what it writes, and one line for what is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch

import engine.training.launch
from defects.formats.dataset import open_dataset
from defects.images.decode import read_image
from engine.commands import Progress, main
from engine.config import load_config
from engine.files.json_lines import lock_folder
from gan.checkpoint import load_generator
from gan.cli.train import app
from gan.config import GanConfig
from gan.data.dataset import prepare
from tests.builders.errors import error_codes
from tests.builders.gan import error_line, metrics, overrides, sample_folder, save_vgg, tiny, train_gan, trainer, tree


def test_a_run_writes_its_configuration_environment_metrics_checkpoints_and_samples(whole: Path) -> None:
    written = {f"{folder}/epoch-000{n}" for folder in ("checkpoints", "state") for n in (2, 4)}
    assert set(tree(whole)) == {
        "config.yaml",
        "metrics.jsonl",
        *(f"samples/epoch-000{n}.png" for n in (1, 2, 4)),
        *(f"{stem}.{suffix}" for stem in written for suffix in ("safetensors", "json")),
    }
    assert load_config(str(whole / "config.yaml"), GanConfig) == load_config("magna", GanConfig, overrides()[1::2])
    environment = json.loads((whole / "environment.json").read_text())
    assert {"python", "platform", "packages", "command"} <= set(environment)


def test_the_metrics_have_one_finite_row_an_epoch(whole: Path) -> None:
    rows = metrics(whole)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    terms = {"reconstruction", "adversarial", "kl", "guide", "discriminator", "total", "d_real", "d_fake", "rate"}
    assert terms <= set(rows[0])


def test_the_samples_show_real_image_mask_and_three_fakes_for_each_column(whole: Path) -> None:
    sheet = read_image(whole / "samples" / "epoch-0004.png")
    assert sheet.shape[0] == 5 * 32
    assert sheet.shape[1] % 32 == 0


def test_the_checkpoint_loads_as_a_generator_that_knows_its_data(whole: Path) -> None:
    loaded = load_generator(whole)
    assert (loaded.size, loaded.channels, loaded.meta["epoch"]) == (32, 3, 4)
    assert loaded.schema.names == ("thickness", "brightness", "background", "kind")
    assert loaded.meta["data"]["test"]
    assert loaded.meta["config"]["name"] == "magna"
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    guides = torch.from_numpy(loaded.schema.encode(loaded.schema.scale(loaded.table[0])))[None].repeat(2, 1)
    images = loaded.network(torch.zeros(2, 1, 32, 32), loaded.network.sample_noise(generators), guides)
    assert bool(torch.isfinite(images).all())


def test_training_moves_the_networks_towards_the_images(data: Path) -> None:
    config = tiny(train={"epochs": 18, "learning_rate": 3e-3}, loss={"adversarial": 0.0, "guide": 0.0})
    training = trainer(prepare(open_dataset(data), config), config)
    errors = [training.epoch(epoch, Progress(0, "", quiet=True))["reconstruction"] for epoch in range(18)]
    assert sum(errors[-3:]) < 0.4 * sum(errors[:3])


def test_the_run_says_what_the_terms_weigh_and_what_comes_next(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train_gan(data, out, train={"epochs": 1}) == 0
    shown = capsys.readouterr()
    assert "shares of the generator's loss: reconstruction" in shown.err
    assert f"next        gen-defects --checkpoint {out} --masks DIR" in shown.out


def test_the_result_and_the_progress_are_json_where_requested(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_gan(data, tmp_path / "run", "--json", train={"epochs": 1}) == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)) == {"checkpoint", "samples", "run", "architecture", "test"}
    assert all(json.loads(line)["progress"] == "train magna" for line in shown.err.splitlines())


def test_a_dry_run_prints_the_configuration_and_writes_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tree(data)
    assert train_gan(data, tmp_path / "run", "--dry-run", train={"epochs": 7}) == 0
    assert list(tmp_path.iterdir()) == []
    assert tree(data) == before
    printed = capsys.readouterr().out
    assert "12 images, 8 with a defect; layout " in printed
    (tmp_path / "printed.yaml").write_text(printed)
    assert load_config("printed.yaml", GanConfig).train.epochs == 7


def test_without_style_weights_and_network_one_line_names_the_option(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*args: Any, **keywords: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MAGNA_STYLE_WEIGHTS", raising=False)
    assert train_gan(data, tmp_path / "run", loss={"style": 0.1}) == 1
    line = error_line(capsys)
    assert "no route to host" in line
    assert "--style-weights FILE" in line
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_style_weights_from_a_file_take_part_and_are_named_in_the_checkpoint(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "run", save_vgg(tmp_path / "vgg.safetensors")
    loss = {"style": 0.1, "style_every": 2, "style_size": 16}
    assert train_gan(data, out, "--style-weights", str(file), loss=loss, train={"epochs": 2}) == 0
    assert ", style " in capsys.readouterr().err
    assert all(row["style"] > 0 for row in metrics(out))
    assert load_generator(out).meta["style_weights"].startswith("vgg.safetensors sha256:")


def test_a_folder_that_holds_something_is_not_written_to_without_resume(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert train_gan(data, tmp_path) == 1
    assert error_codes(capsys) == ["E-out-not-empty"]
    assert set(tree(tmp_path)) == {"notes.txt"}


def test_a_second_writer_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock_folder(tmp_path / "run"):
        assert train_gan(data, tmp_path / "run", "--resume") == 1
    assert error_codes(capsys) == ["E-out-in-use"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--config", "magma"], "E-config-unknown"),
        (["--set", "train.epoch=3"], "E-config-value"),
        (["--device", "tpu"], "E-device"),
        (["--device", "cuda"], "E-device"),
        (["--devices", "0"], ""),
        (["--devices", "3000000", "--device", "cpu"], "E-device-count"),
        (["--set", "train.seed=-1"], "E-config-value"),
        (["--set", "name=../x"], "E-config-value"),
        (["--threads", "0"], ""),
        (["--layout", "pascal"], "E-dataset-unknown-layout"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    error: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(engine.training.launch, "Fabric", None)  # no process is started, whatever happens
    assert main(app, [str(data), "--out", str(tmp_path / "run"), *arguments], name="train-gan") == 2
    assert error_codes(capsys) == [error]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("rank", "errors"), [("0", ["E-device-count"]), ("1", [])])
def test_more_processes_than_gpus_are_one_line_of_the_first_one(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: str,
    errors: list[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", rank)
    command_line = [str(data), "--out", str(tmp_path / "run"), "--device", "cuda"]
    try:
        code = main(app, command_line, name="train-gan")
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    assert error_codes(capsys) == errors


def test_too_few_defects_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_gan(sample_folder(tmp_path / "data", ("crack",) + ("good",) * 4), tmp_path / "run") == 1
    assert error_codes(capsys) == ["E-train-few-images"]
