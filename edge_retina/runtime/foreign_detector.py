"""Run a .tflite detector of another framework, stage by stage like `TFLiteDetector`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.errors import ModelError
from edge_retina.runtime.anchor_file import AnchorSet
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import open_interpreter, precision_of, run_network
from edge_retina.runtime.foreign import read_input, read_outputs
from edge_retina.runtime.foreign_settings import ForeignSettings
from edge_retina.runtime.formats.output_format import DecodeContext
from edge_retina.runtime.formats.table import FORMATS
from edge_retina.runtime.model_file import check_model_file
from edge_retina.runtime.normalization import to_tensor
from edge_retina.runtime.ops import DelegateInfo, count_delegate_partitions
from edge_retina.runtime.placement import Placement, place
from edge_retina.runtime.tensor_values import dequantize


@dataclass(frozen=True)
class PreparedPicture:
    """The network's input, and where the picture lies in it."""

    tensor: np.ndarray
    placement: Placement


@dataclass(frozen=True)
class ForeignOutputs:
    """The network's outputs in the order of their form, as they are, and the placement."""

    values: tuple[np.ndarray, ...]
    placement: Placement


class ForeignDetector:
    """Finds objects with any .tflite file of a known form; a `Predictor` in stages.

    One object serves one thread at a time: LiteRT's interpreter holds the tensors.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        settings: ForeignSettings | Mapping[str, Any],
        num_threads: int = 1,
        use_xnnpack: bool = True,
    ) -> None:
        """Open a model.

        Args:
            path: a .tflite file.
            settings: from `foreign.foreign_settings`, or its `to_dict`.
            num_threads: of the interpreter, 1 or more.
            use_xnnpack: False runs LiteRT's own kernels without any delegate.

        Raises:
            ModelError: not a whole TFLite file, or one with other tensors than settings are of.
        """
        self.path = Path(path)
        if num_threads < 1:
            raise ModelError(f"num_threads must be 1 or more, got {num_threads}")
        if not isinstance(settings, ForeignSettings):
            settings = ForeignSettings.from_dict(settings)
        self.settings = settings
        check_model_file(self.path)
        self._interpreter = open_interpreter(self.path, num_threads, use_xnnpack)
        self._use_xnnpack = use_xnnpack
        self._input = read_input(self.path, self._interpreter)
        self._input_index = int(self._interpreter.get_input_details()[0]["index"])
        outputs = read_outputs(self.path, self._interpreter)
        if max(settings.order) >= len(outputs):
            raise ModelError(f"{self.path}: has {len(outputs)} outputs; the settings are another's")
        self._outputs = [outputs[place] for place in settings.order]
        details = self._interpreter.get_output_details()
        self._output_indices = [int(details[place]["index"]) for place in settings.order]
        self._decode = FORMATS[settings.format].decode
        self._context = DecodeContext(
            input_hw=self._input.input_hw,
            num_labels=len(settings.labels),
            anchors=None if settings.anchors is None else AnchorSet.from_dict(settings.anchors),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self.settings.labels

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) in pixels of the network's input."""
        return self._input.input_hw

    @property
    def precision(self) -> str:
        """Type of the weights: "int8" if any or the input is, else "float16" or "float32"."""
        return precision_of(self._interpreter)

    @property
    def delegate(self) -> DelegateInfo | None:
        """What XNNPACK runs of the graph; None when it is switched off."""
        return count_delegate_partitions(self._interpreter) if self._use_xnnpack else None

    def preprocess(self, image_rgb: np.ndarray) -> PreparedPicture:
        """Bring an upright (H, W, 3) uint8 RGB image to the input's size and values."""
        pixels, placement = place(image_rgb, self.input_hw, self.settings.resize)
        values = to_tensor(pixels, self._input.tensor, self.settings.normalization)[np.newaxis]
        if self._input.channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return PreparedPicture(values, placement)

    def invoke(self, prepared: PreparedPicture) -> ForeignOutputs:
        """Run the network."""
        values = run_network(
            self.path, self._interpreter, self._input_index, prepared.tensor, self._output_indices
        )
        return ForeignOutputs(values, prepared.placement)

    def postprocess(self, raw: ForeignOutputs) -> Detections:
        """Decode the outputs into boxes of the picture, best score first.

        Raises:
            ModelError: they are not of the form that the settings name, or a class has no label.
        """
        values = [
            dequantize(value, tensor)
            for value, tensor in zip(raw.values, self._outputs, strict=True)
        ]
        try:
            found = self._decode(values, self._context)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from None
        classes = found.classes.astype(np.int32)
        if len(classes) and not 0 <= classes.min() <= classes.max() < len(self.labels):
            raise ModelError(
                f"{self.path}: the model found classes {classes.min()}..{classes.max()}, but has "
                f"only {len(self.labels)} labels; pass the model's own list with --labels FILE"
            )
        boxes = np.clip(raw.placement.to_picture(found.boxes_norm), 0, 1)
        best = np.argsort(-found.scores, kind="stable")
        # What lies in the border around the picture, or is inside out, is no box of it
        best = best[(boxes[best, 2:] > boxes[best, :2]).all(axis=1)]
        return Detections(
            boxes_norm=boxes[best].astype(np.float32),
            classes=classes[best],
            scores=np.clip(found.scores[best], 0, 1).astype(np.float32),
        )

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an upright (H, W, 3) uint8 RGB image of any size."""
        return self.postprocess(self.invoke(self.preprocess(image_rgb)))
