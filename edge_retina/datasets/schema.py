"""The one form that every data set has inside the package."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.datasets.threads import each_in_threads
from edge_retina.errors import DatasetError, choices_hint
from edge_retina.files import sha256_file


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One labelled image. Two are equal if all of their attributes are.

    Attributes:
        image_id: name of the image, unique in the data set and stable between machines: its path
            relative to the image directory, with forward slashes and extension.
        path: where the file is.
        image_hw: (height, width) in pixels of the upright image (EXIF orientation applied).
        boxes_px: (G, 4) float32, ymin xmin ymax xmax in pixels of the upright image. Coordinates
            are continuous: a box over the whole image is 0, 0, height, width.
        classes: (G,) int32, indices into `Dataset.labels`.
        crowd: (G,) bool; regions that hold many objects.
        difficult: (G,) bool; single objects that no detector is expected to find (Pascal
            VOC's flag); none by default.
    """

    image_id: str
    path: Path
    image_hw: tuple[int, int]
    boxes_px: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray = None  # type: ignore[assignment]  # see __post_init__

    def __post_init__(self) -> None:
        if self.difficult is None:
            object.__setattr__(self, "difficult", np.zeros(len(self.classes), bool))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Example):
            return NotImplemented
        return self._key() == other._key() and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("boxes_px", "classes", "crowd", "difficult")
        )

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, Path, tuple[int, int]]:
        return self.image_id, self.path, tuple(self.image_hw)  # type: ignore[return-value]

    @property
    def ignored(self) -> np.ndarray:
        """(G,) bool; crowds and difficult objects: neither trained on nor counted in evaluation."""
        return self.crowd | self.difficult

    @property
    def boxes_norm(self) -> np.ndarray:
        """(G, 4) float32 yxyx as fractions of the image's sides."""
        height, width = self.image_hw
        return (self.boxes_px / np.array([height, width, height, width], np.float32)).astype(
            np.float32
        )

    def boxes_at(self, image_hw: tuple[int, int]) -> np.ndarray:
        """(G, 4) float32 yxyx in pixels after the image was stretched to `image_hw`."""
        height, width = image_hw
        return self.boxes_norm * np.array([height, width, height, width], np.float32)


@dataclass(frozen=True)
class Dataset:
    """Labelled images with their split.

    Attributes:
        name: for reports; the directory's name as a rule.
        root: the directory it was read from.
        labels: class names; an index into them is a class.
        splits: examples by split name ("train", "val", "test", or the data set's own names). Those
            of a data set that was read are in an `ExampleTable`, which makes each `Example` when it
            is asked for; tuples and lists will do too.
        layout: name of the layout it was read from.
        skipped: one line for each invalid thing left out because of `skip_invalid`.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    splits: Mapping[str, Sequence[Example]]
    layout: str
    skipped: tuple[str, ...] = field(default=())

    def split(self, name: str) -> Sequence[Example]:
        """Return a split's examples.

        Raises:
            DatasetError: no such split, or it is empty.
        """
        if name not in self.splits:
            raise DatasetError(f"{self.root}: no split '{name}'; {choices_hint(name, self.splits)}")
        if not self.splits[name]:
            raise DatasetError(f"{self.root}: split '{name}' has no images")
        return self.splits[name]

    def save(
        self, out: Path | str, *, layout: str = "coco", force: bool = False
    ) -> tuple[str, ...]:
        """Write the data set, images included; the same as `edge-retina convert`.

        Args:
            out: a new directory.
            layout: "coco", "voc", "yolo", "csv" or "tfrecord".
            force: replace `out` if it exists.

        Returns:
            One line for each thing that the layout can't express.

        Raises:
            DatasetError: unknown layout, `out` not empty, or `out` holds the data set itself.
        """
        from edge_retina.datasets.saving import write_dataset  # it imports this module

        return write_dataset(self, out, layout=layout, force=force)

    @classmethod
    def from_fiftyone(
        cls,
        samples: Iterable[Any],
        *,
        field: str = "ground_truth",
        labels: Sequence[str] = (),
        name: str = "",
        skip_invalid: bool = False,
        seed: int = 0,
    ) -> Dataset:
        """Read a FiftyOne data set, a view of one, or any of its samples.

        The tags train, val (or validation) and test are the splits. Samples without any of them
        are split by the names of their images. An object's `iscrowd` is kept.

        Args:
            samples: with image files.
            field: that holds the labelled objects, as `fiftyone.Detections`.
            labels: class names in order; all that occur, in alphabetical order, by default.
            name: of the data set; FiftyOne's by default.
            skip_invalid: see `load_dataset`.
            seed: of the split by image names.

        Raises:
            DatasetError: no samples, no such field, only some samples with a tag of a split, or
                (unless `skip_invalid`) invalid images and boxes.
        """
        from edge_retina.datasets.fiftyone_samples import from_fiftyone  # it imports this module

        return from_fiftyone(
            samples, field=field, labels=labels, name=name, skip_invalid=skip_invalid, seed=seed
        )


def annotations_sha256(examples: Sequence[Example]) -> str:
    """Return a hash of image ids, sizes, boxes (to 0.01 px), classes and flags.

    It is the same on every machine.
    Replaced pixels don't change it: see `pictures_sha256`.
    """
    digest = hashlib.sha256()
    for place in _by_image_id(examples):
        example = examples[place]
        digest.update(f"{example.image_id} {example.image_hw}\n".encode())
        digest.update(np.round(example.boxes_px * 100).astype("<i8").tobytes())
        digest.update(example.classes.astype("<i4").tobytes())
        digest.update((example.crowd + 2 * example.difficult).astype("u1").tobytes())
    return digest.hexdigest()


def pictures_sha256(examples: Sequence[Example]) -> str:
    """Return a hash of image ids and the contents of the image files, the same on every machine.

    Every file is read whole, because neither size nor modification time tells whether it was
    replaced. Nothing is cached. The order of `examples` doesn't matter. Cost: 20,000 small files a
    second, 1 GB/s of large ones (2 cores, files in the page cache); else the disk decides.

    Raises:
        DatasetError: a file can't be read.
    """
    order = _by_image_id(examples)
    digest = hashlib.sha256()
    contents = each_in_threads(lambda place: _file_sha256(examples[place]), order)
    for place, content in zip(order, contents, strict=True):
        digest.update(f"{examples[place].image_id} {content}\n".encode())
    return digest.hexdigest()


def image_ids_of(examples: Sequence[Example]) -> list[str]:
    """Return the names of the images; of a table without making its examples."""
    names = getattr(examples, "image_ids", None)
    return [example.image_id for example in examples] if names is None else list(names())


def _by_image_id(examples: Sequence[Example]) -> list[int]:
    """Return the places of the examples by rising image id."""
    names = image_ids_of(examples)
    return sorted(range(len(names)), key=names.__getitem__)


def _file_sha256(example: Example) -> str:
    try:
        return sha256_file(example.path)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{example.path}: can't be read ({reason}); expected an image") from None
