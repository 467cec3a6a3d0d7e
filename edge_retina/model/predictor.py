"""A Keras model as a Predictor, with the numpy reference of decoding and NMS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import ExportConfig
from edge_retina.errors import RunError, first_line
from edge_retina.model.hdf5_check import DAMAGED_HDF5, check_weights_file
from edge_retina.model.keras import keras, tf
from edge_retina.model.retinanet import build_retinanet
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import normalize, stretch
from edge_retina.runtime.raw_outputs import decode_logits

_DAMAGED = (*DAMAGED_HDF5, tf.errors.OpError)


class KerasPredictor:
    """Runs a model whose outputs are `cls_logits` (1, A, K) and `box_deltas` (1, A, 4).

    The model is traced once, at the first image, and its weights are read at every call. So one
    predictor serves all evaluations of a training; a new one would trace the model again.

    Attributes:
        labels: class names by index.
        input_hw: the network's input size.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        anchors: AnchorGrid,
        labels: tuple[str, ...],
        export: ExportConfig,
    ) -> None:
        self.labels = labels
        self.input_hw = anchors.image_hw
        self._anchors = anchors.boxes_norm()
        self._export = export
        images = tf.TensorSpec((1, *self.input_hw, 3), tf.float32)
        self._run = tf.function(lambda x: model(x, training=False), input_signature=[images])

    def preprocess(self, image_rgb: np.ndarray) -> np.ndarray:
        """Stretch and normalise an image to the input (1, H, W, 3) float32."""
        return normalize(stretch(image_rgb, self.input_hw))[None]

    def invoke(self, tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cls_logits (A, K) and box_deltas (A, 4)."""
        cls_logits, box_deltas = self._run(tf.constant(tensor))
        return cls_logits.numpy()[0], box_deltas.numpy()[0]

    def postprocess(self, raw: tuple[np.ndarray, np.ndarray]) -> Detections:
        """Decode and suppress, as the graph in the .tflite files does."""
        return decode_logits(*raw, self._anchors, self._export)

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an (H, W, 3) uint8 RGB image."""
        return self.postprocess(self.invoke(self.preprocess(image_rgb)))


def load_float_model(run: RunDirectory) -> keras.Model:
    """Build the float model of a RUN and load its best weights.

    Raises:
        RunError: not a RUN, not trained yet, or its weights are damaged.
    """
    config, labels = run.load_config(), run.load_labels()
    weights = run.require_unchanged(run.float_weights, stage="train", made_by="train")
    model = build_retinanet(config.model, num_classes=len(labels), anchors=run.load_anchors())
    load_weights(model, weights)
    return model


def load_weights(model: keras.Model, path: Path) -> None:
    """Load the weights of a RUN's float model, all of them or none.

    Raises:
        RunError: damaged, or of another network. The model then has the weights that it had.
    """
    before = model.get_weights()
    try:
        check_weights_file(path)
        model.load_weights(str(path))
    except _DAMAGED as error:
        model.set_weights(before)
        raise RunError(
            f"{path}: can't be read ({first_line(error)}): damaged, or of another network than "
            "that of config.toml; restore it, or train again in a new directory"
        ) from None


def load_keras_predictor(run: str) -> KerasPredictor:
    """Return the float model of the RUN at path `run` as a Predictor."""
    directory = RunDirectory(Path(run))
    config = directory.load_config()
    return KerasPredictor(
        load_float_model(directory),
        anchors=directory.load_anchors(),
        labels=directory.load_labels(),
        export=config.export,
    )
