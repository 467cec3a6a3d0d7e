"""Which files an export writes: one for each target, and for CPUs one for each precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from edge_retina.export.precision import INPUT_DTYPES
from edge_retina.export.targets.table import TARGETS
from edge_retina.export.targets.target import CONCATENATION, NMS, Target
from edge_retina.runtime.raw_layout import FLAT

ModelKey = tuple[str, str]  # precision and upsampling


@dataclass(frozen=True)
class PlannedFile:
    """A file to write.

    Attributes:
        name: of the file.
        target: what runs it.
        form: of its graph: `NMS`, `FLAT` or `LEVELS`.
        precision: of `PRECISIONS`.
        input_dtype: "float32", "uint8" or "int8".
    """

    name: str
    target: Target
    form: str
    precision: str
    input_dtype: str

    @property
    def model(self) -> ModelKey:
        """Precision and upsampling of the model that it is made of."""
        # The int8 model has the upsampling that it was quantised with
        is_int8 = self.precision == "int8"
        return self.precision, CONCATENATION if is_int8 else self.target.upsampling

    def for_dynamic_range(self) -> PlannedFile:
        """Return the same file for a dynamic-range recipe: its int8 file takes float32."""
        if self.precision != "int8":
            return self
        return dataclasses.replace(self, input_dtype="float32")


def plan_files(
    name: str, *, targets: Sequence[str], precisions: Sequence[str], nms: bool
) -> list[PlannedFile]:
    """Return the files to write, in order.

    Args:
        name: of the model.
        targets: of the table.
        precisions: of the files for CPUs.
        nms: False makes the files for CPUs without NMS.
    """
    planned = []
    for target in map(TARGETS.__getitem__, targets):
        form = FLAT if target.form == NMS and not nms else target.form
        stem = f"{name}_raw" if form == FLAT else name
        planned += [
            PlannedFile(
                target.file_name(stem, precision),
                target,
                form,
                precision,
                target.input_dtype or INPUT_DTYPES[precision],
            )
            for precision in ([target.precision] if target.precision else precisions)
        ]
    return planned
