"""An export directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_retina.api.detector import Detector
from edge_retina.errors import ModelError, choices_hint
from edge_retina.runtime.manifest import Manifest


@dataclass(frozen=True)
class Export:
    """The files that `Run.export` wrote.

    Attributes:
        directory: where they are.
        manifest: what they are; `manifest.to_dict()` is manifest.json.
    """

    directory: Path
    manifest: Manifest

    @property
    def files(self) -> dict[str, Path]:
        """The .tflite files by precision: "float32", "int8" ..."""
        names = [Path(name) for name in self.manifest.files if name.endswith(".tflite")]
        return {name.stem.rpartition("_")[2]: self.directory / name for name in names}

    def file(self, precision: str = "int8") -> Path:
        """Return the .tflite file of a precision.

        Raises:
            ModelError: it wasn't exported.
        """
        if precision not in self.files:
            hint = choices_hint(precision, self.files)
            raise ModelError(f"{self.directory}: no {precision} file; {hint}")
        return self.files[precision]

    def detector(self, precision: str = "int8", *, threads: int = 1) -> Detector:
        """Open the .tflite file of a precision.

        Raises:
            ModelError: it wasn't exported, or it can't be used.
        """
        return Detector(self.file(precision), threads=threads)
