"""Whether a delegate ran what it had to run, read back from the interpreter that was timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_retina.benchmark.backends import ALL_BACKENDS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.task import WorkerResult
from edge_retina.errors import BenchmarkError, choices_hint
from edge_retina.runtime.ops import DelegateInfo, LeftOperators

NETWORK = "network"  # after the colon of `--require-delegate xnnpack:network`
DELEGATES = tuple(entry.delegate for entry in ALL_BACKENDS.values() if entry.delegate)


@dataclass(frozen=True)
class RequiredDelegate:
    """A delegate that has to run the graph.

    Attributes:
        name: of the delegate, one of `DELEGATES`.
        network_only: whether the decoding of the outputs may stay outside.
    """

    name: str
    network_only: bool = False

    @classmethod
    def parse(cls, text: str) -> RequiredDelegate:
        """Return what `--require-delegate` says, e.g. "xnnpack" or "xnnpack:network".

        Raises:
            BenchmarkError: there is no such delegate, or something else after the colon.
        """
        name, colon, part = text.partition(":")
        if name not in DELEGATES:
            hint = choices_hint(name, DELEGATES)
            raise BenchmarkError(f"--require-delegate {text}: no delegate '{name}'; {hint}")
        if colon and part != NETWORK:
            raise BenchmarkError(
                f"--require-delegate {text}: '{part}' is no part of a graph; write {name} for the "
                f"whole graph or {name}:{NETWORK} for the network without its decoding"
            )
        return cls(name, network_only=bool(colon))

    def check_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Refuse a benchmark in which nothing would use the delegate.

        Raises:
            BenchmarkError: see above.
        """
        if not any(self._concerns(candidate) for candidate in candidates):
            used = sorted({ALL_BACKENDS[item.backend].delegate or "none" for item in candidates})
            raise BenchmarkError(
                f"--require-delegate {self.name}: nothing that is measured uses it (delegates "
                f"used: {', '.join(used)}); name a .tflite file and a device that has {self.name}"
            )

    def check(self, candidate: Candidate, result: WorkerResult) -> None:
        """Refuse a measurement whose delegate did not run everything that it had to.

        Raises:
            BenchmarkError: names the operators that were left and why.
        """
        if not self._concerns(candidate):
            return
        found = None if result.delegate is None else DelegateInfo.from_dict(result.delegate)
        if found is None:
            raise BenchmarkError(
                f"{candidate.title}: {self.name} was required, and whether it ran anything is not "
                "told there"
            )
        inside = sum(item.network for item in found.left)
        left = found.nodes_total - found.nodes_delegated
        if self.network_only:  # operators that aren't named may be anywhere
            left = inside + left - sum(item.count for item in found.left)
        if found.partitions and not left:
            return
        hint = ""
        if not self.network_only and found.partitions and not inside and found.left:
            hint = (
                "; the network itself is inside: to allow decoding outside write "
                f"--require-delegate {self.name}:{NETWORK}"
            )
        text = fallback_text(found, network=self.network_only)
        raise BenchmarkError(f"{candidate.title}: {self.name} was required, but {text}{hint}")

    def _concerns(self, candidate: Candidate) -> bool:
        return ALL_BACKENDS[candidate.backend].delegate == self.name


def fallback_text(found: DelegateInfo, *, network: bool) -> str:
    """Say what runs outside a delegate and why.

    Args:
        found: what the delegate took.
        network: leave out what only prepares the input or decodes the output.
    """
    left = [item for item in found.left if item.network or not network or not found.partitions]
    number = sum(item.count for item in left) or found.nodes_total - found.nodes_delegated
    names = _by_reason(left) or "which ones is not told"
    if not found.partitions:
        return f"{found.name} took none of the {found.nodes_total} operators: {names}"
    return f"{number} of {found.nodes_total} operators run outside {found.name}: {names}"


def _by_reason(left: Sequence[LeftOperators]) -> str:
    kinds: dict[str, list[str]] = {}
    for item in left:
        times = "" if item.count == 1 else f" x{item.count}"
        kinds.setdefault(item.reason, []).append(f"{item.name}{times}")
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in kinds.items())
