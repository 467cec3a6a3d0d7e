"""The program with a small network and a short benchmark: `python -m tests.faults.small_run ARGS`.

Faults are about files and processes. A backbone of five layers goes through all the stages that
MobileNetV2 goes through, in a fraction of the time. The benchmark measures each file once. It
leaves out the Keras model, whose worker would build the network of the config by itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from edge_retina.benchmark.backends import XNNPACK
from edge_retina.benchmark.candidate import tflite_candidates
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.cli.main import main
from tests.training.tiny_backbone import use_tiny_backbone

PLAN = TimingPlan(runs=3, rounds=1, warmup=1, min_seconds=0, max_warmup_s=0)


def short_benchmark(*args: Any, **options: Any) -> BenchmarkReport:
    """Measure by `PLAN`, whatever plan the stage asks for."""
    return run_benchmark(*args, **{**options, "plan": PLAN})


if __name__ == "__main__":
    import edge_retina.workflow.measuring as measuring

    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        patch.setattr(measuring, "run_benchmark", short_benchmark)
        patch.setattr(measuring, "run_candidates", lambda *_args, **_options: [])
        patch.setattr(
            measuring,
            "tflite_candidates",
            lambda path, **_: tflite_candidates(path, threads=(1,), backends=(XNNPACK,)),
        )
        main()
