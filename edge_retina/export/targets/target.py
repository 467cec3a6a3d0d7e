"""What a kind of processor takes: the form of the graph, the types at its ends, and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_retina.runtime.graph import Graph, OperatorInfo
from edge_retina.runtime.raw_layout import LEVELS

NMS = "nms"  # the form of files with decoding and NMS inside; the others are of `raw_layout`
CONCATENATION, RESIZE = "concatenation", "resize"


@dataclass(frozen=True)
class Rule:
    """One thing that the operators of a file must keep to.

    Attributes:
        says: the rule, as the end of "the target takes only ...".
        source: address of the document or the source file that says so.
        broken_by: returns why an operator of a graph breaks it; "" if it doesn't.
    """

    says: str
    source: str
    broken_by: Callable[[Graph, OperatorInfo], str]


@dataclass(frozen=True)
class Target:
    """A kind of processor.

    Attributes:
        name: in `--target` and in the names of the files.
        runs_on: what it is, for people.
        form: `NMS`, or `LEVELS`: the heads of each level as they are.
        precision: of the file, one of `PRECISIONS`; "" for those that the user asks for.
        input_dtype: "float32", "uint8" or "int8"; "" where it goes by the precision.
        upsampling: in the pyramid of float files: `CONCATENATION`, which XNNPACK takes, or
            `RESIZE`. An int8 file has what it was quantised with.
        has_metadata: put metadata and labels into the file.
        rules: checked on the written file.
    """

    name: str
    runs_on: str
    form: str = LEVELS
    precision: str = "int8"
    input_dtype: str = "int8"
    upsampling: str = CONCATENATION
    has_metadata: bool = True
    rules: tuple[Rule, ...] = ()

    def file_name(self, name: str, precision: str) -> str:
        """Return the name of a model's file."""
        middle = "" if self.form == NMS else f"_{self.name}"
        return f"{name}{middle}_{precision}.tflite"
