from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.errors import ExportError
from edge_retina.evaluation.agreement import Agreement
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import TFLiteDetector

pytestmark = pytest.mark.tf

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"


class Changed:
    """The tiny detector with its detections changed: a model that the file was not made from."""

    def __init__(self, change: Callable[[Detections], Detections]) -> None:
        self._detector, self._change = TFLiteDetector(TINY), change

    def predict(self, image: np.ndarray) -> Detections:
        return self._change(self._detector.predict(image))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A bright picture: the tiny detector finds one object above 0.3 in it."""
    path = tmp_path / "bright.png"
    cv2.imwrite(str(path), np.full((40, 50, 3), 250, np.uint8))
    return path


def unchanged(found: Detections) -> Detections:
    return found


def moved(found: Detections) -> Detections:
    return dataclasses.replace(found, boxes_norm=found.boxes_norm + np.float32(0.1))


def renamed(found: Detections) -> Detections:
    return dataclasses.replace(found, classes=1 - found.classes)


def less_sure(found: Detections) -> Detections:
    return dataclasses.replace(found, scores=found.scores - np.float32(0.2))


def test_the_model_it_was_made_from_agrees_with_both_kernels(picture: Path):
    from edge_retina.export.verify import verify_file

    shares = verify_file(TINY, Changed(unchanged), [picture], precision="int8")
    right = {"boxes": 1.0, "classes": 1.0, "scores": 1.0}
    assert shares == {"xnnpack": right, "builtin": right}


@pytest.mark.parametrize(
    "change, output", [(moved, "boxes"), (renamed, "classes"), (less_sure, "scores")]
)
def test_another_model_is_told_by_the_output_that_differs(
    picture: Path, change: Callable[[Detections], Detections], output: str
):
    from edge_retina.export.verify import verify_file

    message = (
        f"tiny_uint8.tflite: its output '{output}' (xnnpack kernels) is right for only 0 of the 1 "
        "objects that the model it was made from finds; 50% are needed; the conversion is wrong"
    )
    with pytest.raises(ExportError) as caught:
        verify_file(TINY, Changed(change), [picture], precision="int8")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "precision, xnnpack, builtin, outcome",
    [
        ("int8", 10, 10, ""),
        ("int8", 10, 8, "builtin kernels) is right for only 8 of the 10 .* 90 % are usual"),
        ("int8", 8, 8, "xnnpack kernels) is right for only 8 of the 10 .* 90 % are usual"),
        ("int8", 10, 4, ExportError),
        ("float32", 10, 9, "builtin kernels) is right for only 9 of the 10 .* 95 % are usual"),
        ("float32", 9, 9, ExportError),
    ],
)
def test_kernels_that_differ_are_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    picture: Path,
    precision: str,
    xnnpack: int,
    builtin: int,
    outcome: str | type[ExportError],
):
    from edge_retina.export import verify

    found = iter((xnnpack, builtin))
    monkeypatch.setattr(
        verify, "compare_detections", lambda *_, **__: Agreement(10, *3 * [next(found)])
    )
    if outcome is ExportError:
        with pytest.raises(ExportError, match="the conversion is wrong"):
            verify.verify_file(TINY, Changed(unchanged), [picture], precision=precision)
        return
    shares = verify.verify_file(TINY, Changed(unchanged), [picture], precision=precision)
    assert shares["builtin"]["boxes"] == builtin / 10
    assert re.search(str(outcome).replace(")", r"\)"), caplog.text)
    assert ("are usual" in caplog.text) == bool(outcome)


def test_a_deploy_graph_that_is_not_a_number_is_refused():
    from edge_retina.export.verify import verify_deploy_graph
    from edge_retina.model.keras import keras

    image = keras.Input((4, 4, 3))
    first, second = (keras.layers.Conv2D(2, 1, name=name) for name in ("one", "two"))
    trained = keras.Model(image, [first(image), second(image)])
    deploy = keras.models.clone_model(trained)
    deploy.set_weights(trained.get_weights())
    verify_deploy_graph(trained, deploy)
    deploy.set_weights([weights * np.nan for weights in trained.get_weights()])
    with pytest.raises(ExportError, match="folding BatchNorm changed cls_logits by nan"):
        verify_deploy_graph(trained, deploy)
