from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_retina.datasets.loading import check_source, read_source
from edge_retina.datasets.problems import MEND, Problem, Problems
from edge_retina.errors import DatasetError

Write = Callable[..., Path]


def codes_of(root: Path) -> list[str]:
    problems = Problems(skip_invalid=True)
    check_source(read_source(root, problems), problems)
    return [problem.code for problem in problems.found]


@pytest.mark.parametrize(
    "box, code",
    [
        (("cat", 30, 4, 6, 20), "inverted-box"),
        (("cat", 6, 4, 6, 20), "zero-area-box"),
        (("cat", 6, 20, 30, 4), "inverted-box"),
        (("cat", 70, 4, 80, 20), "box-outside"),
        (("cat", 6, 4, 70, 20), "box-sticks-out"),
        (("cta", 6, 4, 30, 20), "unknown-class"),
        (("", 6, 4, 30, 20), "missing-class"),
        (("cat", "x", 4, 30, 20), "malformed-annotation"),
    ],
)
def test_codes_of_objects(tmp_path: Path, voc_xml: Write, box: tuple[object, ...], code: str):
    (tmp_path / "labels.txt").write_text("cat\n")
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), box)
    assert codes_of(tmp_path) == [code]


@pytest.mark.parametrize(
    "content, code",
    [
        (None, "missing-image"),
        (b"", "empty-file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated-image"),
        (b"text", "unreadable-image"),
    ],
)
def test_codes_of_images(tmp_path: Path, coco_json: Write, content: bytes | None, code: str):
    coco_json(tmp_path, [("a.jpg", []), ("b.jpg", [])])
    path = tmp_path / "images" / "a.jpg"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert codes_of(tmp_path) == [code]


def test_codes_of_csv(tmp_path: Path, picture: Write):
    picture(tmp_path / "a.jpg")
    lines = ["a.jpg,60,40,cat,1,2,30,40", "b.jpg,60,40,cat,1,2,30,40", "a.jpg,60,40,,1,2,30,40"]
    header = "filename,width,height,class,xmin,ymin,xmax,ymax"
    (tmp_path / "train.csv").write_text("\n".join([header, *lines, "a.jpg,60,40,cat,1,2,30,x"]))
    assert sorted(codes_of(tmp_path)) == ["malformed-annotation", "missing-class", "missing-image"]


def test_codes_of_yolo(tmp_path: Path, picture: Write):
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .1 .1\n7 .5 .5 .1 .1\n0 .5\n")
    (tmp_path / "labels" / "gone.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    assert codes_of(tmp_path) == ["unknown-class", "malformed-annotation", "missing-image"]


def test_codes_of_lists_and_sizes(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    voc_xml(tmp_path, "b", ("cat", 1, 1, 9, 9), size=(61, 44))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\nc\na\n")
    assert codes_of(tmp_path) == ["missing-annotation", "repeated-image", "size-mismatch"]


@pytest.mark.parametrize("layout", ["voc", "coco", "csv"])
def test_a_size_of_zero_is_noted_and_stops_nobody(
    tmp_path: Path, voc_xml: Write, coco_json: Write, picture: Write, layout: str
):
    if layout == "voc":
        voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), size=(0, 0))
    elif layout == "coco":
        path = coco_json(tmp_path, [("a.jpg", [(1, [1, 1, 8, 8])])])
        path.write_text(path.read_text().replace('"width": 60', '"width": 0'))
    else:
        picture(tmp_path / "a.jpg")
        header = "filename,width,height,class,xmin,ymin,xmax,ymax"
        (tmp_path / "train.csv").write_text(f"{header}\na.jpg,0,0,cat,1,1,9,9\n")
    problems = Problems(skip_invalid=False)
    splits = check_source(read_source(tmp_path, problems), problems)
    (example,) = (item for split in splits.values() for item in split)
    assert example.image_hw == (40, 60)
    assert problems.finish() == ()
    (note,) = problems.notes
    assert note.code == "zero-image-size"
    assert "0, so the image's own size is used" in note.what


def test_the_error_counts_and_the_warning_names_the_first(caplog: pytest.LogCaptureFixture):
    strict, lenient = Problems(skip_invalid=False), Problems(skip_invalid=True)
    for problems in (strict, lenient):
        problems.add("empty-file", "a.xml", "one")
        other = Problems(problems.skip_invalid)
        other.add("unknown-class", "b.xml, object 3", "two")
        other.note("zero-image-size", "c.xml", "three")
        problems.gather([other])
    with pytest.raises(DatasetError) as error:
        strict.finish()
    assert str(error.value) == f"a.xml: one; {MEND} (1 more problem in this data set)"
    with caplog.at_level(logging.WARNING):
        assert lenient.finish() == ("a.xml: one", "b.xml, object 3: two")
    assert caplog.messages == ["skipped 2 invalid items; first: a.xml: one"]
    assert lenient.found[1] == Problem("unknown-class", "b.xml, object 3", "two")
    assert lenient.notes == [Problem("zero-image-size", "c.xml", "three")]


def test_whatever_a_file_holds_can_be_printed():
    problems = Problems(skip_invalid=True)
    problems.add("unknown-class", "a.xml", "class '\ud800" + "x" * 9999)
    (line,) = problems.finish()
    line.encode()
    assert r"\ud800" in line
    assert len(line) < 600
