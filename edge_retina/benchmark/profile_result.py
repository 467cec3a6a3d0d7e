"""What a profile of a .tflite file says: work, times and rates by operator and by part."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from edge_retina.benchmark.environment import Environment

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Work:
    """What there is to do, and how long it took.

    Attributes:
        macs: multiply-accumulate operations.
        weight_bytes: of constants that are read.
        activation_bytes: that are read and written, each once.
        ms: None for what could not be timed alone.
    """

    macs: int
    weight_bytes: int
    activation_bytes: int
    ms: float | None

    @property
    def gmacs_per_s(self) -> float | None:
        """Achieved, in 10^9 MACs a second; None without any."""
        return self.macs / self.ms / 1e6 if self.ms and self.macs else None

    @property
    def gbytes_per_s(self) -> float | None:
        """Achieved, in 10^9 bytes a second."""
        return (self.weight_bytes + self.activation_bytes) / self.ms / 1e6 if self.ms else None


@dataclass(frozen=True)
class OperatorProfile:
    """One operator.

    Attributes:
        place: in the file's order of execution.
        name: of its type.
        part: one of `runtime.parts.PARTS`.
        output: name of its first output tensor.
        shape: of that.
        dtype: what it computes in: "int8", "float32" or another.
        delegated: whether XNNPACK runs it in the whole file.
        work: see `Work`.
        roof_ms: the least that the ceilings allow for it.
        limit: the ceiling that this comes from, "compute" or "memory".
        why_untimed: why it has no time; "" when it has.
    """

    place: int
    name: str
    part: str
    output: str
    shape: tuple[int, ...]
    dtype: str
    delegated: bool
    work: Work
    roof_ms: float
    limit: str
    why_untimed: str = ""


@dataclass(frozen=True)
class PartProfile:
    """Several operators together, run as one model.

    Attributes:
        name: of the part.
        operators: how many.
        delegated: how many of them XNNPACK runs in the whole file.
        work: see `Work`.
        operators_ms: the sum of the operators' own times.
        roof_ms: the sum of theirs.
    """

    name: str
    operators: int
    delegated: int
    work: Work
    operators_ms: float
    roof_ms: float


@dataclass(frozen=True)
class Ceilings:
    """What the machine did at best, in the same rounds.

    Attributes:
        gmacs_per_s: of a large 1x1 convolution, by "float32" and "int8".
        gbytes_per_s: read and written by a copy, on one thread.
        copy_bytes: how much was copied: as much as the file's largest activation has, and at least
            256 KiB.
        call_ms: what a call costs in which nothing is computed, by "xnnpack" and "builtin"; it is
            subtracted from the times of pieces, not from the whole's.
    """

    gmacs_per_s: dict[str, float]
    gbytes_per_s: float
    copy_bytes: int
    call_ms: dict[str, float]


@dataclass(frozen=True)
class Profile:
    """Where the time of a file goes.

    Attributes:
        path: of the file.
        backend: "xnnpack" or "builtin".
        threads: of the interpreter.
        whole: the file as it is.
        delegated: what the delegate runs, as a model of its own; None without a delegate.
        outside: all other operators, likewise; None when there are none.
        partitions: of the delegate.
        parts: in the order of a picture's way.
        operators: in the order of execution, without those that compute constants: they run once.
        ceilings: see `Ceilings`.
        rounds: how often everything had its turn.
        environment: the machine.
    """

    path: str
    backend: str
    threads: int
    whole: Work
    delegated: Work | None
    outside: Work | None
    partitions: int
    parts: tuple[PartProfile, ...]
    operators: tuple[OperatorProfile, ...]
    ceilings: Ceilings
    rounds: int
    environment: Environment
    schema_version: int = SCHEMA_VERSION

    @property
    def operators_ms(self) -> float:
        """The sum of the operators' times."""
        return sum(op.work.ms or 0.0 for op in self.operators)

    @property
    def whole_ms(self) -> float:
        """Of one inference."""
        return self.whole.ms or math.nan

    @property
    def explained(self) -> float:
        """The sum of the operators' times as a share of the whole's."""
        return self.operators_ms / self.whole_ms

    @property
    def outside_share(self) -> float | None:
        """The share of the whole that the delegate's piece does not take; None without one."""
        if self.delegated is None or self.delegated.ms is None:
            return None
        return 1 - self.delegated.ms / self.whole_ms

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, version first, with what is derived from the times."""
        tree = {"schema_version": self.schema_version, **dataclasses.asdict(self)}
        for work, entry in (
            (self.whole, tree["whole"]),
            (self.delegated, tree["delegated"]),
            (self.outside, tree["outside"]),
            *(
                (part.work, made["work"])
                for part, made in zip(self.parts, tree["parts"], strict=True)
            ),
            *(
                (op.work, made["work"])
                for op, made in zip(self.operators, tree["operators"], strict=True)
            ),
        ):
            if work is not None:
                entry["gmacs_per_s"], entry["gbytes_per_s"] = work.gmacs_per_s, work.gbytes_per_s
        tree["operators_ms"], tree["explained"] = self.operators_ms, self.explained
        tree["outside_share"] = self.outside_share
        return tree
