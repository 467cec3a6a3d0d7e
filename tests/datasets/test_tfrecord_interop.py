"""TensorFlow reads what is written here, and what TensorFlow writes is read here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.stored_files import read_bytes

pytestmark = pytest.mark.tf


def test_tensorflow_reads_what_is_written(tmp_path: Path):
    import tensorflow as tf

    generate_dataset(tmp_path / "data", images={"train": 5}, image_hw=(64, 80))
    source = load_dataset(tmp_path / "data")
    write_dataset(source, tmp_path / "out", layout="tfrecord")
    shards = sorted(str(path) for path in (tmp_path / "out").glob("train-*.tfrecord"))
    spec = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/source_id": tf.io.FixedLenFeature([], tf.string),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        **{
            f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32)
            for side in ("ymin", "xmin", "ymax", "xmax")
        },
        "image/object/class/text": tf.io.VarLenFeature(tf.string),
        "image/object/class/label": tf.io.VarLenFeature(tf.int64),
        "image/object/is_crowd": tf.io.VarLenFeature(tf.int64),
        "image/object/difficult": tf.io.VarLenFeature(tf.int64),
    }
    records = list(tf.data.TFRecordDataset(shards))
    assert len(records) == 5
    for record, example in zip(records, source.split("train"), strict=True):
        found = tf.io.parse_single_example(record, spec)
        dense = {
            key: tf.sparse.to_dense(value).numpy()
            for key, value in found.items()
            if isinstance(value, tf.SparseTensor)
        }
        assert found["image/encoded"].numpy() == read_bytes(example.path)
        assert tf.io.decode_image(found["image/encoded"]).shape == (64, 80, 3)
        assert found["image/format"].numpy() == b"jpeg"
        assert found["image/filename"].numpy().decode() == example.image_id
        assert found["image/source_id"].numpy().decode() == example.image_id
        assert (int(found["image/height"]), int(found["image/width"])) == example.image_hw
        sides = [dense[f"image/object/bbox/{s}"] for s in ("ymin", "xmin", "ymax", "xmax")]
        np.testing.assert_array_equal(np.stack(sides, axis=-1), example.boxes_norm)
        np.testing.assert_array_equal(dense["image/object/class/label"], example.classes + 1)
        texts = [text.decode() for text in dense["image/object/class/text"]]
        assert texts == [source.labels[index] for index in example.classes]
        assert dense["image/object/is_crowd"].tolist() == [0] * len(example.classes)
        assert dense["image/object/difficult"].tolist() == [0] * len(example.classes)


# In a process of its own: TensorFlow's serialisation must not be that of an already changed one.
WRITE = """
import json, random, sys
import tensorflow as tf

path, records = sys.argv[1], json.loads(sys.argv[2])
with tf.io.TFRecordWriter(path) as writer:
    for seed, (picture, name, boxes, labels) in enumerate(records):
        kinds = {
            "image/encoded": [open(picture, "rb").read()],
            "image/format": [b"jpeg"],
            "image/filename": [name.encode()],
            "image/height": [64],
            "image/width": [80],
            "image/key/sha256": [b"0" * 64],
            "image/object/class/text": [label.encode() for label in labels],
            "image/object/class/label": [7 for _ in labels],
            "image/object/view": [b"frontal" for _ in labels],
            "image/object/area": [0.5 for _ in labels],
        }
        for side, values in zip(("ymin", "xmin", "ymax", "xmax"), zip(*boxes)):
            kinds["image/object/bbox/" + side] = [float(value) for value in values]
        keys = list(kinds)
        random.Random(seed).shuffle(keys)
        example = tf.train.Example()
        for key in keys:
            feature, values = example.features.feature[key], kinds[key]
            if values and isinstance(values[0], bytes):
                feature.bytes_list.value.extend(values)
            elif values and isinstance(values[0], float):
                feature.float_list.value.extend(values)
            else:
                feature.int64_list.value.extend(values)
        writer.write(example.SerializeToString())
"""


def test_what_tensorflow_writes_is_read(tmp_path: Path):
    generate_dataset(tmp_path / "data", images={"train": 6}, image_hw=(64, 80))
    source = load_dataset(tmp_path / "data")
    examples = source.split("train")
    records = [
        (
            str(item.path),
            f"{number}.jpg",
            item.boxes_norm.tolist(),
            [source.labels[index] for index in item.classes],
        )
        for number, item in enumerate(examples)
    ]
    path = tmp_path / "out" / "coco_train.record-00000-of-00001"
    path.parent.mkdir()
    command = [sys.executable, "-c", WRITE, str(path), json.dumps(records)]
    subprocess.run(command, check=True)
    again = load_dataset(tmp_path / "out", thorough=True)
    used = sorted({label for _, _, _, labels in records for label in labels})
    assert again.labels == tuple(used)
    for number, (one, two) in enumerate(zip(examples, again.split("train"), strict=True)):
        assert two.image_id == f"{number}.jpg"
        assert read_bytes(two.path) == read_bytes(one.path)
        np.testing.assert_array_equal(two.boxes_px, one.boxes_px)
        assert [again.labels[index] for index in two.classes] == records[number][3]
