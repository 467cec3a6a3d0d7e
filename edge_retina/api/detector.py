"""A trained detector that is called with images."""

from __future__ import annotations

from pathlib import Path

from edge_retina.api.detections import Detections
from edge_retina.api.picture import Picture, picture_rgb
from edge_retina.api.settings import python_errors
from edge_retina.errors import ModelError, choices_hint
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.opening import TFLITE_BACKENDS, open_predictor


class Detector:
    """Finds objects in images: `Detector("export")("photo.jpg")`.

    It serves one thread at a time. A .tflite file needs no TensorFlow; a run directory does.

    Attributes:
        labels: class names by index.
        file: the file that holds the weights.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        threads: int = 1,
        backend: str = "xnnpack",
        format: str = "",
        labels: str | Path = "",
        normalise: str = "",
        resize: str = "",
        anchors: str | Path | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: a .tflite file, an export directory (its int8 file is used), or a run directory.
            threads: of a .tflite model.
            backend: kernels of a .tflite model: "xnnpack", or "builtin" for LiteRT's own.
            format: form of the outputs of another framework's file, if it isn't recognised. This
                and the arguments below mean what the options of `edge-retina predict` mean.
            labels: class names of such a file: a file, or "coco80" or "coco91".
            normalise: input of such a file: a rule, or "MEAN,STD".
            resize: "stretch" or "letterbox".
            anchors: JSON with the anchors of such a file.

        Raises:
            ModelError, RunError: it is not a model, or it can't be used.
            EdgeRetinaError: a run directory, and TensorFlow is not installed.
        """
        if backend not in TFLITE_BACKENDS:
            raise ModelError(f"backend {backend!r}: {choices_hint(backend, TFLITE_BACKENDS)}")
        choices = ForeignChoices(
            format=format,
            labels=str(labels),
            normalise=normalise,
            resize=resize,
            anchors=None if anchors is None else Path(anchors),
        )
        with python_errors(f"{model}: a run directory"):
            opened = open_predictor(Path(model), threads=threads, backend=backend, choices=choices)
        self.labels = opened.predictor.labels
        self.file = opened.file
        self._predictor = opened.predictor

    def __call__(self, image: Picture, *, score: float = 0.0) -> Detections:
        """Find objects.

        Args:
            image: a path; an array (H, W, 3) uint8 in the order red, green, blue; or a PIL image.
            score: leave out those below it; files don't report any below their own threshold.

        Returns:
            What was found, best score first.

        Raises:
            DatasetError: not an image.
        """
        rgb = picture_rgb(image)
        found = self._predictor.predict(rgb).above(score)
        return Detections.of(found, labels=self.labels, image_hw=(rgb.shape[0], rgb.shape[1]))

    def __repr__(self) -> str:
        return f"Detector({str(self.file)!r})"
