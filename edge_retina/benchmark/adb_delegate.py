"""What a delegate ran on an Android device, from what `benchmark_model` told about it."""

from __future__ import annotations

from collections import Counter

from edge_retina.benchmark.backends import ALL_BACKENDS
from edge_retina.benchmark.benchmark_model import BenchmarkOutput
from edge_retina.benchmark.candidate import Candidate
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.ops import DelegateInfo, LeftOperators, network_operators

_REPLACING_NAMES = {"xnnpack": "XNNPack", "gpu": "Gpu", "nnapi": "Nnapi"}  # TfLite...Delegate


def read_delegate(
    candidate: Candidate, timed: BenchmarkOutput, profile: BenchmarkOutput
) -> DelegateInfo | None:
    """Say what the delegate ran; None if the backend has none.

    Args:
        candidate: what was measured.
        timed: what the program told of the run that was timed.
        profile: the same of a run that was watched, which names the operators outside.
    """
    name = ALL_BACKENDS[candidate.backend].delegate
    if not name:
        return None
    graph = read_graph(candidate.path)
    total = len(graph.operators)
    if timed.wholly:
        return DelegateInfo(name, 1, total, total)
    alone = [item for item in profile.operators if not item.is_delegate]
    network = network_operators([(op.name, op.inputs, op.outputs) for op in graph.operators])
    counts, inside = Counter[str](), Counter[str]()
    for item in alone:
        counts[item.name] += 1
        # Without its place an operator may be anywhere
        inside[item.name] += item.index is None or item.index in network
    told = [
        number
        for full_name, number in timed.replaced.items()
        if _REPLACING_NAMES[name] in full_name
    ]
    partitions = timed.partitions or 0
    if not partitions:
        taken = 0
    elif told:
        taken = told[0]
    else:
        taken = total - len(alone) if alone else 0
    left = tuple(
        LeftOperators(kind, count, inside[kind], _reason(kind, timed, name))
        for kind, count in counts.most_common()
    )
    return DelegateInfo(name, partitions, taken, total, left)


def _reason(kind: str, output: BenchmarkOutput, delegate: str) -> str:
    return output.refused.get(kind, f"{delegate} does not tell why")
