from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.errors import ModelError
from edge_retina.evaluation.class_map import MappedPredictor, map_classes, restrict
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.label_files import BUILT_IN


def test_names_decide_and_numbers_do_not() -> None:
    found = map_classes(("car", "cat", "ufo"), ("cat", "dog", "car"))
    assert found.shared == ("car", "cat")
    assert found.only_data == ("ufo",)
    assert found.only_model == ("dog",)
    assert str(found) == (
        "mAP is over the 2 classes that model and data set share; 1 only in the data set: ufo; "
        "1 only in the model: dog"
    )
    assert not found.is_whole
    assert found.to_dict() == {
        "shared": ["car", "cat"],
        "only_data": ["ufo"],
        "only_model": ["dog"],
    }


def test_the_91_numbers_of_coco_are_its_80_names() -> None:
    found = map_classes(BUILT_IN["coco80"], BUILT_IN["coco91"])
    assert found.shared == BUILT_IN["coco80"]
    assert found.is_whole


@pytest.mark.parametrize(
    "data, model",
    [
        ("traffic light", "Traffic_Light"),
        ("cell phone", "cell-phone"),
        ("airplane", "aeroplane"),
        ("dining table", "diningtable"),
        ("tvmonitor", "tv"),
    ],
)
def test_spellings_of_one_class(data: str, model: str) -> None:
    assert map_classes((data,), (model,)).shared == (data,)


def test_of_two_models_the_classes_of_both() -> None:
    found = map_classes(("a", "b", "c"), ("a", "b"), ("b", "c"))
    assert found.shared == ("b",)
    assert found.only_data == ("a", "c")
    assert found.only_model == ()


def test_no_class_in_common() -> None:
    with pytest.raises(ModelError) as caught:
        map_classes(("a",), ("???", "b", "c", "d", "e", "f", "g"))
    assert str(caught.value) == (
        "model and data set share no class: the model has b, c, d, e, f and 1 more, the data set "
        "a; pass the model's class names with --labels FILE"
    )


class Fixed:
    labels = ("cat", "???", "car")

    def predict(self, image_rgb: np.ndarray) -> Detections:
        boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
        return Detections(boxes, np.array([2, 1, 0], np.int32), np.array([0.9, 0.8, 0.7]))


def test_detections_of_the_shared_classes() -> None:
    predictor = MappedPredictor(Fixed(), ("car", "cat"))
    found = predictor.predict(np.zeros((1, 1, 3), np.uint8))
    assert predictor.labels == ("car", "cat")
    assert found.classes.tolist() == [0, 1]
    assert found.scores.tolist() == [0.9, 0.7]
    assert found.boxes_norm.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]


def test_objects_of_the_shared_classes() -> None:
    example = Example(
        image_id="a",
        path=Path("a"),
        image_hw=(9, 9),
        boxes_px=np.arange(12, dtype=np.float32).reshape(3, 4),
        classes=np.array([2, 0, 1], np.int32),
        crowd=np.array([True, False, False]),
        difficult=np.array([False, True, False]),
    )
    (found,) = restrict([example], ("car", "ufo", "cat"), ("car", "cat"))
    assert found.classes.tolist() == [1, 0]
    assert found.boxes_px.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert found.crowd.tolist() == [True, False]
    assert found.difficult.tolist() == [False, True]
    assert example.classes.tolist() == [2, 0, 1]
