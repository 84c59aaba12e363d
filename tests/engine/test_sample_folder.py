"""The writer of sample folders: the same bytes for any number of threads, and after any interruption."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.files.atomic import check_apart
from engine.run.sample_folder import Item, WriteJob, open_sample_folder
from tests.builders.errors import raises

COUNT, CHUNK = 11, 3
DESCRIPTION = {"seed": 0, "size": 32}


def names_of(number: int) -> tuple[str, str]:
    return f"images/{number:02}.png", f"masks/{number:02}.png"


def item(number: int) -> Item:
    image, mask = names_of(number)
    row = {"file_name": image, "mask": mask, "number": number}
    return Item(number, {image: bytes([number] * 40), mask: bytes([number])}, row, ({"extra": number},))


def make(numbers: range, needed: Sequence[int]) -> list[Item]:
    return [item(number) for number in needed]


def odd_only(numbers: range, needed: Sequence[int]) -> list[Item]:
    """Items of even numbers are left out: without files and without a row."""
    return [item(number) if number % 2 else Item(number, {}, None) for number in needed]


JOB = WriteJob(COUNT, names_of, make, CHUNK)
OPTIONAL = WriteJob(COUNT, names_of, odd_only, CHUNK, optional=True)


def write(out: Path, job: WriteJob = JOB, *, resume: bool = False, **options: Any) -> int:
    """Writes the items that are missing and returns how many they were."""
    with open_sample_folder(out, DESCRIPTION, resume=resume) as folder:
        return folder.write(job, folder.recorded(job), **options)


def tree(out: Path) -> dict[str, bytes]:
    """Contents by name, without the lock."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A finished folder."""
    out = tmp_path / "whole"
    assert write(out) == COUNT
    return out


def failing_at(number: int) -> Callable[[range, Sequence[int]], list[Item]]:
    """`make` until it comes to an item."""

    def interrupted(numbers: range, needed: Sequence[int]) -> list[Item]:
        if number in needed:
            raise KeyboardInterrupt
        return make(numbers, needed)

    return interrupted


def test_rows_stand_in_the_order_of_the_items_and_name_their_files(whole: Path) -> None:
    assert [row["number"] for row in rows(whole)] == list(range(COUNT))
    expected = {name: data for number in range(COUNT) for name, data in item(number).files.items()}
    assert {name: data for name, data in tree(whole).items() if name.endswith(".png")} == expected
    assert json.loads((whole / "request.json").read_text()) == DESCRIPTION


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rows_at_once", [None, 1, 5])
def test_workers_and_rows_at_once_change_no_byte(
    whole: Path, tmp_path: Path, workers: int, rows_at_once: int | None
) -> None:
    write(tmp_path / "out", workers=workers, rows_at_once=rows_at_once)
    assert tree(tmp_path / "out") == tree(whole)


def test_chunks_that_end_out_of_order_are_recorded_in_order(whole: Path, tmp_path: Path) -> None:
    second_done = threading.Event()

    def second_first(numbers: range, needed: Sequence[int]) -> list[Item]:
        if numbers.start == 0:
            assert second_done.wait(60)
        elif numbers.start == CHUNK:
            second_done.set()
        return make(numbers, needed)

    write(tmp_path / "out", replace(JOB, make=second_first), workers=2)
    assert tree(tmp_path / "out") == tree(whole)


@pytest.mark.parametrize("at", range(0, COUNT, 2))
def test_an_interrupted_and_resumed_folder_is_that_of_an_undisturbed_run(whole: Path, tmp_path: Path, at: int) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write(out, replace(JOB, make=failing_at(at)))
    done = len(rows(out))
    assert rows(out) == rows(whole)[:done]
    assert done <= at
    assert write(out, resume=True) == COUNT - done
    assert tree(out) == tree(whole)


def test_a_manifest_cut_within_a_line_is_completed(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    manifest = out / "metadata.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-10])
    assert write(out, resume=True) == 1
    assert tree(out) == tree(whole)


def test_a_lost_file_is_written_again_and_no_other(whole: Path, tmp_path: Path) -> None:
    expected = tree(whole)
    (whole / names_of(4)[1]).unlink()
    requested: list[int] = []

    def watched(numbers: range, needed: Sequence[int]) -> list[Item]:
        assert set(needed) <= set(numbers)
        requested.extend(needed)
        return make(numbers, needed)

    progress: list[int] = []
    assert write(whole, replace(JOB, make=watched), resume=True, on_progress=progress.append) == 1
    assert requested == [4]
    assert progress == [COUNT - 1, 1]
    assert tree(whole) == expected


def test_a_finished_folder_is_left_as_it_is(whole: Path) -> None:
    expected = tree(whole)
    assert write(whole, resume=True) == 0
    assert tree(whole) == expected


def test_a_row_of_another_run_is_refused(whole: Path) -> None:
    lines = (whole / "metadata.jsonl").read_text().splitlines(keepends=True)
    (whole / "metadata.jsonl").write_text("".join([lines[1], lines[0], *lines[2:]]))
    with raises("E-resume-foreign", r"metadata\.jsonl: row 1 is not one that this run writes; choose another --out"):
        write(whole, resume=True)


def test_rows_beyond_the_last_item_and_rows_that_do_not_match_are_refused(whole: Path) -> None:
    for job in (replace(JOB, count=COUNT - 1), replace(JOB, matches=lambda number, row: row["number"] != 5)):
        with raises("E-resume-foreign"):
            write(whole, job, resume=True)


def test_another_description_is_refused_and_its_first_key_named(whole: Path) -> None:
    expected = tree(whole)
    with (
        raises("E-resume-settings", "seed 0, now it is 1; repeat the first command with --resume"),
        open_sample_folder(whole, DESCRIPTION | {"seed": 1}, resume=True),
    ):
        pass
    assert tree(whole) == expected


def test_a_folder_without_a_readable_request_is_no_run_to_resume(whole: Path) -> None:
    for content in ("{", "[]"):
        (whole / "request.json").write_text(content)
        with raises("E-resume-no-run"):
            write(whole, resume=True)
    (whole / "request.json").unlink()
    with raises("E-resume-no-run"):
        write(whole, resume=True)


def test_a_filled_folder_is_refused_without_resume_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with raises("E-out-not-empty"):
        write(tmp_path)
    assert set(tree(tmp_path)) == {"mine.txt"}


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with open_sample_folder(tmp_path, None), raises("E-out-in-use"), open_sample_folder(tmp_path, None, resume=True):
        pass


def test_items_that_are_left_out_have_neither_files_nor_rows(tmp_path: Path) -> None:
    out = tmp_path / "whole"
    assert write(out, OPTIONAL) == COUNT // 2
    assert [row["number"] for row in rows(out)] == list(range(1, COUNT, 2))
    assert not (out / names_of(2)[0]).exists()
    expected = tree(out)
    manifest = out / "metadata.jsonl"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    (out / names_of(1)[0]).unlink()
    assert write(out, OPTIONAL, resume=True, workers=3) == COUNT // 2 - 1  # a lost one and those without a row
    assert tree(out) == expected


def test_a_job_without_optional_items_refuses_a_gap(tmp_path: Path) -> None:
    write(tmp_path, OPTIONAL)
    with raises("E-resume-foreign"):
        write(tmp_path, resume=True)


def test_before_rows_comes_between_the_files_and_their_rows(tmp_path: Path) -> None:
    recorded: list[int] = []

    def before_rows(items: Sequence[Item]) -> None:
        assert len(rows(tmp_path)) == len(recorded)
        for one in items:
            assert all((tmp_path / name).is_file() for name in one.files)
            assert one.extra == ({"extra": one.number},)
        recorded.extend(one.number for one in items)

    write(tmp_path, before_rows=before_rows, rows_at_once=2, workers=3)
    assert recorded == list(range(COUNT))


def test_after_rows_that_failed_none_follow(tmp_path: Path) -> None:
    def full_disk(items: Sequence[Item]) -> None:
        if items[0].number >= CHUNK:
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write(tmp_path, before_rows=full_disk)
    assert [row["number"] for row in rows(tmp_path)] == list(range(CHUNK))
    assert write(tmp_path, resume=True) == COUNT - CHUNK


def test_an_abandoned_run_leaves_neither_manifest_nor_request(tmp_path: Path) -> None:
    with open_sample_folder(tmp_path, DESCRIPTION) as folder:
        (tmp_path / "scores.jsonl").write_text("")
        folder.abandon("scores.jsonl")
    assert tree(tmp_path) == {}
    assert write(tmp_path) == COUNT


@pytest.mark.parametrize(("out", "given"), [("a", "a"), ("a/b", "a"), ("a", "a/b"), ("a/../b", "b")])
def test_an_output_folder_within_an_input_or_around_it_is_refused(tmp_path: Path, out: str, given: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with raises("E-out-overlaps-input"):
        check_apart(tmp_path / out, {"--data": tmp_path / given})
    check_apart(tmp_path / "c", {"--data": tmp_path / given, "--masks": None})
