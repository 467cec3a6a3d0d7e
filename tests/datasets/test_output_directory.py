from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_retina.datasets.output_directory import new_directory
from edge_retina.errors import DatasetError


@pytest.mark.parametrize("exists", [False, True])
def test_it_appears_whole(tmp_path: Path, exists: bool):
    out = tmp_path / "deep" / "out"
    if exists:
        out.mkdir(parents=True)
    with new_directory(out) as directory:
        (directory / "a").write_text("new")
        assert not (out / "a").exists()
    assert (out / "a").read_text() == "new"
    assert os.listdir(out.parent) == ["out"]


def test_an_error_leaves_what_was_there(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")

    def fail() -> None:
        with new_directory(out, force=True) as directory:
            (directory / "a").write_text("new")
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert (out / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_only_force_replaces(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")
    with pytest.raises(DatasetError) as error, new_directory(out):
        pass
    assert str(error.value) == (
        f"{out}: exists and is not empty; choose another directory or pass --force"
    )
    with new_directory(out, force=True) as directory:
        (directory / "a").write_text("new")
        (directory / "b").write_text("new")
    assert sorted(os.listdir(out)) == ["a", "b"]
    assert (out / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_force_deletes_nothing_but_an_older_result(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("images", "notes.txt", "thesis.tex"):
        (out / name).write_text("mine")
    with (
        pytest.raises(DatasetError, match=r"would delete notes\.txt and 1 more, which the new"),
        new_directory(out, force=True) as directory,
    ):
        (directory / "images").write_text("new")
    assert (out / "images").read_text() == (out / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_is_never_replaced(tmp_path: Path):
    (tmp_path / "out").write_text("mine")
    with (
        pytest.raises(DatasetError, match="is a file"),
        new_directory(tmp_path / "out", force=True),
    ):
        pass
