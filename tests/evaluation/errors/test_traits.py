from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.errors.traits import BrightnessMeter, Trait, find_traits
from edge_retina.runtime.detections import Detections
from tests.evaluation.errors.made_split import draw_errors, found, picture


def trait(name: str, traits: list[Trait]) -> Trait:
    return next(item for item in traits if item.name == name)


def names_of(item: Trait, values: np.ndarray) -> list[str]:
    """The bin of each value, objects' or detections'."""
    masks = [objects if values is item.objects else alarms for _, objects, alarms in item.bins()]
    assert (np.sum(masks, axis=0) == 1).all(), "each lies in one bin"
    return [item.names[int(row.argmax())] for row in np.array(masks).T]


def test_size_and_aspect():
    example = picture(("a", (0, 0, 8, 8)), ("a", (0, 0, 64, 16)), ("b", (0, 0, 4, 16)))
    traits = find_traits([example], [found(("a", (0, 0, 6, 6), 0.5))])
    size, aspect = trait("size", traits), trait("aspect", traits)
    np.testing.assert_allclose(size.objects, [8, 32, 8])
    assert names_of(size, size.objects) == ["8-16", "32-64", "8-16"]
    assert names_of(size, size.detections) == ["< 8"]
    assert size.unit == "√area, pixels of the picture"
    np.testing.assert_allclose(aspect.objects, [1, 4, 0.25])
    assert names_of(aspect, aspect.objects) == ["0.667-1.5", ">= 3", "< 0.333"]


def test_size_and_aspect_are_those_at_the_networks_input():
    example = Example(
        "p",
        Path("p"),
        (100, 200),
        np.array([[0, 0, 50, 100]], np.float32),
        np.zeros(1, np.int32),
        np.zeros(1, bool),
    )
    traits = find_traits([example], [found()], input_hw=(64, 64))
    np.testing.assert_allclose(trait("size", traits).objects, [32])
    np.testing.assert_allclose(trait("aspect", traits).objects, [1])
    assert trait("size", traits).unit == "√area, pixels of the input"


def test_crowding_is_the_overlap_with_another_object():
    """Two of IoU 1/3 whatever their classes, one alone, and a crowd region that doesn't count."""
    box, half, far = (0, 0, 32, 32), (0, 16, 32, 48), (64, 64, 96, 96)
    example = picture(("a", box), ("b", half), ("a", far), ("a", far), crowd=[3])
    detections = found(("a", box, 0.9), ("a", far, 0.8), ("a", (100, 100, 120, 120), 0.7))
    crowding = trait("crowding", find_traits([example], [detections]))
    np.testing.assert_allclose(crowding.objects, [1 / 3, 1 / 3, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(crowding.detections, [1 / 3, 0, 0], rtol=1e-6)
    assert names_of(crowding, crowding.objects) == ["0.3-0.5", "0.3-0.5", "0", ">= 0.5"]


def test_brightness_is_that_of_the_picture_in_thirds():
    examples = [picture(("a", (0, 0, 9, 9)), name=str(i)) for i in range(6)]
    detections = [found(("a", (0, 0, 9, 9), 0.5), ("b", (0, 0, 9, 9), 0.4))] * 6
    luma = [10.0, 20.0, 100.0, 110.0, 200.0, 255.0]
    item = trait("brightness", find_traits(examples, detections, luma=luma))
    assert [int(objects.sum()) for _, objects, _ in item.bins()] == [2, 2, 2]
    assert [int(alarms.sum()) for _, _, alarms in item.bins()] == [4, 4, 4]


@pytest.mark.parametrize("luma", [[128.0] * 3, [0.0] * 3, [255.0] * 3])
def test_pictures_of_one_brightness_are_one_bin(luma: list[float]):
    examples = [picture(("a", (0, 0, 9, 9)))] * 3
    item = trait("brightness", find_traits(examples, [found()] * 3, luma=luma))
    assert [int(objects.sum()) for _, objects, _ in item.bins()] == [3]


def test_anchor_coverage():
    """A square of 32 px in the middle of a cell fits an anchor; one of half the area has IoU .5."""
    grid = AnchorGrid((128, 128), 5, (((32.0, 32.0),),))
    example = picture(("a", (32, 32, 64, 64)), ("a", (32, 32, 64, 48)))
    detections = [found(("a", (32, 32, 64, 64), 0.5))]
    item = trait("anchor_coverage", find_traits([example], detections, anchors=grid))
    np.testing.assert_allclose(item.objects, [1.0, 0.5])
    assert names_of(item, item.objects) == [">= 0.8", "0.5-0.6"]
    assert names_of(item, item.detections) == [">= 0.8"]


def test_of_what_is_unknown_there_is_no_trait():
    examples, detections = draw_errors(5, 0)
    assert [item.name for item in find_traits(examples, detections)] == [
        "size",
        "aspect",
        "crowding",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_every_object_and_detection_is_in_one_bin(seed: int):
    examples, detections = draw_errors(10, seed)
    grid = AnchorGrid((128, 128), 3, (((16.0, 16.0),), ((40.0, 20.0),)))
    luma = np.random.default_rng(seed).uniform(0, 255, 10).tolist()
    for item in find_traits(examples, detections, luma=luma, anchors=grid):
        assert len(item.objects) == sum(len(example.classes) for example in examples)
        assert len(item.detections) == sum(map(len, detections))
        for masks in zip(*[(objects, alarms) for _, objects, alarms in item.bins()], strict=True):
            assert (np.sum(masks, axis=0) == 1).all()


def test_the_meter_notes_the_luma_and_changes_nothing():
    class Detector:
        labels = ("a",)

        def predict(self, image_rgb: np.ndarray) -> Detections:
            return found(("a", (0, 0, 1, 1), float(image_rgb[0, 0, 0]) / 255))

    meter = BrightnessMeter(Detector())
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert meter.labels == ("a",)
    assert meter.predict(red).scores.tolist() == [1.0]
    meter.predict(np.full((4, 4, 3), 100, np.uint8))
    np.testing.assert_allclose(meter.luma, [0.299 * 255, 100])
