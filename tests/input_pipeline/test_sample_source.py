from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.datasets import load_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.augmentations.table import AUGMENTATIONS
from edge_retina.input_pipeline.augmented_objects import augmented_boxes
from edge_retina.input_pipeline.sample import Picture, Sample
from edge_retina.input_pipeline.sample_source import SampleSource
from tests.input_pipeline.samples import OFF, soft_image


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Six images with one object each, of the image's number as its class; crowds if odd."""
    root = tmp_path_factory.mktemp("images")
    made = []
    for i in range(6):
        path = root / f"{i}.png"
        assert cv2.imwrite(str(path), soft_image((48, 64), seed=i))
        made.append(
            Example(
                path.name,
                path,
                (48, 64),
                np.array([(10, 5 * i, 40, 5 * i + 30)], np.float32),
                np.array([i], np.int32),
                np.array([i % 2 == 1]),
            )
        )
    return made


def source(
    examples: list[Example], settings: AugmentationConfig, *, seed: int = 0, **options: object
) -> SampleSource:
    return SampleSource(
        examples, image_hw=(32, 32), settings=settings, seed=seed, cache_mb=100, **options
    )


def equal(a: Sample, b: Sample) -> bool:
    return np.array_equal(a.image_rgb, b.image_rgb) and np.array_equal(a.boxes_px, b.boxes_px)


def test_each_epoch_draws_every_image_once(examples: list[Example]):
    samples = source(examples, OFF)
    drawn = [int(samples.draw(number).classes[0]) for number in range(18)]
    epochs = [drawn[:6], drawn[6:12], drawn[12:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(6))] * 3
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_crowd_regions_are_ignored(examples: list[Example]):
    samples = source(examples, OFF)
    for number in range(6):
        sample = samples.draw(number)
        assert sample.ignored.tolist() == [bool(sample.classes[0] % 2)]


def paste(sample: Sample, draw: Draw) -> Sample:
    """A test's own augmentation: another image's top half, and its objects."""
    other = draw.draw_another(draw.rng)
    half = sample.image_hw[0] // 2
    return Sample(
        Picture.of(np.concatenate([other.image_rgb[:half], sample.image_rgb[half:]])),
        np.concatenate([sample.boxes_px, other.boxes_px]),
        np.concatenate([sample.classes, other.classes]),
        np.concatenate([sample.ignored, other.ignored]),
    )


EVERYTHING = AugmentationConfig(
    mosaic=0.5,
    copy_paste=0.5,
    rotation=20,
    shear=10,
    scale=(0.5, 2.0),
    crop=0.5,
    min_visible=0.6,
    blur=0.5,
    noise=0.1,
    jpeg=0.5,
)


@pytest.mark.parametrize(
    "settings, augmentations",
    [
        (AugmentationConfig(), AUGMENTATIONS),
        (EVERYTHING, AUGMENTATIONS),
        (AugmentationConfig(), (paste, *AUGMENTATIONS)),
    ],
    ids=["default", "everything", "with another image"],
)
def test_draws_depend_on_seed_and_number_only(
    examples: list[Example], settings: AugmentationConfig, augmentations: tuple
):
    in_order = source(examples, settings, augmentations=augmentations)
    want = [in_order.draw(number) for number in range(24)]
    threaded = source(examples, settings, augmentations=augmentations)
    with ThreadPoolExecutor(4) as pool:  # and backwards
        found = list(pool.map(threaded.draw, reversed(range(24))))
    assert all(map(equal, want, reversed(found)))
    other = source(examples, settings, seed=1, augmentations=augmentations)
    assert not any(equal(want[number], other.draw(number)) for number in range(24))


def test_another_image_comes_from_the_whole_split(examples: list[Example]):
    samples = source(examples, OFF, augmentations=(paste, *AUGMENTATIONS))
    drawn = [samples.draw(number).classes.tolist() for number in range(60)]
    assert {len(classes) for classes in drawn} == {2}
    assert {classes[1] for classes in drawn} == set(range(6))


def test_plain_pictures_begin_at_a_draw(examples: list[Example]):
    settings = AugmentationConfig(horizontal_flip=0)
    usual, still = source(examples, settings), source(examples, OFF)
    changing = source(examples, settings, plain_from=8)
    for number in (15, 8, 0, 7, 3, 12):  # in any order, as a resumed training and threads draw
        expected = still if number >= 8 else usual
        assert equal(changing.draw(number), expected.draw(number)), number
        assert not equal(usual.draw(number), still.draw(number)), number


def test_the_order_without_repeats_is_that_of_a_plain_permutation(examples: list[Example]):
    samples = source(examples, OFF)
    drawn = [int(samples.draw(number).classes[0]) for number in range(12)]
    for epoch in (0, 1):
        expected = np.random.default_rng([0, epoch, 6]).permutation(6)
        assert drawn[6 * epoch : 6 * epoch + 6] == expected.tolist()


def test_images_of_rare_classes_come_more_often(examples: list[Example]):
    # Three images with objects that count, each of a class of its own: sqrt(1 / (1/6)) = 2.45 times
    # each, and three images of crowds: 10.35 draws, so epochs of 11.
    samples = source(examples, OFF, repeat_threshold=1.0)
    numbers = range(11 * 20)
    drawn = [int(samples.draw(number).classes[0]) for number in numbers]
    epochs = np.stack([np.bincount(drawn[i : i + 11], minlength=6) for i in numbers[::11]])
    assert (epochs.sum(axis=1) == 11).all()
    assert epochs.min() >= 1
    assert set(epochs[:, ::2].ravel()) == {2, 3}
    assert drawn[:11] != drawn[11:22]
    again = source(examples, OFF, repeat_threshold=1.0)
    assert [int(again.draw(n).classes[0]) for n in reversed(numbers)] == drawn[::-1]


@pytest.mark.parametrize(
    "settings", [AugmentationConfig(min_visible=0.6), EVERYTHING], ids=["default", "everything"]
)
def test_objects_are_placed_as_they_are_drawn_without_reading_any_image(
    examples: list[Example], settings: AugmentationConfig
):
    drawn = [source(examples, settings).draw(number) for number in range(24)]
    unreadable = [dataclasses.replace(example, path=Path("missing.png")) for example in examples]
    for number, sample in enumerate(drawn):
        placed = source(unreadable, settings).place(number)
        np.testing.assert_array_equal(placed.boxes_px, sample.boxes_px)
        np.testing.assert_array_equal(placed.ignored, sample.ignored)
    boxes = augmented_boxes(unreadable, image_hw=(32, 32), settings=settings, seed=0, draws=24)
    want = np.concatenate([sample.boxes_px[~sample.ignored] for sample in drawn])
    np.testing.assert_array_equal(boxes, want)
    assert 0 < len(boxes) < sum(len(sample.boxes_px) for sample in drawn)


def test_no_draws_no_boxes(examples: list[Example]):
    boxes = augmented_boxes(examples, image_hw=(32, 32), settings=OFF, seed=0, draws=0)
    assert boxes.shape == (0, 4)


def test_a_view_is_the_same_draw_from_the_original_pixels(examples: list[Example]):
    """Not the small picture made larger: it is what a source of that size would have drawn."""
    settings = AugmentationConfig(rotation=20)
    small = source(examples, settings)
    large = SampleSource(examples, image_hw=(80, 64), settings=settings, seed=0, cache_mb=100)
    for number in range(8):
        sample, (view, same) = small.draw_with_views(number, [(80, 64), (32, 32)])
        assert equal(sample, small.draw(number))
        np.testing.assert_array_equal(view, large.draw(number).image_rgb)
        np.testing.assert_array_equal(same, sample.image_rgb)


def test_samples_from_shards_are_those_from_files(examples: list[Example], tmp_path: Path):
    dataset = Dataset(
        name="six",
        root=tmp_path / "files",
        labels=tuple("abcdef"),
        splits={"train": tuple(examples)},
        layout="coco",
    )
    write_dataset(dataset, tmp_path / "shards", layout="tfrecord")
    shards = load_dataset(tmp_path / "shards").split("train")
    assert all(item.path.parent.parent.suffix == ".tfrecord" for item in shards)
    settings = AugmentationConfig(mosaic=0.3, copy_paste=0.3)
    first, second = (
        SampleSource(items, image_hw=(32, 64), settings=settings, seed=5)
        for items in (examples, shards)
    )
    for number in range(24):
        one, two = first.draw(number), second.draw(number)
        for name in ("image_rgb", "boxes_px", "classes", "ignored"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
