"""A device that is made up: it takes times that follow from MACs, and the files need no network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_retina.benchmark.backends import XNNPACK
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.detection_answer import DetectionResult
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.operator import Operator
from edge_retina.benchmark.task import DetectionTask, WorkerResult, WorkerTask
from edge_retina.config import Config
from edge_retina.design import random_file
from edge_retina.design.grid import Network
from edge_retina.design.layers import network_operators
from edge_retina.design.search import Request

BOARD = Environment(
    "Cortex-A76", 4, None, "Linux", "aarch64", "3.11", {"ai-edge-litert": "2.3.0"}, load_average=0.0
)
_CALL_MS = 0.5  # of the interpreter, in every operator that is timed alone
_FRAME_MS = 1.0
# Of the layers a small grid has; all other sizes are fixed
FIXED = ("model.backbone_width", "model.fpn_channels", "model.head_depth")


def operator_ms(operator: Operator) -> float:
    return 0.001 + operator.macs / 20e6


@dataclass
class Board:
    """Runs with XNNPACK; whole networks take `factor` times the sum of their layers.

    Attributes:
        factor: see above.
        timed: operators in the order in which they were timed.
        files: names of the files that were measured whole, each round.
    """

    factor: float = 1.0
    python: str | None = "3.11"
    timed: list[Operator] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    name = "board"
    backends = (XNNPACK,)

    def label(self, backend: str) -> str:
        return backend

    def environment(self) -> Environment:
        return dataclasses.replace(BOARD, python=self.python)

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        if "repeats" in task.options:
            entries = json.loads(Path(task.model).read_text())
            operators = [Operator(**entry) for entry in entries]
            assert task.runs == task.options["repeats"] * len(operators)
            self.timed += operators[1:]
            each = [_CALL_MS, *(_CALL_MS + operator_ms(op) for op in operators[1:])]
            return _result([ms for ms in each for _ in range(task.options["repeats"])])
        self.files.append(Path(task.model).name)
        return _result([_FRAME_MS + float(Path(task.model).read_text()) * self.factor] * task.runs)

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        raise NotImplementedError

    def close(self) -> None:
        pass


def _result(inference_ms: Sequence[float]) -> WorkerResult:
    nothing = (0.0,) * len(inference_ms)
    return WorkerResult(1.0, nothing, tuple(inference_ms), nothing, None, "int8", None)


def _whole_ms(network: Network, num_classes: int = 2) -> float:
    sizes = {"per_cell": network.per_cell, "num_classes": num_classes}
    operators = network_operators(network.config.model, **sizes)
    return sum(operator_ms(operator) * count for operator, count in operators.items())


@pytest.fixture
def make_board() -> type[Board]:
    """Return the class of the device."""
    return Board


@pytest.fixture
def whole_ms() -> Callable[..., float]:
    """Return what tells how long the layers of a network for two classes take on a `Board`."""
    return _whole_ms


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files hold their time on a `Board` as text; nothing is converted."""
    monkeypatch.setattr(random_file, "frame_file", lambda network, labels: b"0")
    monkeypatch.setattr(
        random_file,
        "network_file",
        lambda network, labels: str(_whole_ms(network, len(labels))).encode(),
    )


@pytest.fixture
def make_request(tmp_path: Path) -> Callable[..., Request]:
    """Return a request for one width and one tower; input sizes vary."""

    def make(budget_ms: float, **changes: object) -> Request:
        request = Request(
            base=Config(),
            fixed=FIXED,
            labels=("cat", "dog"),
            examples=(),
            budget_ms=budget_ms,
            backend="xnnpack",
            threads=1,
            finalists=4,
            out=tmp_path / "out",
            table_file=tmp_path / "table.json",
        )
        return dataclasses.replace(request, **changes)

    return make
