"""Every kind of flaw, made on purpose: it is found, named at its place, and nothing falls over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_retina.cli.doctor import command
from edge_retina.doctor.data.checks import (
    anchors,
    boxes,
    classes,
    duplicates,
    formats,
    images,
    objects,
)
from edge_retina.doctor.findings import Kind
from tests.doctor.made import (
    BOX,
    VocSet,
    cmyk_jpeg,
    codes,
    diagnose,
    encode,
    photo,
    two_frame_gif,
    with_orientation,
)

Builder = Callable[[VocSet], object]


def _grey16() -> bytes:
    return encode(photo(90).astype(np.uint16) * 257, ".png")


def _with_alpha() -> bytes:
    return encode(cv2.cvtColor(photo(91), cv2.COLOR_BGR2BGRA), ".png")


def _png_cut() -> bytes:
    return encode(photo(92), ".png")[:-200]


def _jpeg_cut() -> bytes:
    data = encode(photo(93))
    return data[: len(data) * 2 // 3]


def _border(voc: VocSet, *box: int) -> None:
    for number in range(6):
        voc.add(f"border{number}.jpg", ("cat", *box))


def _zero_size(voc: VocSet) -> None:
    voc.add("unsized.jpg", BOX, size_hw=(0, 0))


def _missing(voc: VocSet) -> None:
    voc.add("gone.jpg", BOX).unlink()


def _twice(voc: VocSet) -> None:
    voc.add("twice.jpg", BOX)
    listing = voc.root / "ImageSets" / "Main" / "train.txt"
    listing.write_text(listing.read_text() + "twice\n")


def _malformed(voc: VocSet) -> None:
    voc.add("torn.jpg", BOX)
    (voc.root / "Annotations" / "torn.xml").write_text("<annotation><object>")


def _unlabelled(voc: VocSet) -> None:
    (voc.root / "JPEGImages" / "unlabelled.jpg").write_bytes(encode(photo(94)))


def _other_list(voc: VocSet) -> None:
    (voc.root / "data.yaml").write_text("names: [dog, horse]\n")


def _unknown(voc: VocSet) -> None:
    (voc.root / "labels.txt").write_text("cat\n")
    voc.add("typo.jpg", ("cta", 20, 30, 60, 70))


def _copies(voc: VocSet, *, split: str, box: tuple = BOX) -> None:
    data = encode(photo(95))
    voc.add("original.jpg", BOX, data=data)
    voc.add("copy.jpg", box, data=data, split=split)


def _resaved(voc: VocSet, *, split: str) -> None:
    picture = photo(96)
    voc.add("original.jpg", BOX, data=encode(picture))
    smaller = cv2.resize(picture, None, fx=0.75, fy=0.75)
    voc.add("resaved.jpg", data=encode(smaller), size_hw=smaller.shape[:2], split=split)


def _crowded(voc: VocSet) -> None:
    near = [("cat", 20 + step, 30, 60 + step, 70) for step in (0, 8)]  # IoU 32 / 48
    voc.add("crowded.jpg", *near)


def _outlier(voc: VocSet) -> None:
    for number in range(30):
        voc.add(f"usual{number}.jpg", ("cat", 20, 30, 60 + number % 3, 70))
    voc.add("odd.jpg", ("cat", 1.5, 40, 126, 44))


def _small(voc: VocSet) -> None:
    voc.add("small.jpg", *[("cat", 20 * i, 30, 20 * i + 18, 50) for i in range(5)])


def _few_trained(voc: VocSet) -> None:
    for number in range(4):
        voc.add(f"dog{number}.jpg", ("dog", 20, 30, 60, 70), split="val")


def _imbalanced(voc: VocSet) -> None:
    for number in range(20):
        boxes = [("cat", 4 * i, 30, 4 * i + 20, 60) for i in range(11)]
        voc.add(f"many{number}.jpg", *boxes, ("dog", 20, 62, 60, 90))


def _exif(stated: tuple[int, int] | None, *box: int) -> Builder:
    data = with_orientation(encode(photo(97)), 6)
    return lambda voc: voc.add("turned.jpg", ("cat", *box), data=data, size_hw=stated)


def _file(name: str, data: Callable[[], bytes], **kwargs: object) -> Builder:
    return lambda voc: voc.add(name, BOX, data=data(), **kwargs)


def _box(*box: object, label: str = "cat") -> Builder:
    return lambda voc: voc.add("flawed.jpg", BOX, (label, *box))


# code, severity, how it is made on top of four sound pictures, part of the first case, count
FLAWS = [
    ("missing-image", "error", _missing, "gone.xml: no image 'gone.jpg'", 1),
    ("unreadable-annotation", "error", _malformed, "torn.xml: malformed XML", 1),
    ("zero-image-size", "note", _zero_size, "unsized.xml: size is stated as 0x0, so the", 1),
    ("repeated-image", "error", _twice, "twice.jpg: 2 times in split 'train'", 1),
    ("empty-file", "error", _file("f.jpg", lambda: b""), "JPEGImages/f.jpg: file is empty", 1),
    (
        "truncated-image",
        "error",
        _file("f.jpg", _jpeg_cut),
        "f.jpg: the JPEG data end too early",
        1,
    ),
    ("truncated-image", "error", _file("f.png", _png_cut), "f.png: ", 1),
    ("unreadable-image", "error", _file("f.jpg", lambda: b"no picture"), "f.jpg: not an image", 1),
    ("size-mismatch", "error", _file("f.jpg", lambda: encode(photo(98, (48, 64)))), "64x48", 1),
    ("wrong-suffix", "warning", _file("f.jpg", lambda: encode(photo(99), ".png")), "PNG file", 1),
    ("animated-image", "warning", _file("f.gif", two_frame_gif), "f.gif: GIF", 1),
    ("sixteen-bit-image", "note", _file("f.png", _grey16), "f.png: 16 bits", 1),
    ("cmyk-image", "warning", _file("f.jpg", cmyk_jpeg), "f.jpg: JPEG", 1),
    ("grey-image", "note", _file("f.jpg", lambda: encode(photo(89)[..., 0])), "f.jpg: JPEG", 1),
    ("alpha-image", "note", _file("f.png", _with_alpha), "f.png: PNG", 1),
    ("exif-orientation", "note", _exif((96, 128), 20, 30, 60, 70), "before the rotation", 1),
    ("exif-orientation", "note", _exif((128, 96), 20, 30, 60, 70), "after the rotation", 1),
    ("exif-ambiguous", "warning", _exif(None, 20, 30, 60, 70), "before and after the rotation", 1),
    ("exif-ambiguous", "warning", _exif(None, 20, 30, 120, 70), "before the rotation only", 1),
    (
        "invalid-exif-orientation",
        "note",
        _file("f.jpg", lambda: with_orientation(encode(photo(97)), 9)),
        "f.jpg: orientation 9, read as 1",
        1,
    ),
    ("image-without-objects", "note", lambda voc: voc.add("bare.jpg"), "bare.jpg", 1),
    ("unused-image", "note", _unlabelled, "JPEGImages/unlabelled.jpg", 1),
    ("duplicate-file-name", "note", lambda voc: voc.add("a/sound0.jpg", BOX), "sound0.jpg", 2),
    ("inverted-box", "error", _box(60, 30, 20, 70), "object 2): cat: xmin 60", 1),
    ("zero-area-box", "error", _box(20, 30, 20, 70), "flawed.xml, object 2): cat: xmin 20", 1),
    ("box-outside", "error", _box(130, 30, 160, 70), "xmax 160", 1),
    ("box-sticks-out", "error", _box(100, 30, 131, 70), "xmax 131", 1),
    ("sub-pixel-box", "warning", _box(20, 30, 20.5, 70), "xmax 20.5", 1),
    ("covering-box", "note", _box(0, 0, 128, 96, label="dog"), "flawed.jpg", 1),
    ("duplicate-box", "warning", _box(20, 30, 60, 70), "also object 1, cat", 1),
    ("contradicting-classes", "warning", _box(20, 30, 60, 71, label="dog"), "also object 1", 1),
    ("unknown-class", "error", _unknown, "typo.xml, object 1): cta", 1),
    (
        "normalized-coordinates",
        "error",
        lambda voc: voc.add("unit.jpg", ("cat", 0.2, 0.3, 0.6, 0.7)),
        "unit.jpg",
        1,
    ),
    ("one-based-coordinates", "note", lambda voc: _border(voc, 1, 1, 50, 60), "border0", 6),
    ("inclusive-coordinates", "note", lambda voc: _border(voc, 50, 40, 127, 95), "border0", 6),
    ("odd-shape", "note", _outlier, "odd.jpg", 1),
    ("crowding", "warning", _crowded, "objects lost by NMS threshold", 1),
    ("class-with-one-box", "warning", _box(70, 30, 90, 70, label="dog"), "dog: 1 box", 1),
    ("class-with-few-boxes", "note", lambda voc: None, "cat: 4 boxes", 1),
    ("class-absent-from-training", "warning", _few_trained, "dog: in val only", 1),
    ("class-imbalance", "warning", _imbalanced, "dog: 20 boxes against 224 of cat", 1),
    ("similar-class-names", "warning", _box(70, 30, 90, 70, label="Cat"), "cat: also 'Cat'", 1),
    ("other-class-list", "note", _other_list, "data.yaml: says dog, horse", 1),
    ("duplicate-image", "warning", lambda voc: _copies(voc, split="train"), "copy.jpg", 1),
    ("leaked-image", "warning", lambda voc: _copies(voc, split="test"), "copy.jpg: in test", 1),
    (
        "duplicate-with-other-boxes",
        "warning",
        lambda voc: _copies(voc, split="train", box=("cat", 80, 10, 110, 50)),
        "copy.jpg: 2 boxes without a partner",
        1,
    ),
    ("near-duplicate-image", "note", lambda voc: _resaved(voc, split="train"), "resaved.jpg", 2),
    ("near-leaked-image", "warning", lambda voc: _resaved(voc, split="val"), "in val", 1),
    ("small-object", "warning", _box(70, 30, 74, 36), "cat: 1 of 6; median side 35 px", 1),
    ("mostly-small-objects", "note", _small, "55.6% of all objects; median side 16 px", 5),
    ("extreme-aspect", "note", _box(5, 80, 120, 88), "flawed.jpg: cat:", 1),
]


@pytest.mark.parametrize(
    "code, severity, build, text, count",
    [pytest.param(*flaw, id=f"{number}-{flaw[0]}") for number, flaw in enumerate(FLAWS)],
)
def test_flaw_is_found_and_named(
    tmp_path: Path, code: str, severity: str, build: Builder, text: str, count: int
) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(4)
    build(voc)
    sizes = ["--set", "model.max_level=5", "--image-size", "96"]
    result = CliRunner().invoke(command, [str(voc.root), "--json", "-", *sizes])
    assert result.exception is None, result.output
    assert result.exit_code == 0
    found = {item["code"]: item for item in json.loads(result.stdout)["findings"]}
    assert code in found, sorted(found)
    finding = found[code]
    assert finding["severity"] == severity
    assert finding["count"] == count
    case = finding["cases"][0]
    where = f" ({case['where']})" if case["where"] else ""
    assert text in f"{case['file']}{where}: {case['detail']}"
    assert finding["why"]
    assert finding["remedy"]


def test_every_kind_is_made_on_purpose() -> None:
    """A check without a flaw that sets it off would be a check that nobody has seen work."""
    elsewhere = {  # need other layouts or settings, see the tests of the single checks
        "pixels-in-normalized-format",
        "class-id-gaps",
        "class-without-boxes",
        "class-absent-from-split",
        "crowd-region",
        "difficult-object",
        "too-many-objects",
        "default-anchors-miss",
        "fitted-anchors-miss",
    }
    assert known_codes() == {flaw[0] for flaw in FLAWS} | elsewhere


def known_codes() -> set[str]:
    modules = (anchors, boxes, classes, duplicates, formats, images, objects)
    kinds = [value for module in modules for value in vars(module).values()]
    return {kind.code for kind in kinds if isinstance(kind, Kind)}


def test_a_file_name_may_look_like_a_message(tmp_path: Path) -> None:
    """Place and kind of a problem are not told from its words."""
    voc = VocSet(tmp_path / "data")
    voc.add_sound(2)
    voc.add("a: no picture.jpg", BOX)
    (voc.root / "Annotations" / "a: no picture.xml").write_text("text")
    found = codes(diagnose(voc.root))
    assert "missing-image" not in found
    (case,) = found["unreadable-annotation"].cases
    assert case.file == "Annotations/a: no picture.xml"
    assert case.detail.startswith("malformed XML")


def test_sound_data_has_no_error_and_no_warning(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(24)
    voc.add_sound(3, split="val", first=24)
    findings = diagnose(voc.root).findings
    assert [item.code for item in findings if item.severity != "note"] == []


def test_broken_picture_alone_still_gives_a_diagnosis(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add("f.jpg", BOX, data=b"")
    diagnosis = diagnose(voc.root)
    assert diagnosis.findings[0].code == "empty-file"
    assert diagnosis.anchors is None
    assert diagnosis.advice == ()


def test_errors_are_what_stops_training(tmp_path: Path) -> None:
    """What the loader leaves out is named by an error, one by one."""
    voc = VocSet(tmp_path / "data")
    voc.add_sound(2)
    voc.add("flawed.jpg", BOX, ("cat", 20, 30, 20, 70), ("cat", 60, 30, 20, 70))
    voc.add("empty.jpg", BOX, data=b"")
    voc.add("other.jpg", BOX, size_hw=(50, 50))
    diagnosis = diagnose(voc.root)
    errors = {item.code: item.count for item in diagnosis.findings if item.severity == "error"}
    assert errors == {"empty-file": 1, "size-mismatch": 1, "inverted-box": 1, "zero-area-box": 1}
    assert sum(errors.values()) == diagnosis.survey.skipped
