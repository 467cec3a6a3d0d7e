"""What the commands write is what docs/schemas say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_retina.benchmark.environment import read_environment
from edge_retina.cli.main import main
from edge_retina.config import Config
from edge_retina.design.choice import Choice
from edge_retina.design.grid import Network
from edge_retina.design.object_fit import ObjectFit
from edge_retina.design.search import Design
from edge_retina.files import dump_json
from tests.snippets.world import write_clip, write_data, write_export

ROOT = Path(__file__).resolve().parent.parent
fastjsonschema = pytest.importorskip(
    "fastjsonschema", reason="fastjsonschema of the dev extra is missing: make setup"
)


def validate(name: str, document: Any) -> None:
    text = (ROOT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    fastjsonschema.compile(json.loads(text))(document)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("schemas")
    write_data(root / "data", seed=0)
    write_export(root / "export", "demo")
    write_clip(root / "clip.mov")
    return root


@pytest.fixture
def written(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command in the world and return its JSON."""
    monkeypatch.chdir(world)

    def run(*arguments: object) -> Any:
        result = CliRunner().invoke(main, [*map(str, arguments), "--json", "-"])
        assert result.stdout, result.output
        return json.loads(result.stdout)

    return run


def test_manifest(world: Path) -> None:
    document = json.loads((world / "export" / "manifest.json").read_text())
    validate("manifest", document)
    # one written before there were these fields
    old = {key: value for key, value in document.items() if key not in ("verification", "layouts")}
    validate("manifest", old)
    with pytest.raises(fastjsonschema.JsonSchemaException, match="schema_version"):
        validate("manifest", {**document, "schema_version": 2})


def test_evaluate(written: Callable[..., Any]) -> None:
    validate("evaluate", written("evaluate", "export", "data"))
    document = written("evaluate", "export", "data", "--errors", "--against", "export")
    assert {"errors", "against"} <= set(document)
    validate("evaluate", document)


def test_benchmark(written: Callable[..., Any]) -> None:
    quick = ("--runs", 2, "--rounds", 2, "--min-seconds", 0, "--max-warmup", 0)
    document = written("benchmark", "export", "--data", "data", "--backend", "xnnpack", *quick)
    assert document["comparisons"]
    validate("benchmark", document)


def test_predict(written: Callable[..., Any], world: Path) -> None:
    (world / "broken.jpg").write_bytes(b"no picture")
    inputs = ("data/images/test_1.jpg", "clip.mov", "broken.jpg")
    document = written("predict", "export", *inputs, "--out", "drawn", "--force")
    assert len(document["predictions"]) == 2
    assert len(document["failures"]) == 1
    validate("predict", document)


def test_doctor(written: Callable[..., Any]) -> None:
    validate("doctor", written("doctor", "data"))
    validate("doctor", written("doctor", "data", "--image-size", "128x192", "--fix", "fixed"))


@pytest.mark.parametrize("fit", [None, ObjectFit(3, 1.0, 0.5, (1.0, 2.0, 3.0, 4.0, 5.0))])
def test_design(fit: ObjectFit | None) -> None:
    nothing: Any = None  # what is around the network: not in the document
    choice = Choice(Network(Config()), Counter(), 1000, nothing, fit, 1.5, 2.0 if fit else None)
    found = Design(
        device="local",
        environment=read_environment(),
        backend="xnnpack",
        threads=1,
        budget_ms=20.0,
        choices=(choice,),
        front=(choice,),
        chosen=choice,
        file=Path("design/x_int8.tflite"),
        ratio=1.1,
        looked_at=7,
    )
    validate("design", json.loads(dump_json(found.to_dict())))


@pytest.mark.parametrize(
    "line",
    [
        {"step": 1, "learning_rate": 0.1, "loss": 1.5, "cls_loss": 1, "box_loss": 0.5, "x": [1.0]},
        {"step": 9, "epoch": 1.0, "mAP": 0.5, "mAP50": 0.8, "per_class": {"a": None}},
        {"step": 9, "probe": {"train": {"cls_loss": 1.0}}},
    ],
)
def test_lines_of_metrics(line: dict[str, Any]) -> None:
    validate("metrics", line)


@pytest.mark.parametrize(
    "line", [{"loss": 1.0}, {"step": 1, "loss": 1.0}, {"step": 1, "mAP": "high", "mAP50": 0.8}]
)
def test_lines_that_are_none_of_metrics(line: dict[str, Any]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate("metrics", line)


@pytest.mark.parametrize("name", ["evaluate", "benchmark", "doctor"])
def test_a_field_more_or_less_is_noticed(name: str, written: Callable[..., Any]) -> None:
    arguments = {
        "evaluate": ("evaluate", "export", "data"),
        "doctor": ("doctor", "data"),
        "benchmark": (
            *("benchmark", "export/demo_int8.tflite", "--backend", "builtin", "--runs", 1),
            *("--rounds", 1, "--min-seconds", 0, "--max-warmup", 0),
        ),
    }
    document = written(*arguments[name])
    validate(name, document)
    with pytest.raises(fastjsonschema.JsonSchemaException, match="news"):
        validate(name, {**document, "news": 1})
    del document[sorted(document)[0]]
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(name, document)
