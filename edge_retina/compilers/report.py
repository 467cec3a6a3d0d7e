"""What a compiler, or a microcontroller's interpreter, says of a file."""

from __future__ import annotations

from dataclasses import dataclass, field

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class CompilerReport:
    """One compiler's answer.

    Attributes:
        compiler: its name in the table.
        package: the package that it is in.
        version: of the package.
        configuration: what it compiled for; "" if there is nothing to choose.
        settings: by name: what the figures hold for, e.g. clock and memories.
        operators: how many operators of the file it takes.
        operators_total: of the file.
        macs_share: of the multiplications that it takes, 0..1.
        left: types of the operators that stay on the CPU, the first one first.
        estimated_ms: its own estimate of the time for one picture; None if it makes none.
        memory_bytes: by kind of memory.
        output_steps: largest difference between its outputs and those of LiteRT's reference
            kernels on noise, in steps of the outputs' quantisation; None if it runs nothing or the
            outputs are not integers.
        refused: why it can't take the file; then the figures above say nothing.
        schema_version: of this document.
    """

    compiler: str
    package: str
    version: str
    configuration: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    operators: int = 0
    operators_total: int = 0
    macs_share: float = 0.0
    left: tuple[str, ...] = ()
    estimated_ms: float | None = None
    memory_bytes: dict[str, int] = field(default_factory=dict)
    output_steps: int | None = None
    refused: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def title(self) -> str:
        """The compiler with its configuration, as `--compiler` takes it."""
        return f"{self.compiler}:{self.configuration}" if self.configuration else self.compiler
