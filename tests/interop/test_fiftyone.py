"""`Detections` and `Dataset` to and from the real FiftyOne; see `make test-interop`.

FiftyOne keeps data sets in MongoDB. Its samples and labels are the same classes without one, so all
but the last two tests need no database; these say why they are skipped where none can be started.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge_retina as er
from edge_retina.datasets.generated import generate_dataset

fo = pytest.importorskip("fiftyone", reason="FiftyOne is only in make test-interop")
import bson  # noqa: E402 - they come with FiftyOne
from fiftyone.core.odm import get_db_conn  # noqa: E402

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"
WHITE = np.full((40, 60, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def found() -> er.Detections:
    return er.Detector(TINY)(WHITE)


def test_boxes_scores_and_names(found: er.Detections) -> None:
    square, disc = found.to_fiftyone().detections
    assert isinstance(found.to_fiftyone(), fo.Detections)
    assert (square.label, disc.label) == ("square", "disc")
    # yxyx .1 .2 .5 .6 is x, y, width, height .2 .1 .4 .4
    assert square.bounding_box == pytest.approx([0.2, 0.1, 0.4, 0.4], abs=1e-6)
    assert disc.confidence == 0.25


def test_there_and_back_is_the_same(found: er.Detections) -> None:
    back = er.Detections.from_fiftyone(
        found.to_fiftyone(), labels=found.labels, image_hw=found.image_hw
    )
    assert back.boxes_norm == pytest.approx(found.boxes_norm, abs=1e-6)
    assert back.classes.tolist() == found.classes.tolist()
    assert back.scores.tolist() == found.scores.tolist()


def test_nothing_found(found: er.Detections) -> None:
    none = found.above(1.1).to_fiftyone()
    assert none.detections == []
    back = er.Detections.from_fiftyone(none, labels=found.labels, image_hw=(40, 60))
    assert (len(back), back.boxes_norm.shape) == (0, (0, 4))


def test_a_sample_holds_them(found: er.Detections) -> None:
    sample = fo.Sample(filepath="photo.jpg")
    sample["predictions"] = found.to_fiftyone()
    assert [item.label for item in sample["predictions"].detections] == ["square", "disc"]


def test_an_unknown_class(found: er.Detections) -> None:
    with pytest.raises(er.ModelError, match="class 'disc' is not among the labels; did you mean"):
        er.Detections.from_fiftyone(found.to_fiftyone(), labels=("square", "disk"), image_hw=(1, 1))


def make_samples(directory: Path, count: int, tags: tuple[str, ...]) -> Iterator[Any]:
    """Yield samples of 60 × 40 pixels; each has a cat, and all but the first a dog."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = directory / f"{'_'.join(tags) or 'any'}_{number}.png"
        cv2.imwrite(str(path), WHITE)
        objects = [fo.Detection(label="cat", bounding_box=[0.2, 0.1, 0.4, 0.5])]
        if number:
            objects.append(fo.Detection(label="dog", bounding_box=[0, 0, 1, 1], iscrowd=True))
        sample = fo.Sample(filepath=str(path), tags=list(tags))
        sample["ground_truth"] = fo.Detections(detections=objects)
        yield sample


def test_a_data_set_with_splits(tmp_path: Path) -> None:
    samples = [
        *make_samples(tmp_path / "images", 3, ("train", "checked")),
        *make_samples(tmp_path / "images", 2, ("validation",)),
    ]
    dataset = er.Dataset.from_fiftyone(samples, name="pets")
    assert (dataset.name, dataset.labels) == ("pets", ("cat", "dog"))
    assert {name: len(items) for name, items in dataset.splits.items()} == {"train": 3, "val": 2}
    example = dataset.split("train")[1]
    assert example.image_id == "train_checked_1.png"
    assert example.image_hw == (40, 60)
    # x, y, width, height .2 .1 .4 .5 of 60 × 40 pixels, as yxyx
    assert example.boxes_px.tolist() == [
        pytest.approx([4, 12, 24, 36]),
        pytest.approx([0, 0, 40, 60]),
    ]
    assert example.crowd.tolist() == [False, True]


def test_a_data_set_saved_is_the_same_when_read(tmp_path: Path) -> None:
    dataset = er.Dataset.from_fiftyone(list(make_samples(tmp_path / "images", 12, ())))
    assert list(dataset.splits) == ["train", "val", "test"], "split by names"
    assert dataset.save(tmp_path / "saved") == ()
    again = er.load_dataset(tmp_path / "saved")
    assert again.labels == dataset.labels
    for name, examples in dataset.splits.items():
        for one, other in zip(examples, again.split(name), strict=True):
            assert one.image_id == other.image_id
            assert one.boxes_px == pytest.approx(other.boxes_px, abs=0.01)
            assert one.crowd.tolist() == other.crowd.tolist()


def test_labels_may_be_given_and_pictures_may_be_empty(tmp_path: Path) -> None:
    one, two = make_samples(tmp_path, 2, ())
    two["ground_truth"] = None
    dataset = er.Dataset.from_fiftyone([one, two], labels=("dog", "cat"))
    assert dataset.labels == ("dog", "cat")
    counts = sorted(len(item.classes) for items in dataset.splits.values() for item in items)
    assert counts == [0, 1]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda items: [], "FiftyOne samples: there are none"),
        (
            lambda items: [
                *items,
                fo.Sample(filepath=items[0].filepath, tags=["test"], ground_truth=fo.Detections()),
            ],
            r"2 of 3 have no split tag \(the first is any_0\.png\)",
        ),
        (
            lambda items: [fo.Sample(filepath=items[0].filepath)],
            r"FiftyOne sample any_0\.png: has no field 'ground_truth'; it has id, filepath",
        ),
        (
            lambda items: [
                fo.Sample(filepath=items[0].filepath, ground_truth=fo.Classification(label="cat"))
            ],
            "field 'ground_truth' holds Classification, expected Detections",
        ),
        (
            lambda items: [
                fo.Sample(
                    filepath=items[0].filepath, tags=["train", "test"], ground_truth=fo.Detections()
                )
            ],
            "tagged with test and train; keep one of them",
        ),
        (
            lambda items: [
                fo.Sample(
                    filepath=str(Path(items[0].filepath).parent / "gone.png"),
                    ground_truth=items[0]["ground_truth"],
                )
            ],
            r"gone\.png",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, change: Any, message: str) -> None:
    items = list(make_samples(tmp_path, 2, ()))
    with pytest.raises(er.DatasetError, match=message):
        er.Dataset.from_fiftyone(change(items))


def test_a_box_outside_of_its_image_is_refused_or_skipped(tmp_path: Path) -> None:
    samples = list(make_samples(tmp_path, 2, ()))
    samples[0]["ground_truth"].detections[0].bounding_box = [0.5, 0.5, 0.9, 0.2]
    with pytest.raises(er.DatasetError, match=r"FiftyOne sample any_0\.png, detection 1"):
        er.Dataset.from_fiftyone(samples)
    assert len(er.Dataset.from_fiftyone(samples, skip_invalid=True).skipped) == 1


@pytest.fixture
def stored() -> Iterator[Any]:
    """An empty data set in FiftyOne's database."""
    try:
        dataset = fo.Dataset("edge_retina_interop", overwrite=True)
    except Exception as error:  # of FiftyOne's own kinds, by what is missing
        why = str(error).strip().splitlines() or [type(error).__name__]
        pytest.skip(
            f"FiftyOne can't start its database here: {why[0]} (it needs mongod, from the package "
            "fiftyone-db or on PATH, or a server that FIFTYONE_DATABASE_URI names)"
        )
    yield dataset
    dataset.delete()


def test_a_data_set_in_the_database(stored: Any, tmp_path: Path) -> None:
    stored.add_samples(list(make_samples(tmp_path, 3, ("train",))))
    same = er.Dataset.from_fiftyone(stored)
    assert same.name == "edge_retina_interop"
    assert len(same.split("train")) == 3
    assert len(er.Dataset.from_fiftyone(stored.limit(2)).split("train")) == 2


class TenImages:
    """Ten generated images in a data set with splits, and what the golden detector finds in them.

    Attributes:
        dataset: with the labels.
        predictions: by the name of an image's file.
    """

    def __init__(self, directory: Path) -> None:
        counts = {"train": 5, "val": 3, "test": 2}
        generate_dataset(directory, images=counts, image_hw=(96, 128), seed=4)
        self.dataset = er.load_dataset(directory)
        detector = er.Detector(TINY)
        self.predictions = {
            example.path.name: detector(example.path)
            for examples in self.dataset.splits.values()
            for example in examples
        }
        assert sum(map(len, self.predictions.values())) >= 10

    def samples(self) -> Iterator[Any]:
        """Yield a FiftyOne sample of each image: split, labels and predictions."""
        for split, examples in self.dataset.splits.items():
            for example in examples:
                boxes = example.boxes_norm.astype(float).tolist()
                objects = [
                    fo.Detection(
                        label=self.dataset.labels[label],
                        bounding_box=[xmin, ymin, xmax - xmin, ymax - ymin],
                    )
                    for (ymin, xmin, ymax, xmax), label in zip(boxes, example.classes, strict=True)
                ]
                yield fo.Sample(
                    filepath=str(example.path),
                    tags=[split],
                    ground_truth=fo.Detections(detections=objects),
                    predictions=self.predictions[example.path.name].to_fiftyone(),
                )

    def check(self, samples: Any) -> None:
        """Compare what comes back from FiftyOne with what went in."""
        seen = set()
        for sample in samples:
            name = Path(sample["filepath"]).name
            seen.add(name)
            found = self.predictions[name]
            back = er.Detections.from_fiftyone(
                sample["predictions"], labels=found.labels, image_hw=found.image_hw
            )
            assert back.classes.tolist() == found.classes.tolist()
            assert back.scores.tolist() == found.scores.tolist()
            np.testing.assert_allclose(back.boxes_norm, found.boxes_norm, atol=1e-7)
        assert seen == set(self.predictions)
        again = er.Dataset.from_fiftyone(samples, labels=self.dataset.labels)
        assert set(again.splits) == set(self.dataset.splits)
        for split, examples in self.dataset.splits.items():
            by_path = {example.path: example for example in again.split(split)}
            assert set(by_path) == {example.path for example in examples}
            for example in examples:
                same = by_path[example.path]
                assert same.classes.tolist() == example.classes.tolist()
                assert same.image_hw == example.image_hw
                np.testing.assert_allclose(same.boxes_px, example.boxes_px, atol=1e-4)


@pytest.fixture
def ten(tmp_path: Path) -> TenImages:
    return TenImages(tmp_path / "data")


def test_labels_and_predictions_come_back_from_the_documents_of_the_database(
    ten: TenImages,
) -> None:
    """In the form in which MongoDB keeps and sends them, without a server."""
    stored = [bson.encode(sample.to_mongo_dict()) for sample in ten.samples()]
    ten.check([fo.Sample.from_dict(bson.decode(document)) for document in stored])


def test_labels_and_predictions_come_back_from_the_database(stored: Any, ten: TenImages) -> None:
    stored.add_samples(list(ten.samples()))
    documents = list(get_db_conn()[stored._sample_collection_name].find())
    counts = {Path(x["filepath"]).name: len(x["predictions"]["detections"]) for x in documents}
    assert counts == {name: len(found) for name, found in ten.predictions.items()}
    gc.collect()  # FiftyOne hands out the same objects again as long as they are there
    stored.reload()
    ten.check(stored)
