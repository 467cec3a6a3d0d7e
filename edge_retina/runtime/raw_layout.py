"""What the outputs of a file without NMS hold: content, pyramid level and quantisation of each.

Written into the manifest at export. Decoders are made from it, so that nobody guesses the order of
the outputs, the anchors or the scales.
"""

from __future__ import annotations

from dataclasses import dataclass

FLAT, LEVELS = "flat", "levels"
LOGITS, SCORES, CODES = "logits", "scores", "codes"


@dataclass(frozen=True)
class RawTensor:
    """One tensor of a .tflite file.

    Attributes:
        name: in the signature, or of the tensor where the file has no signature.
        index: its place among the inputs or outputs, from 0.
        shape: static sides. By level, an output is (1, H, W, a * K) or (1, H, W, a * 4) with `a`
            anchors in a cell; flat, it is (1, A, K) or (1, A, 4).
        dtype: "float32", "uint8" or "int8".
        scale, zero_point: real = (stored - zero_point) * scale. 1 and 0 for float32.
        content: of an output: "logits", "scores" (after the sigmoid) or "codes" (of boxes); "" for
            an input.
        level: the pyramid level of an output; None if it has all levels, finest first.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0
    content: str = ""
    level: int | None = None


@dataclass(frozen=True)
class RawLayout:
    """The tensors of one file without NMS.

    Attributes:
        target: of `export.targets` that the file was made for.
        form: "flat" (all levels in one tensor) or "levels" (4-D heads of each level).
        input: the image.
        outputs: in the order of their index.
    """

    target: str
    form: str
    input: RawTensor
    outputs: tuple[RawTensor, ...]
