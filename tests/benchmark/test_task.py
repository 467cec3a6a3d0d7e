from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from edge_retina.benchmark.detection_answer import pack_detections, unpack_detections
from edge_retina.benchmark.task import DetectionTask, read_document
from edge_retina.errors import BenchmarkError
from edge_retina.runtime.detections import Detections


def found(count: int, seed: int) -> Detections:
    rng = np.random.default_rng(seed)
    return Detections(
        boxes_norm=rng.random((count, 4), np.float32),
        classes=rng.integers(0, 9, count).astype(np.int32),
        scores=rng.random(count, np.float32),
    )


@pytest.mark.parametrize("counts", [[], [0], [3], [0, 0], [2, 0, 5]])
def test_detections_keep_every_bit_on_their_journey(counts: list[int]) -> None:
    before = [found(count, seed) for seed, count in enumerate(counts)]
    text = json.dumps(pack_detections(("cat", "dog"), before))
    after = unpack_detections(json.loads(text))
    assert after.labels == ("cat", "dog")
    assert len(after.detections) == len(before)
    for ours, theirs in zip(before, after.detections, strict=True):
        for name in ("boxes_norm", "classes", "scores"):
            one, other = getattr(ours, name), getattr(theirs, name)
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes()


def test_a_detection_task_is_the_same_after_its_journey() -> None:
    task = DetectionTask("m:f", "a", {"n": 1}, {"A": "b"}, ("a.png",), ("cat",), 2)
    assert DetectionTask.from_json(task.to_json()) == task


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    process = subprocess.CompletedProcess(["worker"], 0, '{"labels": ["c', "last words\n")
    with pytest.raises(BenchmarkError, match="m: worker ended with exit code 0: last words"):
        read_document(process, title="m")
