"""How much of any graph a target's rules allow: an estimate, for its compiler was not asked."""

from __future__ import annotations

from dataclasses import dataclass

from edge_retina.export.targets.check import broken_rules
from edge_retina.export.targets.table import TARGETS
from edge_retina.export.targets.target import Target
from edge_retina.runtime.graph import Graph


@dataclass(frozen=True)
class TargetEstimate:
    """What a target is likely to run.

    Attributes:
        target: its name.
        operators: how many keep all of its rules.
        operators_total: of the graph.
        macs_share: of the multiplications in these, 0..1.
        first_broken: the first operator that breaks a rule, and why; "" if none does.
    """

    target: str
    operators: int
    operators_total: int
    macs_share: float
    first_broken: str


def estimate_targets(graph: Graph) -> tuple[TargetEstimate, ...]:
    """Return an estimate for each target that has rules, of a graph that may be of any kind."""
    return tuple(_estimate(graph, target) for target in TARGETS.values() if target.rules)


def _estimate(graph: Graph, target: Target) -> TargetEstimate:
    broken = broken_rules(graph, target)
    outside = {id(operator) for operator, _, _ in broken}
    inside = [operator for operator in graph.operators if id(operator) not in outside]
    macs = sum(operator.macs for operator in graph.operators)
    first = next((f"{operator.name}: {reason}" for operator, _, reason in broken), "")
    return TargetEstimate(
        target=target.name,
        operators=len(inside),
        operators_total=len(graph.operators),
        macs_share=sum(operator.macs for operator in inside) / macs if macs else 0.0,
        first_broken=first,
    )
