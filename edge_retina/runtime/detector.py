"""A .tflite detector on this machine: numpy, OpenCV and LiteRT, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.errors import ModelError
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import normalize, stretch
from edge_retina.runtime.model_file import check_model_file, read_labels
from edge_retina.runtime.ops import DelegateInfo, count_delegate_partitions

OUTPUT_NAMES = ("boxes", "classes", "scores", "count")
_SIGNATURE = "serving_default"

RawOutputs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class TFLiteDetector:
    """Finds objects with an exported model; a `Predictor` whose stages can be called one by one.

    One object serves one thread at a time: LiteRT's interpreter holds the tensors.
    """

    def __init__(self, path: Path | str, *, num_threads: int = 1, use_xnnpack: bool = True) -> None:
        """Open a model.

        Args:
            path: a .tflite file with the tensor contract of an export directory.
            num_threads: of the interpreter, 1 or more.
            use_xnnpack: False runs LiteRT's own kernels without any delegate.

        Raises:
            ModelError: not a whole TFLite file, unexpected inputs or outputs, or no labels.
        """
        self.path = Path(path)
        if num_threads < 1:
            raise ModelError(f"num_threads must be 1 or more, got {num_threads}")
        check_model_file(self.path)
        self._interpreter = _open(self.path, num_threads, use_xnnpack)
        self._input = _check_input(self.path, self._interpreter)
        self._output_indices = _check_outputs(self.path, self._interpreter)
        self._labels = read_labels(self.path)
        self._use_xnnpack = use_xnnpack

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._labels

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) in pixels that every picture is stretched to."""
        _, height, width, _ = self._input["shape"]
        return int(height), int(width)

    @property
    def precision(self) -> str:
        """What the model computes in: "int8" if it takes pixel values, else "float32"."""
        return "int8" if self._input["dtype"] == np.uint8 else "float32"

    @property
    def delegate(self) -> DelegateInfo | None:
        """What XNNPACK runs of the graph; None when it is switched off."""
        return count_delegate_partitions(self._interpreter) if self._use_xnnpack else None

    def preprocess(self, image_rgb: np.ndarray) -> np.ndarray:
        """Turn an upright (H, W, 3) uint8 RGB picture into the (1, h, w, 3) input tensor."""
        pixels = stretch(image_rgb, self.input_hw)[np.newaxis]
        # The int8 model's input scale and zero point make a pixel value its own quantised value
        return pixels if self._input["dtype"] == np.uint8 else normalize(pixels)

    def invoke(self, tensor: np.ndarray) -> RawOutputs:
        """Run the network; return boxes (1, N, 4), classes (1, N), scores (1, N) and count (1,)."""
        self._interpreter.set_tensor(self._input["index"], tensor)
        self._interpreter.invoke()
        boxes, classes, scores, count = map(self._interpreter.get_tensor, self._output_indices)
        return boxes, classes, scores, count

    def postprocess(self, raw: RawOutputs) -> Detections:
        """Take the used rows, best score first.

        Raises:
            ModelError: the model names a class it has no label for.
        """
        boxes, classes, scores, count = raw
        used = int(count[0])
        order = np.argsort(-scores[0, :used], kind="stable")
        indices = np.rint(classes[0, :used][order]).astype(np.int32)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self._labels):
            raise ModelError(
                f"{self.path}: the model found classes {indices.min()}..{indices.max()}, but has "
                f"only {len(self._labels)} labels ({', '.join(self._labels)}); the list is another "
                "model's: export the model again"
            )
        return Detections(
            boxes_norm=np.clip(boxes[0, :used][order], 0, 1).astype(np.float32),
            classes=indices,
            scores=scores[0, :used][order].astype(np.float32),
        )

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an upright (H, W, 3) uint8 RGB picture of any size."""
        return self.postprocess(self.invoke(self.preprocess(image_rgb)))


def _open(path: Path, num_threads: int, use_xnnpack: bool) -> Interpreter:
    resolver = (
        OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = Interpreter(
            model_path=str(path), num_threads=num_threads, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:  # LiteRT verifies the whole flatbuffer first
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{path}: LiteRT can't open the model ({reason}); if it was cut off in copying, "
            "copy it again, else export it again"
        ) from None
    return interpreter


def _check_input(path: Path, interpreter: Interpreter) -> dict[str, Any]:
    inputs = interpreter.get_input_details()
    if len(inputs) == 1:
        shape, dtype = tuple(inputs[0]["shape"]), inputs[0]["dtype"]
        is_picture = len(shape) == 4 and shape[0] == 1 and shape[3] == 3 and min(shape) > 0
        if is_picture and dtype in (np.uint8, np.float32):
            return dict(inputs[0])
    raise ModelError(
        f"{path}: expected one input [1,H,W,3] of uint8 or float32, found {_describe(inputs)}; "
        "export the model with 'edge-retina export'"
    )


def _check_outputs(path: Path, interpreter: Interpreter) -> tuple[int, int, int, int]:
    """Return the tensor indices of boxes, classes, scores and count."""
    outputs = interpreter.get_output_details()
    if _SIGNATURE in interpreter.get_signature_list():
        by_name = interpreter.get_signature_runner(_SIGNATURE).get_output_details()
        if set(by_name) == set(OUTPUT_NAMES):
            outputs = [by_name[name] for name in OUTPUT_NAMES]
    if len(outputs) == 4 and all(output["dtype"] == np.float32 for output in outputs):
        boxes, classes, scores, count = (tuple(output["shape"]) for output in outputs)
        rows = (1, boxes[1]) if len(boxes) == 3 else None
        if boxes[::2] == (1, 4) and classes == scores == rows and count == (1,):
            first, second, third, fourth = (int(output["index"]) for output in outputs)
            return first, second, third, fourth
    raise ModelError(
        f"{path}: expected the float32 outputs boxes [1,N,4], classes [1,N], scores [1,N], "
        f"count [1], found {_describe(outputs)}; export the model with 'edge-retina export'"
    )


def _describe(tensors: list[dict[str, Any]]) -> str:
    texts = [
        f"{tensor['name']} [{','.join(map(str, tensor['shape']))}] {np.dtype(tensor['dtype']).name}"
        for tensor in tensors
    ]
    return "; ".join(texts) if texts else "none"
