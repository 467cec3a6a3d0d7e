"""Writer of TFRecords, as the TF Object Detection API and the Model Garden read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge_retina.datasets.label_map import label_map_text
from edge_retina.datasets.pillow import identify
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.tf_example import encode_example
from edge_retina.datasets.tfrecord_file import write_record
from edge_retina.datasets.writers import write_label_file
from edge_retina.errors import DatasetError
from edge_retina.files import write_text
from edge_retina.stored_files import read_bytes

# TensorFlow's guide asks for shards of 100 to 200 MB: large enough to be read in long runs, and
# enough of them to be read, copied and shuffled side by side.
SHARD_BYTES = 1 << 27
_SIDES = ("ymin", "xmin", "ymax", "xmax")


def write_tfrecord(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `SPLIT-00000-of-00002.tfrecord` ..., `labels.txt` and `label_map.pbtxt`.

    Pictures keep their order and their bytes. Nothing is lost: flags are kept, and boxes to a
    thousandth of a pixel on sides of up to 8,000 pixels. A picture in two splits is written twice.
    """
    for split, examples in dataset.splits.items():
        _write_split(split, (encode_picture(item, dataset.labels) for item in examples), directory)
    write_label_file(dataset, directory)
    write_text(directory / "label_map.pbtxt", label_map_text(dataset.labels))
    return ()


def encode_picture(example: Example, labels: tuple[str, ...]) -> bytes:
    """Return the Example of a picture with its annotations.

    Raises:
        DatasetError: the picture can't be read.
    """
    try:
        data = read_bytes(example.path)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{example.path}: can't be copied ({reason})") from None
    height, width = example.image_hw
    name = example.image_id.encode()
    boxes = dict(zip(_SIDES, example.boxes_norm.T.astype(float).tolist(), strict=True))
    return encode_example(
        {
            "image/encoded": data,
            "image/format": (identify(data[:16]) or "").lower().encode(),
            "image/height": [height],
            "image/width": [width],
            "image/filename": name,
            "image/source_id": name,
            **{f"image/object/bbox/{side}": values for side, values in boxes.items()},
            "image/object/class/text": [labels[index].encode() for index in example.classes],
            "image/object/class/label": [int(index) + 1 for index in example.classes],
            "image/object/is_crowd": [int(flag) for flag in example.crowd],
            "image/object/difficult": [int(flag) for flag in example.difficult],
        }
    )


def _write_split(split: str, records: Iterable[bytes], directory: Path) -> None:
    """Write shards one after the other; how many there are is in their names once it is known."""
    pending = iter(records)
    paths: list[Path] = []
    first = next(pending, None)
    while first is not None or not paths:
        paths.append(directory / f"{split}-{len(paths):05d}.part")
        with open(paths[-1], "wb") as stream:
            first = _fill(stream, first, pending)
    for number, path in enumerate(paths):
        path.rename(directory / f"{split}-{number:05d}-of-{len(paths):05d}.tfrecord")


def _fill(stream: BinaryIO, first: bytes | None, records: Iterator[bytes]) -> bytes | None:
    """Write records until the shard is full, at least one; return the one that is too much."""
    size = 0
    record = first
    while record is not None and (not size or size + len(record) <= SHARD_BYTES):
        size += write_record(stream, record)
        record = next(records, None)
    return record
