"""Run a .tflite detector with numpy, OpenCV and LiteRT, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.errors import ModelError
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import MEAN, STD, normalize, stretch
from edge_retina.runtime.model_file import check_manifest_hash, check_model_file, read_labels
from edge_retina.runtime.ops import DelegateInfo, count_delegate_partitions
from edge_retina.runtime.raw_outputs import (
    Decoder,
    check_label_count,
    load_levels_decoder,
    load_raw_decoder,
)
from edge_retina.runtime.start_up_lines import without_start_up_lines
from edge_retina.runtime.tensor_contract import (
    CONTRACTS,
    DETECTIONS,
    INPUT_DTYPES,
    RAW,
    SIGNATURE,
    is_image,
    parse_level_outputs,
    shape_text,
)
from edge_retina.runtime.tensor_values import Tensor

# An int8 image is pixels less 128, in steps of 1/128: see `runtime.image`
_PIXEL_ZERO, _PIXEL_SCALE = int(MEAN), 1 / STD

RawOutputs = tuple[np.ndarray, ...]


class TFLiteDetector:
    """Finds objects with an exported model; a `Predictor` whose stages can be called one by one.

    One object serves one thread at a time: LiteRT's interpreter holds the tensors.
    """

    def __init__(self, path: Path | str, *, num_threads: int = 1, use_xnnpack: bool = True) -> None:
        """Open a model.

        Args:
            path: a .tflite file with the tensor contract of an export directory. One without NMS
                inside is decoded with the manifest beside it.
            num_threads: of the interpreter, 1 or more.
            use_xnnpack: False runs LiteRT's own kernels without any delegate.

        Raises:
            ModelError: not a whole TFLite file, another one than the manifest beside it describes,
                unexpected inputs or outputs, missing or wrong labels, or no manifest for a file
                without NMS.
        """
        self.path = Path(path)
        if num_threads < 1:
            raise ModelError(f"num_threads must be 1 or more, got {num_threads}")
        check_model_file(self.path)
        check_manifest_hash(self.path)
        self._interpreter = open_interpreter(self.path, num_threads, use_xnnpack)
        has_levels = _level_names(self._interpreter) is not None
        self._input = _check_input(self.path, self._interpreter, int8=has_levels)
        outputs = _check_outputs(self.path, self._interpreter)
        self._output_indices = [int(output["index"]) for output in outputs]
        self._labels = read_labels(self.path)
        self._decoder = _find_decoder(self.path, outputs, self._labels, has_levels=has_levels)
        self._use_xnnpack = use_xnnpack

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._labels

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) in pixels that every image is stretched to."""
        _, height, width, _ = self._input["shape"]
        return int(height), int(width)

    @property
    def output_indices(self) -> tuple[int, ...]:
        """Tensors that `invoke` returns, in its order; elsewhere they may come in the file's."""
        return tuple(self._output_indices)

    @property
    def precision(self) -> str:
        """Type of the weights: "int8" if any or the input is, else "float16" or "float32"."""
        return precision_of(self._interpreter)

    @property
    def delegate(self) -> DelegateInfo | None:
        """What XNNPACK runs of the graph; None when it is switched off."""
        return count_delegate_partitions(self._interpreter) if self._use_xnnpack else None

    def preprocess(self, image_rgb: np.ndarray) -> np.ndarray:
        """Turn an upright (H, W, 3) uint8 RGB image into the (1, h, w, 3) input tensor."""
        pixels = stretch(image_rgb, self.input_hw)[np.newaxis]
        # The int8 model's input scale and zero point make a pixel value its own quantised value
        if self._input["dtype"] == np.uint8:
            return pixels
        if self._input["dtype"] == np.int8:
            return (pixels.astype(np.int16) - _PIXEL_ZERO).astype(np.int8)
        return normalize(pixels)

    def invoke(self, tensor: np.ndarray) -> RawOutputs:
        """Run the network; return boxes (1, N, 4), classes (1, N), scores (1, N) and count (1,).

        Without NMS inside: box codes (1, A, 4) and scores (1, A, K), or the heads of each level as
        they are.
        """
        self._interpreter.set_tensor(self._input["index"], tensor)
        self._interpreter.invoke()
        return tuple(map(self._interpreter.get_tensor, self._output_indices))

    def postprocess(self, raw: RawOutputs) -> Detections:
        """Take the used rows, best score first; decode and suppress what has no NMS inside.

        Raises:
            ModelError: the model found a class that has no label.
        """
        if self._decoder is not None:
            return self._decoder.decode(*raw)
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
        """Find objects in an upright (H, W, 3) uint8 RGB image of any size."""
        return self.postprocess(self.invoke(self.preprocess(image_rgb)))


def precision_of(interpreter: Interpreter) -> str:
    """Return "int8" if any tensor has 8 bits, else "float16" or "float32"."""
    dtypes = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    if dtypes & {np.int8, np.uint8}:
        return "int8"
    return "float16" if np.float16 in dtypes else "float32"


def open_interpreter(path: Path, num_threads: int, use_xnnpack: bool) -> Interpreter:
    """Open a .tflite file of any kind, with its tensors allocated.

    Raises:
        ModelError: LiteRT can't.
    """
    resolver = (
        OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = Interpreter(
            model_path=str(path), num_threads=num_threads, experimental_op_resolver_type=resolver
        )
        with without_start_up_lines():
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:  # LiteRT verifies the whole flatbuffer first
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{path}: LiteRT can't open the model ({reason}); if it was cut off in copying, "
            "copy it again, else export it again"
        ) from None
    return interpreter


def _find_decoder(
    path: Path, outputs: list[dict[str, Any]], labels: tuple[str, ...], *, has_levels: bool
) -> Decoder | None:
    """Return what decodes the outputs; None for a file with NMS inside."""
    if has_levels:
        return load_levels_decoder(path, list(map(Tensor.of, outputs)), labels=labels)
    raw = RAW.sizes_of(_shapes(outputs))
    if raw is None:
        return None
    check_label_count(path, labels, raw["K"])
    return load_raw_decoder(path, num_anchors=raw["A"])


def _check_input(path: Path, interpreter: Interpreter, *, int8: bool) -> dict[str, Any]:
    inputs = interpreter.get_input_details()
    if len(inputs) == 1 and is_image(_shapes(inputs)[0]):
        if _dtype(inputs[0]) in INPUT_DTYPES:
            return dict(inputs[0])
        if int8 and _dtype(inputs[0]) == "int8":
            return _check_pixel_scale(path, dict(inputs[0]))
    raise ModelError(
        f"{path}: expected one input [1,H,W,3] of {' or '.join(INPUT_DTYPES)}, found "
        f"{_describe(inputs)}; export the model with 'edge-retina export'"
    )


def _check_pixel_scale(path: Path, image: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = image["quantization"]
    if (scale, zero_point) != (_PIXEL_SCALE, 0):
        raise ModelError(
            f"{path}: expected an int8 image of scale 1/{STD:g} and zero point 0 (pixels less "
            f"{_PIXEL_ZERO}), found scale {scale:.7g} and zero point {zero_point}; export the "
            "model with 'edge-retina export'"
        )
    return image


def _check_outputs(path: Path, interpreter: Interpreter) -> list[dict[str, Any]]:
    """Return the outputs in the order of their contract: `DETECTIONS`, or without NMS `RAW`."""
    outputs = _ordered_outputs(interpreter)
    if _level_names(interpreter):
        return outputs
    fits = any(contract.sizes_of(_shapes(outputs)) for contract in CONTRACTS)
    if fits and all(_dtype(output) == "float32" for output in outputs):
        return outputs
    raise ModelError(
        f"{path}: expected the float32 outputs {DETECTIONS}, or {RAW} of a model without NMS, "
        f"found {_describe(outputs)}; export the model with 'edge-retina export'"
    )


def _ordered_outputs(interpreter: Interpreter) -> list[dict[str, Any]]:
    """Return the outputs, in the order of their form if the signature has its names."""
    outputs = interpreter.get_output_details()
    if SIGNATURE in interpreter.get_signature_list():
        by_name = interpreter.get_signature_runner(SIGNATURE).get_output_details()
        levels = parse_level_outputs(by_name)
        for names in (*(contract.names for contract in CONTRACTS), *([levels] if levels else [])):
            if set(by_name) == set(names):
                outputs = [by_name[name] for name in names]
    return list(outputs)


def _level_names(interpreter: Interpreter) -> tuple[str, ...] | None:
    """Return the names of the outputs if they are the heads of each level."""
    if SIGNATURE not in interpreter.get_signature_list():
        return None
    return parse_level_outputs(interpreter.get_signature_list()[SIGNATURE]["outputs"])


def fits_contract(interpreter: Interpreter) -> str:
    """Return "detections", "raw" or "levels" for an export's outputs, "" for others."""
    if _level_names(interpreter):
        return "levels"
    inputs, outputs = interpreter.get_input_details(), _ordered_outputs(interpreter)
    if (
        len(inputs) != 1
        or not is_image(_shapes(inputs)[0])
        or _dtype(inputs[0]) not in INPUT_DTYPES
    ):
        return ""
    if any(_dtype(output) != "float32" for output in outputs):
        return ""
    if DETECTIONS.sizes_of(_shapes(outputs)):
        return "detections"
    return "raw" if RAW.sizes_of(_shapes(outputs)) else ""


def _shapes(tensors: list[dict[str, Any]]) -> list[tuple[int, ...]]:
    return [tuple(int(side) for side in tensor["shape"]) for tensor in tensors]


def _dtype(tensor: dict[str, Any]) -> str:
    return np.dtype(tensor["dtype"]).name


def _describe(tensors: list[dict[str, Any]]) -> str:
    texts = [
        f"{tensor['name']} {shape_text(tensor['shape'])} {_dtype(tensor)}" for tensor in tensors
    ]
    return "; ".join(texts) if texts else "none"
