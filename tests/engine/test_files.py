"""Hashes, and names that may not leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.files.atomic import inside, sha256_bytes, sha256_file
from tests.builders.errors import raises


def test_a_file_and_its_bytes_have_the_same_hash(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "x") == expected


@pytest.mark.parametrize("name", ["a.png", "images/ü 1.png", "a..b/c.png"])
def test_ordinary_names_are_joined(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("", "is no file name"),
        (".", "is no file name"),
        ("a\0b", "is no file name"),
        ("/etc/passwd", "is absolute"),
        ("C:\\x.png", "is absolute"),
        ("../x.png", "leaves the folder by '..'"),
        ("images/../../x.png", "leaves the folder by '..'"),
        ("images\\..\\..\\x.png", "leaves the folder by '..'"),
    ],
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str, what: str) -> None:
    with raises("E-file-name", what):
        inside(tmp_path, name)


def test_symlinks_may_stay_in_the_folder_but_not_leave_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    (root / "images").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "same").symlink_to(root / "images")
    assert inside(root, "same/x.png") == root / "same" / "x.png"
    with raises("E-file-name"):
        inside(root, "out/x.png")


@given(st.text(max_size=30))
def test_whatever_is_requested_stays_inside_or_is_refused(name: str) -> None:
    root = Path("/no/such/root")
    try:
        path = inside(root, name)
    except DataError:
        return
    assert path.resolve().is_relative_to(root)
