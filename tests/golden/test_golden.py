"""What the commands leave is what they left before; what has changed on purpose is renewed by `make golden`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from tests.golden.fingerprint import GOLDEN, Left, Stored, hashes, machine, read
from tests.golden.renew import renew
from tests.golden.runs import ROOT, RUNS, perform, write_inputs

UNKNOWN = "a machine that has no hashes"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds what the runs start from, and each run's own."""
    root = tmp_path_factory.mktemp("golden").resolve()
    write_inputs(root / "inputs")
    return root


@pytest.fixture(scope="module")
def left(work: Path) -> Callable[[str], Left]:
    """What a run left; it is run once, when it is first requested."""
    known: dict[str, Left] = {}

    def left_by(run: str) -> Left:
        if run not in known:
            known[run] = read(perform(run, work / "inputs", work / run), work)
        return known[run]

    return left_by


@pytest.fixture(scope="module")
def stored() -> Stored:
    return Stored.load()


@pytest.mark.parametrize("key", [machine(), UNKNOWN], ids=["this machine", "any machine"])
@pytest.mark.parametrize("run", RUNS)
def test_a_run_leaves_what_it_left_before(run: str, key: str, left: Callable[[str], Left], stored: Stored) -> None:
    differences = stored.differences(run, left(run), key)
    assert not differences, "\n".join([*differences, 'if that is meant: make golden REASON="why"'])


def _other_pixel(file: Path) -> None:
    pixels = np.asarray(Image.open(file)).copy()
    pixels[5, 7] ^= 2  # two gray levels up or down
    Image.fromarray(pixels).save(file)


def _other_value(file: Path) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["guide"]["raw"]["brightness"] += 0.01
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _other_weight(file: Path) -> None:
    tensors = load_file(file)
    tensors["to_change.weight"].flat[3] += 0.1
    save_file(tensors, file)


@pytest.mark.parametrize("key", ["this machine", UNKNOWN])
@pytest.mark.parametrize(
    ("run", "name", "plant"),
    [
        ("generator", "grid/images/pits-g0-000.png", _other_pixel),
        ("masks", "spot/spot-0001.png", _other_pixel),
        ("paste", "alpha/metadata.jsonl", _other_value),
        ("train_blend", "checkpoints/epoch-0001.safetensors to_change.weight", _other_weight),
        ("mpi", "images/000002.png", Path.unlink),
    ],
)
def test_a_planted_difference_is_named_by_run_and_file(
    run: str, name: str, plant: Callable[[Path], None], key: str, work: Path, tmp_path: Path, stored: Stored,
    left: Callable[[str], Left],
) -> None:  # fmt: skip
    known = dataclasses.replace(stored, hashes={"this machine": {run: hashes(left(run))}})
    spoilt = tmp_path / run
    shutil.copytree(work / run, spoilt)
    plant(spoilt / name.split()[0])
    differences = known.differences(run, read(spoilt, work), key)
    assert all(line.startswith(f"{run}: {name}: ") for line in differences)
    assert len(differences) == (1 if key == UNKNOWN else 2)


def _renewed(folder: Path, lefts: Mapping[str, Left], key: str, *, changelog: str) -> tuple[Stored, str]:
    (folder / "CHANGELOG.md").write_text(changelog)
    line = renew(lefts, "a reason", key, folder, folder / "CHANGELOG.md")
    assert line in (folder / "CHANGELOG.md").read_text()
    return Stored.load(folder), line


def test_renewing_keeps_the_hashes_of_other_machines_for_what_has_not_changed(
    left: Callable[[str], Left], tmp_path: Path
) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    lefts = {run: left(run) for run in ("masks", "mpi")}
    first, line = _renewed(tmp_path, lefts, "here", changelog=changelog)
    assert line == "- Golden runs: masks, mpi: a reason"
    assert _renewed(tmp_path, lefts, "here", changelog=changelog)[1] == ""
    second, line = _renewed(tmp_path, lefts, "there", changelog="## [1] - unreleased\n### Fixed\n- It.\n\n## [0]\n")
    assert line == "- Golden runs, one more machine: a reason"
    assert (tmp_path / "CHANGELOG.md").read_text().endswith(f"- It.\n\n### Changed\n{line}\n\n## [0]\n")
    assert second.hashes["here"] == first.hashes["here"]
    assert second.expected == first.expected
    (name, *_) = lefts["masks"].images
    changed = dataclasses.replace(
        lefts["masks"], images=lefts["masks"].images | {name: 255 - lefts["masks"].images[name]}
    )
    third, line = _renewed(tmp_path, lefts | {"masks": changed}, "there", changelog=changelog)
    assert line == "- Golden runs: masks: a reason"
    assert third.hashes["here"] == {"mpi": first.hashes["here"]["mpi"]}
    assert third.differences("masks", changed, UNKNOWN) == []
    assert third.differences("masks", lefts["masks"], UNKNOWN) != []


def test_the_stored_runs_are_those_of_the_table(stored: Stored) -> None:
    assert set(stored.expected) == set(stored.sheets) == set(RUNS)
    assert all(set(runs) <= set(RUNS) for runs in stored.hashes.values())
    assert sum(path.stat().st_size for path in (GOLDEN / "images").iterdir()) < 1_000_000
