"""The tensors of a detector's .tflite file: their names, order, shapes and meaning.

The input is one RGB image [1,H,W,3], stretched to H x W: uint8 pixels, or float32 normalised as in
`runtime.image`. The outputs, float32 and of fixed shapes, are those of `DETECTIONS`, which are also
those of TFLite_Detection_PostProcess; without NMS inside, those of `RAW`. N is the number of rows,
A of anchors, K of classes.

Files for accelerators end with the heads of each level instead: `cls_p3` [1,H,W,a*K] logits and
`box_p3` [1,H,W,a*4] box codes, with `a` anchors in a cell. These may be int8, and so may the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_retina.layer_names import BOX_HEAD, CLASS_HEAD

SIGNATURE = "serving_default"
INPUT_DTYPES = ("uint8", "float32")
# Boxes are ymin xmin ymax xmax. Metadata counts left, top, right, bottom and says where each is.
CORNER_PLACES = (1, 0, 3, 2)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OutputTensor:
    """One output.

    Attributes:
        name: in the signature.
        metadata_name: in the metadata; task libraries find the outputs by these.
        shape: sides; a letter stands for a number that differs from model to model.
        meaning: in a few words, for people.
    """

    name: str
    metadata_name: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True)
class TensorContract:
    """The outputs of one kind of file, in the order in which clients see them.

    Attributes:
        outputs: in order.
        labels_kind: type of the label file in the metadata of the second output.
    """

    outputs: tuple[OutputTensor, ...]
    labels_kind: str

    @property
    def names(self) -> tuple[str, ...]:
        """Signature names."""
        return tuple(output.name for output in self.outputs)

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """Names in the metadata."""
        return tuple(output.metadata_name for output in self.outputs)

    def shapes(self, **sizes: int) -> tuple[Shape, ...]:
        """Return the outputs' shapes for numbers by letter, such as `N=100`."""
        return tuple(
            tuple(sizes[side] if isinstance(side, str) else side for side in output.shape)
            for output in self.outputs
        )

    def sizes_of(self, shapes: Sequence[Shape]) -> dict[str, int] | None:
        """Return the numbers by letter of a model's output shapes; None if they don't fit."""
        sizes: dict[str, int] = {}
        if [len(shape) for shape in shapes] != [len(output.shape) for output in self.outputs]:
            return None
        for output, shape in zip(self.outputs, shapes, strict=True):
            for side, found in zip(output.shape, shape, strict=True):
                wanted = sizes.setdefault(side, found) if isinstance(side, str) else side
                if found != wanted:
                    return None
        return sizes

    def describe(self, **sizes: int) -> str:
        """Return names and shapes for people; letters without a number stay letters."""
        return ", ".join(
            f"{output.name} {shape_text([sizes.get(str(side), side) for side in output.shape])}"
            for output in self.outputs
        )

    def __str__(self) -> str:
        return self.describe()


DETECTIONS = TensorContract(
    (
        OutputTensor("boxes", "location", (1, "N", 4), "Boxes: ymin, xmin, ymax, xmax in 0..1"),
        OutputTensor("classes", "category", (1, "N"), "Class indices, from 0"),
        OutputTensor("scores", "score", (1, "N"), "Scores in 0..1, best first"),
        OutputTensor("count", "number of detections", (1,), "How many rows of the others are used"),
    ),
    labels_kind="TENSOR_VALUE_LABELS",
)
RAW = TensorContract(
    (
        OutputTensor("boxes", "location", (1, "A", 4), "Box codes of every anchor: ty, tx, th, tw"),
        OutputTensor("scores", "score", (1, "A", "K"), "Scores of every anchor and class in 0..1"),
    ),
    labels_kind="TENSOR_AXIS_LABELS",
)
CONTRACTS = (DETECTIONS, RAW)


_LEVEL_HEADS = (CLASS_HEAD, BOX_HEAD)  # in the order of the outputs
_LEVEL_OUTPUT = re.compile(rf"({'|'.join(_LEVEL_HEADS)})_p(\d+)")


def level_outputs(levels: Iterable[int]) -> tuple[str, ...]:
    """Return the signature names of a file with heads by level, in the order of its outputs.

    Args:
        levels: of the pyramid, finest first.
    """
    levels = tuple(levels)
    return tuple(f"{head}_p{level}" for head in _LEVEL_HEADS for level in levels)


def parse_level_outputs(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return the signature names of a file with heads by level in order; None for other files."""
    names = set(names)
    found = [_LEVEL_OUTPUT.fullmatch(name) for name in names]
    levels = sorted({int(match.group(2)) for match in found if match})
    ordered = level_outputs(levels)
    return ordered if levels and names == set(ordered) else None


def is_image(shape: Shape) -> bool:
    """Whether a shape is that of one RGB image, [1,H,W,3]."""
    return len(shape) == 4 and shape[0] == 1 and shape[3] == 3 and min(shape) > 0


def shape_text(shape: Sequence[int | str]) -> str:
    """Return a shape for people, such as "[1,N,4]"."""
    return f"[{','.join(map(str, shape))}]"
