"""Fixtures that tests of several packages share."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Files that take long begin first, so that no process ends with one while the others idle. Two of
# tests/e2e don't start together: one would wait for the other to make the RUN that they share. So
# what takes as long as that RUN comes between the first of them and the second.
_FIRST = (
    "tests/e2e/test_artefacts.py",
    "tests/training/test_trainer.py",
    "tests/training/test_distribution.py",
    "tests/imports/test_import.py",
    "tests/e2e/test_detections.py",
    "tests/e2e/test_interruption.py",
    "tests/e2e/test_overfitting.py",
    "tests/e2e/test_resuming.py",
    "tests/doctor/data/test_real_data.py",
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the suite is the same on every machine

# Each process of pytest-xdist gets its share of the cores. Otherwise each starts a thread for every
# core, and they spend their time waiting for each other.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    _THREADS = str(max((os.cpu_count() or 1) // _PROCESSES, 1))
    for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_name, _THREADS)

# TensorFlow rewrites a graph before its first run, which takes a third of the time of a training of
# few steps and gains nothing. In these places it does, as for users, and in all child processes.
_REWRITTEN = ("tests/e2e/", "tests/training/test_distribution.py")

# No deadline: the first example of a test may import or compile something.
settings.register_profile("edge_retina", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("edge_retina")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of `_FIRST` first, in its order; the others stay as they are.

    Tests of faults that take many minutes run only when they are asked for by their marker.
    """
    if "faults" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("faults")]
        items[:] = [item for item in items if item not in long]
        if long:
            config.hook.pytest_deselected(items=long)

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT).as_posix()
        return _FIRST.index(path) if path in _FIRST else len(_FIRST)

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let TensorFlow rewrite graphs in the tests of `_REWRITTEN` only; set before any fixture."""
    if item.get_closest_marker("tf") is None:
        return
    from edge_retina.model.keras import tf

    rewritten = item.path.relative_to(ROOT).as_posix().startswith(_REWRITTEN)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not rewritten})


@pytest.fixture
def repository() -> Path:
    """The directory of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets that lie beside the checkout on the machines of this project."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the shared data sets (../shared/data) are not on this machine")
    return path


@pytest.fixture(autouse=True)
def _no_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own EDGE_RETINA_DEBUG out of tests of error messages."""
    monkeypatch.delenv("EDGE_RETINA_DEBUG", raising=False)


@pytest.fixture
def add_device_kind(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Add a kind of device for one test."""
    from edge_retina.benchmark.runner import RUNNERS

    def add(name: str, kind: Any) -> None:
        for command in ("benchmark", "design"):  # their help names the kinds at their import
            importlib.import_module(f"edge_retina.cli.{command}")
        monkeypatch.setitem(RUNNERS, name, kind)

    return add


@pytest.fixture(scope="session")
def make_grid() -> Callable[..., Any]:
    """Make the anchors of `make_retinanet`: two shapes a cell, levels from 3 on."""
    from edge_retina.boxes.anchors import AnchorGrid

    def make(image_hw: tuple[int, int] = (64, 64), max_level: int = 5) -> AnchorGrid:
        shapes = tuple(
            ((4.0 * 2**level, 4.0 * 2**level), (6.0 * 2**level, 3.0 * 2**level))
            for level in range(3, max_level + 1)
        )
        return AnchorGrid(image_hw, 3, shapes)

    return make


@pytest.fixture(scope="session")
def make_retinanet(make_grid: Callable[..., Any]) -> Callable[..., Any]:
    """Build a small float RetinaNet; see `build`."""
    import numpy as np

    from edge_retina.config import ModelConfig

    def build(
        *,
        backbone: str = "mobilenet_v2",
        wiring: str = "own",
        image_hw: tuple[int, int] = (64, 64),
        max_level: int = 5,
        head_depth: int = 1,
        num_classes: int = 3,
        fresh: bool = False,
    ) -> tuple[Any, Any]:
        """Return the model, of 16 channels, and its anchors, see `make_grid`.

        Unless `fresh`, its BatchNorms are at work and its last layers strong, as if trained.
        """
        from edge_retina.model.keras import keras
        from edge_retina.model.retinanet import build_retinanet

        grid = make_grid(image_hw, max_level)
        settings = ModelConfig(
            backbone=backbone,
            wiring=wiring,
            image_hw=image_hw,
            max_level=max_level,
            fpn_channels=16,
            head_depth=head_depth,
        )
        keras.utils.set_random_seed(0)
        model = build_retinanet(settings, num_classes=num_classes, anchors=grid)
        if fresh:
            return model, grid
        # Statistics are measured at random scales, for drawn ones would let the signal die out on
        # its way; shifts keep ReLU6 mostly linear, for a random network with many kinks is chaotic
        # and makes a lot of any rounding.
        rng = np.random.default_rng(0)
        norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        for norm in norms:
            norm.gamma.assign(rng.uniform(0.5, 1.0, norm.gamma.shape))
            norm.beta.assign(rng.uniform(1.0, 2.0, norm.beta.shape))
            norm.momentum = 0.0
        model(rng.uniform(-1, 1, (8, *image_hw, 3)), training=True)
        for name, bias in (("cls_out_pw", -2.0), ("box_out_pw", 0.0)):
            kernel, biases = model.get_layer(name).get_weights()
            # Not all equal: of such a bias the TFLite converter (2.21) takes the scale of the first
            # channel for all of them.
            biases = bias + rng.normal(0, 0.1, biases.shape)
            model.get_layer(name).set_weights([kernel * 100, biases])
        return model, grid

    return build


@pytest.fixture(scope="session")
def blurred_pictures() -> Callable[..., Any]:
    """Make pictures (count, 64, 64, 3) uint8 of random colours from a seed, or of another size."""
    import cv2
    import numpy as np

    def make(count: int, seed: int, image_hw: tuple[int, int] = (64, 64)) -> np.ndarray:
        height, width = image_hw
        cells = (count, height // 8, width // 8, 3)
        coarse = np.random.default_rng(seed).integers(0, 256, cells).astype(np.uint8)
        return np.stack([cv2.resize(picture, (width, height)) for picture in coarse])

    return make


@pytest.fixture(scope="session")
def make_int8_detector(
    make_retinanet: Callable[..., Any], blurred_pictures: Callable[..., Any]
) -> Callable[..., SimpleNamespace]:
    """Take a small detector the whole way: deploy graph, calibrated int8 model, .tflite file."""
    from edge_retina.config import ExportConfig
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.ranges import measure_ranges
    from edge_retina.quantization.wrapping import build_quantized_model
    from edge_retina.runtime.image import normalize

    def make(**options: Any) -> SimpleNamespace:
        model, grid = make_retinanet(**options)
        export = ExportConfig(max_detections=50, candidates=200)
        deploy = build_deploy_graph(model)
        quantized = build_quantized_model(deploy)
        images = normalize(blurred_pictures(32, 0, grid.image_hw))
        ranges = measure_ranges(deploy, [images], score_threshold=export.score_threshold)
        quantized.set_activation_ranges(ranges)
        function = detection_function(quantized.model, anchors=grid, export=export)
        return SimpleNamespace(
            model=model,
            grid=grid,
            export=export,
            deploy=deploy,
            quantized=quantized,
            ranges=ranges,
            content=convert(function, int8=True),
        )

    return make


@pytest.fixture(scope="session")
def int8_detector(make_int8_detector: Callable[..., SimpleNamespace]) -> SimpleNamespace:
    """The detector of `make_int8_detector` with the default backbone."""
    return make_int8_detector()
