from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners import atss, dynamic_k, max_iou
from edge_retina.boxes.codec import encode
from edge_retina.choices import ASSIGNERS
from edge_retina.config import MatchingConfig

pytestmark = pytest.mark.tf

SHAPES = ((20.0, 20.0), (32.0, 14.0))
GRID = AnchorGrid((64, 64), 3, tuple(tuple((h * s, w * s) for h, w in SHAPES) for s in (1, 2, 4)))
ANCHORS = GRID.boxes_px()
REFERENCES = {"max_iou": max_iou.assign, "atss": atss.assign, "dynamic_k": dynamic_k.assign}


def image(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """0 to 6 objects anywhere, every third time on a coarse raster, where IoUs tie."""
    count = rng.integers(0, 7)
    low = rng.uniform(-5, 50, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 45, (count, 2))], axis=1)
    if rng.random() < 1 / 3:
        boxes = np.concatenate(
            [np.round(boxes[:, :2] / 8) * 8, np.round(boxes[:, 2:] / 8) * 8 + 8], 1
        )
    return (
        boxes.astype(np.float32),
        rng.integers(0, 5, count).astype(np.int32),
        rng.random(count) < 0.2,
    )


def expected(
    boxes: np.ndarray, classes: np.ndarray, ignored: np.ndarray, matching: MatchingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The targets from the assigner's numpy reference."""
    objects, classes = boxes[~ignored], classes[~ignored]
    matched = REFERENCES[matching.assigner](
        ANCHORS, objects, classes, boxes[ignored], grid=GRID, settings=matching
    )
    cls_targets, box_targets = matched.copy(), np.zeros_like(ANCHORS)
    positive = matched >= 0
    cls_targets[positive] = classes[matched[positive]]
    box_targets[positive] = encode(objects[matched[positive]], ANCHORS[positive])
    return cls_targets, box_targets


def check(found: tuple[Any, Any], want: tuple[np.ndarray, np.ndarray]) -> None:
    cls_targets, box_targets = (np.asarray(value) for value in found)
    assert (cls_targets.dtype, box_targets.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(cls_targets, want[0])
    np.testing.assert_allclose(box_targets, want[1], atol=2e-4)


@pytest.mark.parametrize(
    "matching",
    [
        MatchingConfig(),
        MatchingConfig(force_match=False),
        MatchingConfig(positive_iou=0.4, negative_iou=0.4),
        MatchingConfig(positive_iou=0.7, negative_iou=0.3),
        MatchingConfig(assigner="atss"),
        MatchingConfig(min_positives=9),
        MatchingConfig(min_positives=3, min_positive_iou=0.0),
        MatchingConfig(assigner="atss", force_match=False),
        MatchingConfig(assigner="dynamic_k"),
        MatchingConfig(assigner="dynamic_k", force_match=False, most_positives=4),
    ],
    ids=[
        "default",
        "not forced",
        "nothing ignored",
        "wide zone",
        "atss",
        "at least nine",
        "at least three",
        "atss, not forced",
        "dynamic k",
        "dynamic k, not forced",
    ],
)
def test_the_same_as_numpy_eagerly_and_in_a_dataset(matching: MatchingConfig):
    from edge_retina.input_pipeline.targets import make_assign_targets
    from edge_retina.model.keras import tf

    rng = np.random.default_rng(0)
    images = [image(rng) for _ in range(60)]
    assert any(not len(boxes) for boxes, _, _ in images)
    assert any(ignored.any() for _, _, ignored in images)
    wanted = [expected(*item, matching) for item in images]

    assign_targets = make_assign_targets(GRID, matching)
    for item, want in zip(images, wanted, strict=True):
        check(assign_targets(*item), want)

    dataset = tf.data.Dataset.from_generator(
        lambda: iter(images),
        output_signature=(
            tf.TensorSpec((None, 4), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.bool),
        ),
    ).map(assign_targets)
    mapped = list(dataset.as_numpy_iterator())
    for found, want in zip(mapped, wanted, strict=True):
        check(found, want)


def test_every_assigner_has_a_reference():
    assert set(REFERENCES) == set(ASSIGNERS)


# The corners of two by two cells: (-1, -1, 9, 9), (-1, 7, 9, 17), (7, -1, 17, 9), (7, 7, 17, 17).
FOUR = AnchorGrid((16, 16), 3, (((10.0, 10.0),),))


@pytest.mark.parametrize(
    "boxes, ignored, cls_targets",
    [
        ([], [], [-1, -1, -1, -1]),
        ([(-1, -1, 9, 9)], [False], [3, -1, -1, -1]),
        # not to be found: the anchor upon it is ignored, not positive
        ([(-1, -1, 9, 9)], [True], [-2, -1, -1, -1]),
        ([(-1, -1, 9, 12.1)], [True], [-2, -2, -1, -1]),  # just over half of the second is inside
        ([(-1, -1, 9, 12)], [True], [-2, -1, -1, -1]),  # just half
        ([(-9, -9, 60, 60), (-1, -1, 9, 9)], [True, False], [3, -2, -2, -2]),  # objects come first
        ([(-1, -1, 9, 17), (7, 7, 17, 17)], [True, True], [-2, -2, -1, -2]),
    ],
)
def test_ignored_by_hand(
    boxes: list[tuple[float, ...]], ignored: list[bool], cls_targets: list[int]
):
    from edge_retina.input_pipeline.targets import make_assign_targets
    from edge_retina.model.keras import tf

    found, codes = make_assign_targets(FOUR, MatchingConfig())(
        tf.reshape(tf.constant(boxes, tf.float32), (-1, 4)),
        tf.fill((len(boxes),), 3),
        tf.constant(ignored, tf.bool),
    )
    assert found.numpy().tolist() == cls_targets
    assert (codes.numpy() == 0).all()  # the one positive anchor lies on its object
