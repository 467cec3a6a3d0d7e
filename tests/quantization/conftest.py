"""Small int8 models that several test files look at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from edge_retina.runtime.image import normalize

SCORE_THRESHOLD = 0.05


@pytest.fixture(scope="session")
def calibrate(blurred_pictures: Callable[[int, int], Any]) -> Callable[..., None]:
    """Make a quantised model that of a deploy graph: its weights, ranges and rounded biases."""
    from edge_retina.quantization.ranges import measure_ranges

    def make(quantized: Any, deploy: Any, pictures: Any = None) -> None:
        images = normalize(blurred_pictures(32, 0) if pictures is None else pictures)
        weights = {
            f"{layer.name}/{part}": value
            for layer in deploy.layers
            for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False)
        }
        quantized.set_weights(weights)
        quantized.set_activation_ranges(
            measure_ranges(deploy, [images], score_threshold=SCORE_THRESHOLD)
        )
        quantized.round_biases()

    return make


@pytest.fixture(scope="session")
def make_healthy(
    make_retinanet: Callable[..., Any], calibrate: Callable[..., None]
) -> Callable[[], SimpleNamespace]:
    """Make a model with nothing wrong; a test that changes it puts it back by `restore`."""
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.wrapping import build_quantized_model

    def make() -> SimpleNamespace:
        float_model, grid = make_retinanet()
        deploy = build_deploy_graph(float_model)
        quantized = build_quantized_model(deploy)
        calibrate(quantized, deploy)
        weights, ranges = quantized.weights(), quantized.activation_ranges()

        def restore() -> None:
            quantized.set_weights(weights)
            quantized.set_activation_ranges(ranges)

        return SimpleNamespace(
            float_model=float_model,
            grid=grid,
            deploy=deploy,
            quantized=quantized,
            weights=weights,
            ranges=ranges,
            restore=restore,
        )

    return make


@pytest.fixture(scope="session")
def healthy(make_healthy: Callable[[], SimpleNamespace]) -> SimpleNamespace:
    """The model of `make_healthy` with the default backbone."""
    return make_healthy()


@pytest.fixture(scope="session")
def to_file(
    make_grid: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Convert a quantised model of the anchors of `healthy` and return the file's path."""
    from edge_retina.config import ExportConfig
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function

    def write(quantized: Any, **options: Any) -> Any:
        export = ExportConfig(max_detections=50, candidates=200)
        function = detection_function(quantized.model, anchors=make_grid(), export=export)
        path = tmp_path_factory.mktemp("file") / "int8.tflite"
        path.write_bytes(convert(function, int8=True, **options))
        return path

    return write


@pytest.fixture(scope="session")
def healthy_file(healthy: SimpleNamespace, to_file: Callable[..., Any]) -> Any:
    """The .tflite file of `healthy`."""
    return to_file(healthy.quantized)
