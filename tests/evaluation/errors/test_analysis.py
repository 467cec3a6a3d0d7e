from __future__ import annotations

import json

import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.errors import DatasetError
from edge_retina.evaluation.errors.analysis import analyse_errors
from edge_retina.evaluation.errors.tide import error_gains, error_table
from edge_retina.files import dump_json
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

BOX = (0, 0, 32, 32)


def test_it_holds_every_part():
    examples, detections = draw_errors(12, 0, classes=2)
    grid = AnchorGrid((64, 64), 3, (((16.0, 16.0),),))
    analysis = analyse_errors(
        examples, detections, LABELS, input_hw=(64, 64), luma=[100.0] * 12, anchors=grid
    )
    tree = json.loads(dump_json(analysis.to_dict()))
    assert list(tree) == [
        "decomposition",
        "slices",
        "operating_point",
        "confusion",
        "calibration",
        "curves",
    ]
    assert (
        tree["decomposition"] == error_gains(error_table(examples, detections, classes=3)).to_dict()
    )
    assert list(tree["slices"]) == ["size", "aspect", "crowding", "brightness", "anchor_coverage"]
    objects = sum(len(example.classes) for example in examples)
    for by in tree["slices"].values():
        assert sum(item["objects"] for item in by["bins"]) == objects
    assert tree["slices"]["size"]["unit"] == "√area, pixels of the input"
    assert tree["confusion"]["threshold"] == tree["operating_point"]["threshold"]
    assert list(tree["curves"]) == list(LABELS)
    assert tree["curves"]["c"] is None


def test_a_model_that_finds_nothing():
    analysis = analyse_errors([picture(("a", BOX))], [found()], LABELS)
    assert analysis.operating_point is None
    assert analysis.confusion.counts[0, 3] == 1
    assert json.loads(dump_json(analysis.to_dict()))["operating_point"] is None


@pytest.mark.parametrize("example", [picture(), picture(("a", BOX), crowd=[0])])
def test_a_split_without_objects_is_refused(example):
    with pytest.raises(DatasetError, match="no labelled object in the 1 images"):
        analyse_errors([example], [found()], LABELS)
