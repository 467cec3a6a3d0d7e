"""`Detector` and its `Detections`, on a detector that one can compute by hand.

The tiny detectors of tests/golden say of every picture: a disc over all of it with a score of .25,
and a square at .1 .2 .5 .6 (yxyx) with .5 + .25 m, where m is the mean of the picture in -1..1.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edge_retina as er
from edge_retina.cli.main import main

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"
WHITE = np.full((40, 60, 3), 255, np.uint8)
SQUARE_PX = [4.0, 12.0, 20.0, 36.0]  # yxyx in 40 × 60 pixels


@pytest.fixture(scope="module")
def detector() -> er.Detector:
    return er.Detector(TINY)


def test_what_is_found_is_what_the_model_says(detector: er.Detector) -> None:
    found = detector(WHITE)
    assert detector.labels == found.labels == ("disc", "square")
    assert found.image_hw == (40, 60)
    assert len(found) == 2
    square, disc = found
    assert (square["label"], disc["label"]) == ("square", "disc")
    assert square["score"] == pytest.approx(0.75, abs=0.01)  # 255 is 127/128 of white
    assert disc["score"] == 0.25
    assert square["box_px"] == pytest.approx(SQUARE_PX)


def test_low_scores_are_left_out(detector: er.Detector) -> None:
    found = detector(WHITE, score=0.3)
    assert [item["label"] for item in found] == ["square"]
    assert (found.labels, found.image_hw) == (("disc", "square"), (40, 60))
    assert len(detector(WHITE, score=0.9)) == 0


def test_forms_of_a_picture_give_the_same(detector: er.Detector, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, WHITE.shape).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), rgb[..., ::-1])
    expected = detector(rgb).to_list()
    assert expected[0]["score"] != 0.5
    for form in (path, str(path), Image.fromarray(rgb), rgb[:, ::-1][:, ::-1]):
        assert detector(form).to_list() == expected


def test_pil_images_are_turned_upright_and_made_rgb(detector: er.Detector) -> None:
    turned = Image.new("L", (60, 40), 255)
    turned.getexif()[0x0112] = 6  # EXIF orientation: turn clockwise by 90°
    found = detector(turned)
    assert found.image_hw == (60, 40)
    assert found.scores[0] == detector(WHITE).scores[0]


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((4, 4), np.uint8), r"image: got an array \(4, 4\) of uint8; expected a path"),
        (np.zeros((4, 4, 3)), r"image: got an array \(4, 4, 3\) of float64; expected"),
        (np.zeros((4, 4, 4), np.uint8), r"image: got an array \(4, 4, 4\) of uint8; expected"),
        (np.zeros((0, 4, 3), np.uint8), r"image: got an array \(0, 4, 3\) of uint8; expected"),
        (None, "image: got NoneType; expected a path"),
        (b"bytes", "image: got bytes; expected a path"),
        ("missing.jpg", r"missing\.jpg: can't be read"),
    ],
)
def test_what_is_no_picture(detector: er.Detector, image: Any, message: str) -> None:
    with pytest.raises(er.DatasetError, match=message):
        detector(image)


def test_a_model_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(er.ModelError, match=r"none\.tflite: no such file"):
        er.Detector(tmp_path / "none.tflite")
    with pytest.raises(er.ModelError, match="backend 'xnpack': did you mean 'xnnpack'"):
        er.Detector(TINY, backend="xnpack")
    with pytest.raises(er.ModelError, match="num_threads must be 1 or more, got 0"):
        er.Detector(TINY, threads=0)


def test_detections_are_those_of_the_command(detector: er.Detector, tmp_path: Path) -> None:
    shutil.copy(TINY, tmp_path / "tiny_int8.tflite")
    picture = tmp_path / "photo.png"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 256, (50, 70, 3)))
    arguments = ["predict", tmp_path / "tiny_int8.tflite", picture, "--out", tmp_path / "drawn"]
    options = ["--score", 0.2, "--json", "-"]
    result = CliRunner().invoke(main, [str(item) for item in (*arguments, *options)])
    (written,) = json.loads(result.stdout)["predictions"]
    assert len(written["detections"]) == 2
    assert detector(picture, score=0.2).to_list() == written["detections"]


def test_coco_results(detector: er.Detector) -> None:
    square, disc = detector(WHITE).to_coco(7)
    assert square["image_id"] == disc["image_id"] == 7
    assert (square["category_id"], disc["category_id"]) == (2, 1)
    assert square["bbox"] == pytest.approx([12, 4, 24, 16])  # x, y, width, height
    assert square["area"] == pytest.approx(384)
    assert disc["score"] == 0.25


def test_pycocotools_takes_the_results(detector: er.Detector, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "square"}]
    tree = {"images": [{"id": 7, "height": 40, "width": 60}], "annotations": []}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({**tree, "categories": categories, "info": {}}))
    loaded = COCO(str(path)).loadRes(detector(WHITE).to_coco(7))
    assert sorted(item["category_id"] for item in loaded.anns.values()) == [1, 2]


@pytest.mark.parametrize("name", ["supervision", "fiftyone"])
def test_an_adapter_without_its_package(
    detector: er.Detector, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    with pytest.raises(er.EdgeRetinaError, match=f"not installed: pip install {name}"):
        getattr(detector(WHITE), f"to_{name}")()
