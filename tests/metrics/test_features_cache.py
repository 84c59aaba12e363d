"""The cache of features: nothing damaged is believed, nothing is lost to a kill, runs side by side, a size."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metrics.features.cache import ROWS, SUFFIX, FeatureCache, Row, pack, pixel_key
from tests.builders.features import noise

ROOT = Path(__file__).resolve().parents[2]


def row(number: int, *, logits: bool = True) -> Row:
    return Row(np.full(3, number, np.float32), np.full(2, -number, np.float32) if logits else None)


def key(number: int) -> bytes:
    return pixel_key(np.full((1, 1, 1), number, np.uint8))


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{SUFFIX}"))


def fill(folder: Path, numbers: range, fingerprint: str = "a") -> None:
    with FeatureCache(folder).open(fingerprint) as rows:
        for number in numbers:
            rows.put(key(number), row(number))


def test_a_row_is_the_same_for_the_same_pixels_and_shape_only() -> None:
    image, other = noise(1), noise(1, seed=1)
    assert pixel_key(image[0]) == pixel_key(np.asfortranarray(image[0]))
    assert pixel_key(image[0]) != pixel_key(other[0])
    assert pixel_key(np.zeros((2, 8, 1), np.uint8)) != pixel_key(np.zeros((4, 4, 1), np.uint8))


@pytest.mark.parametrize("logits", [True, False])
def test_what_was_written_is_read(tmp_path: Path, logits: bool) -> None:
    with FeatureCache(tmp_path).open("a") as rows:
        for number in range(5):
            rows.put(key(number), row(number, logits=logits))
    rows = FeatureCache(tmp_path).open("a")
    for number in range(5):
        found, target = rows.get(key(number)), row(number, logits=logits)
        assert found is not None
        np.testing.assert_array_equal(found.features, target.features)
        assert (found.logits is None) == (target.logits is None)
        if found.logits is not None and target.logits is not None:
            np.testing.assert_array_equal(found.logits, target.logits)
    assert rows.get(key(9)) is None
    assert FeatureCache(tmp_path).open("b").get(key(0)) is None


def test_rows_are_written_while_a_long_run_goes_on(tmp_path: Path) -> None:
    rows = FeatureCache(tmp_path).open("a")
    for number in range(ROWS + 5):
        rows.put(pixel_key(np.full((1, 1, 2), number, np.uint16).view(np.uint8)), row(number))
    assert len(segments(tmp_path)) == 1


def test_rows_computed_before_a_failure_stay(tmp_path: Path) -> None:
    def failing_run() -> None:
        with FeatureCache(tmp_path).open("a") as rows:
            rows.put(key(1), row(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_run()
    assert FeatureCache(tmp_path).open("a").get(key(1)) is not None


@pytest.mark.parametrize("damage", ["bit", "key", "cut", "empty", "longer"])
def test_a_damaged_segment_is_never_believed(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, range(3))
    fill(tmp_path, range(3, 6))
    victim = segments(tmp_path)[0]
    data = bytearray(victim.read_bytes())
    if damage == "bit":
        data[-1] ^= 1
    if damage == "key":
        data[30] ^= 1
    changed = {"cut": data[:-4], "empty": b"", "longer": data + b"more"}.get(damage, data)
    victim.write_bytes(bytes(changed))
    rows = FeatureCache(tmp_path).open("a")
    with caplog.at_level(logging.WARNING):
        found = [rows.get(key(number)) for number in range(6)]
    values = [None if each is None else each.features[0] for each in found]
    assert values in ([None] * 3 + [3, 4, 5], [0, 1, 2] + [None] * 3)
    if damage in ("bit", "key"):
        assert "is damaged; its features are computed again" in caplog.text
        assert not victim.exists()


def test_a_foreign_file_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    (segments(tmp_path)[0].parent / f"notes{SUFFIX}").write_text("not ours", encoding="utf-8")
    rows = FeatureCache(tmp_path).open("a")
    assert rows.get(key(1)) is not None


def test_a_segment_another_run_removed_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, range(2))
    rows = FeatureCache(tmp_path).open("a")
    segments(tmp_path)[0].unlink()
    assert rows.get(key(0)) is None
    assert not caplog.text


def test_the_segments_used_longest_ago_go_first(tmp_path: Path) -> None:
    for number in range(4):
        fill(tmp_path, range(number, number + 1))
    for age, path in enumerate(segments(tmp_path)):
        os.utime(path, (1000 + age, 1000 + age))
    oldest, *others = segments(tmp_path)
    used = next(n for n in range(4) if pack({key(n): row(n)})[0] == others[0].name)
    assert FeatureCache(tmp_path).open("a").get(key(used)) is not None  # which makes it the newest but one
    size = oldest.stat().st_size
    with FeatureCache(tmp_path, largest=3 * size).open("b") as rows:
        rows.put(key(7), row(7))
    retained = segments(tmp_path)
    assert len(retained) == 3
    assert others[0] in retained
    assert oldest not in retained
    assert FeatureCache(tmp_path).open("b").get(key(7)) is not None


def test_a_cache_smaller_than_one_segment_keeps_the_newest(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, largest=1).open("a") as rows:
        rows.put(key(1), row(1))
    assert len(segments(tmp_path)) == 1


def test_without_a_folder_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FeatureCache(None).open("a") as rows:
        rows.put(key(1), row(1))
        assert rows.get(key(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_gives_a_warning_and_the_run_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with FeatureCache(tmp_path / "file").open("a") as rows:
        rows.put(key(1), row(1))
        rows.flush()
        rows.put(key(2), row(2))
    assert caplog.text.count("features are not cached") == 1


def test_runs_side_by_side_add_to_one_cache(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from metrics.features.cache import FeatureCache, pixel_key\n"
        "from metrics.features.cache import Row\n"
        "with FeatureCache(Path(sys.argv[1])).open('a') as rows:\n"
        "    for number in range(int(sys.argv[2]), int(sys.argv[2]) + 6):\n"
        "        row = Row(np.full(3, number, np.float32), None)\n"
        "        rows.put(pixel_key(np.full((1, 1, 1), number, np.uint8)), row)\n"
        "        rows.flush()\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(4 * n)], cwd=ROOT) for n in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    rows = FeatureCache(tmp_path).open("a")
    assert [found.features[0] if (found := rows.get(key(n))) else None for n in range(14)] == list(range(14))
