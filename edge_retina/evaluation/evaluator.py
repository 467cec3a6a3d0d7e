"""Run a detector over labelled images and measure it."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.datasets.schema import Example
from edge_retina.errors import ModelError
from edge_retina.evaluation.coco_metrics import CocoMetrics, check_objects, evaluate_detections
from edge_retina.progress import ProgressUpdate
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.image import load_image


def evaluate(
    predictor: Predictor,
    examples: Sequence[Example],
    *,
    labels: Sequence[str],
    progress: ProgressUpdate | None = None,
) -> tuple[CocoMetrics, list[Detections]]:
    """Return the metrics and the detections of each image, in the examples' order.

    Args:
        predictor: any detector.
        examples: the labelled images.
        labels: the data set's class names by index.
        progress: told after each image.

    Raises:
        ModelError: the detector's labels are not the data set's.
        DatasetError: an image can't be read, or none has an object.
    """
    check_labels(predictor.labels, labels)
    check_objects(examples)  # before minutes of inference
    detections = []
    for done, example in enumerate(examples, 1):
        detections.append(predictor.predict(load_image(example.path)))
        if progress is not None:
            progress(done, total=len(examples))
    return evaluate_detections(examples, detections, labels), detections


def check_labels(model_labels: Sequence[str], data_labels: Sequence[str]) -> None:
    """Refuse to compare class indices that mean different things.

    Raises:
        ModelError: names the first class that differs.
    """
    for index, (model_label, data_label) in enumerate(zip(model_labels, data_labels, strict=False)):
        if model_label != data_label:
            raise ModelError(
                f"class {index} is '{model_label}' in the model but '{data_label}' in the data "
                "set; evaluate on data with the model's labels, in the same order: "
                f"{', '.join(model_labels)}"
            )
    if len(model_labels) != len(data_labels):
        longer = max(model_labels, data_labels, key=len)
        owner = "model" if longer is model_labels else "data set"
        index = min(len(model_labels), len(data_labels))
        raise ModelError(
            f"the model has {len(model_labels)} classes, the data set {len(data_labels)}: "
            f"class {index} '{longer[index]}' is only in the {owner}; "
            "evaluate on data with the model's labels"
        )
