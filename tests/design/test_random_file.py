"""Files with random weights have the operators of an export, and much to decode."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_retina.benchmark.operator import CONV, DEPTHWISE
from edge_retina.config import load_config
from edge_retina.design.grid import Network
from edge_retina.design.layers import network_operators
from edge_retina.design.random_file import frame_file, network_file
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.graph import Graph, read_graph

pytestmark = [pytest.mark.tf, pytest.mark.slow]

LABELS = ("cat", "dog", "hen")
NETWORK = Network(
    load_config(
        overrides=[
            "model.image_hw=[64,96]",
            "model.max_level=5",
            "model.fpn_channels=8",
            "model.head_depth=1",
        ]
    )
)
_KINDS = {"CONV_2D": CONV, "DEPTHWISE_CONV_2D": DEPTHWISE}


def convolutions(graph: Graph) -> Counter[tuple[object, ...]]:
    """Count kind, input shape, output shape and kernel side, as they stand in a file."""
    found: Counter[tuple[object, ...]] = Counter()
    for operator in graph.operators:
        if operator.name in _KINDS:
            image, kernel = (graph.tensors[index].shape for index in operator.inputs[:2])
            output = graph.tensors[operator.outputs[0]].shape
            found[_KINDS[operator.name], image, output, kernel[1]] += 1
    return found


def test_a_file_has_the_layers_that_its_time_was_predicted_from(tmp_path: Path) -> None:
    path = tmp_path / "network_int8.tflite"
    path.write_bytes(network_file(NETWORK, LABELS))
    model = NETWORK.config.model
    layers = network_operators(model, per_cell=1, num_classes=3)
    graph = read_graph(path)
    expected: Counter[tuple[object, ...]] = Counter()
    for op, count in layers.items():
        if op.kind in _KINDS.values():
            image = (1, op.height, op.width, op.channels)
            expected[op.kind, image, op.output_shape, op.kernel] += count
    assert convolutions(graph) == expected
    assert sum(op.macs for op in graph.operators) == sum(op.macs * n for op, n in layers.items())
    assert finds(path) > 10


def test_a_frame_is_the_same_detector_with_next_to_no_network(tmp_path: Path) -> None:
    path = tmp_path / "frame_int8.tflite"
    path.write_bytes(frame_file(NETWORK, LABELS))
    graph = read_graph(path)
    sides = [(8, 12), (4, 6), (2, 3)]
    outputs = Counter((1, *side, size) for side in sides for size in (3, 4))
    assert Counter(output for _, _, output, _ in convolutions(graph).elements()) == outputs
    assert finds(path) > 10


def test_fewer_detections_may_be_asked_for(tmp_path: Path) -> None:
    config = NETWORK.config
    export = dataclasses.replace(config.export, max_detections=5)
    path = tmp_path / "frame_int8.tflite"
    path.write_bytes(frame_file(Network(config.replace(export=export)), LABELS))
    assert finds(path) == 5


def finds(path: Path) -> int:
    detector = TFLiteDetector(str(path))
    assert detector.labels == LABELS
    assert detector.precision == "int8"
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return len(detector.predict(image).scores)
