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


Image = tuple[np.ndarray, np.ndarray, np.ndarray]


def image(rng: np.random.Generator, hw: tuple[int, int] = (64, 64)) -> Image:
    """0 to 6 objects anywhere, every third time on a coarse raster, where IoUs tie."""
    count = rng.integers(0, 7)
    low = rng.uniform(-5, np.array(hw) - 14, (count, 2))
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
    boxes: np.ndarray,
    classes: np.ndarray,
    ignored: np.ndarray,
    matching: MatchingConfig,
    grid: AnchorGrid,
) -> tuple[np.ndarray, np.ndarray]:
    """The targets from the assigner's numpy reference."""
    objects, classes, anchors = boxes[~ignored], classes[~ignored], grid.boxes_px()
    matched = REFERENCES[matching.assigner](
        anchors, objects, classes, boxes[ignored], grid=grid, settings=matching
    )
    cls_targets, box_targets = matched.copy(), np.zeros_like(anchors)
    positive = matched >= 0
    cls_targets[positive] = classes[matched[positive]]
    box_targets[positive] = encode(objects[matched[positive]], anchors[positive])
    return cls_targets, box_targets


def batch_of(images: list[Image]) -> tuple[np.ndarray, ...]:
    """boxes, classes, number of the image and ignored, of all objects."""
    boxes, classes, ignored = (np.concatenate(parts) for parts in zip(*images, strict=True))
    numbers = np.repeat(np.arange(len(images), dtype=np.int32), [len(i[1]) for i in images])
    return boxes, classes, numbers, ignored


def targets_of(
    batch: tuple[Any, ...], size: int, matching: MatchingConfig, grid: AnchorGrid
) -> Any:
    from edge_retina.input_pipeline.batch_objects import BatchObjects
    from edge_retina.input_pipeline.targets import make_assign_targets

    *columns, ignored = batch
    return make_assign_targets(grid, matching)(BatchObjects(*columns, size), ignored)


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
    from edge_retina.model.keras import tf

    rng = np.random.default_rng(0)
    images = [image(rng) for _ in range(60)]
    assert any(not len(boxes) for boxes, _, _ in images)
    assert any(ignored.any() for _, _, ignored in images)
    batches = [images[i : i + 6] for i in range(0, 60, 6)]
    wanted = [
        tuple(np.stack(part) for part in zip(*rows, strict=True))
        for rows in ([expected(*item, matching, GRID) for item in batch] for batch in batches)
    ]

    def assign(*batch: Any) -> Any:
        return targets_of(batch, 6, matching, GRID)

    for batch, want in zip(batches, wanted, strict=True):
        check(assign(*(tf.constant(column) for column in batch_of(batch))), want)

    dataset = tf.data.Dataset.from_generator(
        lambda: map(batch_of, batches),
        output_signature=(
            tf.TensorSpec((None, 4), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.bool),
        ),
    ).map(assign)
    for found, want in zip(dataset.as_numpy_iterator(), wanted, strict=True):
        check(found, want)


# Levels of many cells, of which ATSS looks only at some, and one of a single row of cells.
WIDE = AnchorGrid(
    (32, 416), 3, tuple(tuple((h * s, w * s) for h, w in SHAPES) for s in (0.5, 1, 2))
)
LARGE = AnchorGrid((192, 256), 3, (((20.0, 20.0),), ((40.0, 40.0),), ((80.0, 80.0),)))
CORNERS = AnchorGrid(
    (192, 256), 3, (((20.0, 20.0),), ((40.0, 40.0),), ((80.0, 80.0),)), (0.5, 0.0, 0.0)
)


@pytest.mark.parametrize("grid", [WIDE, LARGE, CORNERS], ids=["wide", "large", "corners"])
@pytest.mark.parametrize("assigner", ["atss", "dynamic_k"])
def test_the_same_as_numpy_where_levels_have_many_cells(grid: AnchorGrid, assigner: str):
    matching = MatchingConfig(assigner=assigner)
    rng = np.random.default_rng(1)
    images = [image(rng, grid.image_hw) for _ in range(40)]
    found = targets_of(batch_of(images), 40, matching, grid)
    rows = [expected(*item, matching, grid) for item in images]
    check(found, tuple(np.stack(part) for part in zip(*rows, strict=True)))


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
    batch = (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 3, np.int32),
        np.ones(len(boxes), np.int32),
        np.array(ignored, bool),
    )
    found, codes = targets_of(batch, 3, MatchingConfig(), FOUR)
    # The images before and after it have no objects.
    assert found.numpy().tolist() == [[-1] * 4, cls_targets, [-1] * 4]
    assert (codes.numpy() == 0).all()  # the one positive anchor lies on its object
