"""What is said and what is settled about a file of another framework, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.runtime.normalization import Normalization
from edge_retina.schema import to_plain

STRETCH = "stretch"
LETTERBOX = "letterbox"
RESIZES = (STRETCH, LETTERBOX)


@dataclass(frozen=True)
class ForeignChoices:
    """What the user says of a file; "" or None leaves it to the file.

    Attributes:
        format: key of `formats.table.FORMATS`.
        labels: a file of class names, or key of `label_files.BUILT_IN`.
        normalise: see `normalization.parse_normalization`.
        resize: one of `RESIZES`.
        anchors: see `anchor_file`.
    """

    format: str = ""
    labels: str = ""
    normalise: str = ""
    resize: str = ""
    anchors: Path | None = None

    def __bool__(self) -> bool:
        """Whether the user says anything."""
        return self != ForeignChoices()


@dataclass(frozen=True)
class ForeignSettings:
    """All that is needed to run a file, as plain data.

    Attributes:
        format: key of `formats.table.FORMATS`.
        order: places of the outputs, see `Match`.
        labels: class names by index.
        mean, std: of the input, see `Normalization`.
        resize: one of `RESIZES`.
        anchors: fields of an `AnchorSet`, or None.
    """

    format: str
    order: tuple[int, ...]
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: str
    anchors: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> ForeignSettings:
        """Return the settings that `to_dict` wrote, even after a journey as JSON."""
        lists = {key: tuple(item) for key, item in tree.items() if isinstance(item, list)}
        return cls(**{**tree, **lists})

    @property
    def normalization(self) -> Normalization:
        """What the network takes for a pixel."""
        return Normalization(self.mean, self.std)

    @property
    def summary(self) -> str:
        """In a few words, for people."""
        return f"{self.format}, {self.resize}, pixels as {self.normalization}"
