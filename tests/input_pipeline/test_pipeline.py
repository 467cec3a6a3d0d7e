from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import decode
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import AugmentationConfig, DataConfig, MatchingConfig
from edge_retina.datasets.schema import Example
from edge_retina.errors import DatasetError, TrainingError

pytestmark = pytest.mark.tf

STILL = AugmentationConfig(
    horizontal_flip=0,
    scale=(1, 1),
    aspect=0,
    translate=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
)
GRID = AnchorGrid((64, 64), 3, (((16.0, 16.0),), ((32.0, 32.0),), ((64.0, 64.0),)))
ANCHORS = GRID.boxes_px()
BATCH = 4


def test_difficult_objects_are_drawn_as_ignored(tmp_path: Path) -> None:
    from edge_retina.input_pipeline.sample_source import SampleSource

    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), np.zeros((80, 128, 3), np.uint8))
    boxes = np.array([(10, 10, 40, 50), (10, 60, 40, 100)], np.float32)
    flags = {"crowd": np.array([False, False]), "difficult": np.array([False, True])}
    example = Example("a.png", path, (80, 128), boxes, np.zeros(2, np.int32), **flags)
    source = SampleSource([example], image_hw=(64, 64), settings=STILL, seed=0, cache_mb=0)
    assert source.draw(0).ignored.tolist() == [False, True]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Six grey images, told apart by their brightness 10, 20 .. 60; the last has no objects."""
    root = tmp_path_factory.mktemp("images")
    made = []
    for i in range(6):
        path = root / f"{i}.png"
        assert cv2.imwrite(str(path), np.full((80, 128, 3), 10 * (i + 1), np.uint8))
        boxes = np.array([(10, 16 * i, 40, 16 * i + 40)], np.float32)[: i < 5]
        made.append(
            Example(
                path.name,
                path,
                (80, 128),
                boxes,
                np.full(len(boxes), i, np.int32),
                np.zeros(len(boxes), bool),
            )
        )
    return made


def batches(
    examples: list[Example],
    count: int,
    *,
    augmentation: AugmentationConfig = STILL,
    seed: int = 0,
    cache_mb: int = 100,
    first_step: int = 0,
    teacher_hw: tuple[int, int] | None = None,
) -> list[tuple]:
    from edge_retina.input_pipeline.pipeline import training_batches

    dataset = training_batches(
        examples,
        grid=GRID,
        data=DataConfig(cache_mb=cache_mb),
        augmentation=augmentation,
        matching=MatchingConfig(),
        batch_size=BATCH,
        seed=seed,
        first_step=first_step,
        teacher_hw=teacher_hw,
    )
    return list(islice(dataset.as_numpy_iterator(), count))


@pytest.mark.parametrize("cache_mb", [100, 0], ids=["cached", "not cached"])
def test_targets_belong_to_their_images(examples: list[Example], cache_mb: int):
    seen = set()
    for images, cls_targets, box_targets in batches(examples, 12, cache_mb=cache_mb):
        assert (images.shape, images.dtype) == ((BATCH, 64, 64, 3), np.uint8)
        assert (cls_targets.shape, cls_targets.dtype) == ((BATCH, len(ANCHORS)), np.int32)
        assert (box_targets.shape, box_targets.dtype) == ((BATCH, len(ANCHORS), 4), np.float32)
        for image, classes, codes in zip(images, cls_targets, box_targets, strict=True):
            number = int(image[32, 32, 0]) // 10 - 1
            seen.add(number)
            assert (image == 10 * (number + 1)).all()
            positive = classes >= 0
            if number == 5:  # no objects: all background, and in the batches like all others
                assert (classes == -1).all()
                assert (codes == 0).all()
                continue
            assert positive.any()
            assert set(classes[positive]) == {number}
            found = decode(codes[positive], ANCHORS[positive])
            want = np.tile(examples[number].boxes_at((64, 64)), (positive.sum(), 1))
            np.testing.assert_allclose(found, want, atol=1e-3)
    assert seen == set(range(6))


@pytest.mark.parametrize("cache_mb", [100, 0], ids=["cached", "not cached"])
def test_the_seed_decides(examples: list[Example], cache_mb: int):
    def run(seed: int) -> list[np.ndarray]:
        drawn = batches(
            examples, 4, augmentation=AugmentationConfig(), seed=seed, cache_mb=cache_mb
        )
        return [array for batch in drawn for array in batch]

    first, again, other = run(1), run(1), run(2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_a_resumed_training_gets_the_batches_it_would_have_got(examples: list[Example]):
    whole = batches(examples, 4, augmentation=AugmentationConfig())
    rest = batches(examples, 2, augmentation=AugmentationConfig(), first_step=2)
    for expected, found in zip(whole[2:], rest, strict=True):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)
    assert (whole[0][0] != whole[1][0]).any()


def test_a_teacher_gets_its_own_view_of_the_same_images(examples: list[Example]):
    alone = batches(examples, 3, augmentation=AugmentationConfig())
    both = batches(examples, 3, augmentation=AugmentationConfig(), teacher_hw=(96, 160))
    for expected, (*found, views) in zip(alone, both, strict=True):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (views.shape, views.dtype) == ((BATCH, 96, 160, 3), np.uint8)
        # Each image is of one colour where it isn't the grey beyond its border.
        for image, view in zip(found[0], views, strict=True):
            np.testing.assert_array_equal(image[32, 32], view[48, 80])


def test_each_epoch_shows_every_image_once(examples: list[Example]):
    images = np.concatenate([batch[0] for batch in batches(examples, 3)])
    shown = (images[:, 32, 32, 0] // 10 - 1).tolist()
    assert sorted(shown[:6]) == sorted(shown[6:]) == list(range(6))


def test_boxes_cut_to_nothing_are_dropped(examples: list[Example]):
    # At four times the size only the middle is left; the box of image 0 is not in it.
    zoomed = dataclasses.replace(STILL, scale=(4, 4))
    ((_, cls_targets, _),) = batches(examples[:1], 1, augmentation=zoomed)
    assert (cls_targets == -1).all()


def test_anchors_on_a_cut_off_object_are_not_background(examples: list[Example]):
    # The object of image 0 is at (8, 0, 32, 20); after the zoom at (-4, -16, 32, 14), 41 % of
    # which are in the image.
    zoomed = dataclasses.replace(STILL, scale=(1.5, 1.5), min_visible=0.5)
    ((_, cls_targets, _),) = batches(examples[:1], 1, augmentation=zoomed)
    inside = np.minimum(ANCHORS[:, 2:], (32, 14)) - np.maximum(ANCHORS[:, :2], 0)
    share = inside.clip(0).prod(axis=1) / (ANCHORS[:, 2:] - ANCHORS[:, :2]).prod(axis=1)
    assert (share > 0.5).any()
    np.testing.assert_array_equal(cls_targets[0], np.where(share > 0.5, IGNORED, NEGATIVE))


def test_no_images():
    with pytest.raises(TrainingError, match=r"has no images; check data\.train_split"):
        batches([], 1)


def test_an_image_that_vanished_is_named(examples: list[Example], tmp_path: Path):
    gone = dataclasses.replace(examples[0], path=tmp_path / "gone.png")
    with pytest.raises(Exception, match=r"gone\.png: can't be read") as caught:
        batches([gone], 1)
    assert DatasetError.__name__ in str(caught.value)
