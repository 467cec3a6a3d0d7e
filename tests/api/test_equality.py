"""The functions give what the commands write as JSON; there is one implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import edge_retina as er
from edge_retina.cli.main import main
from edge_retina.datasets.generated import generate_dataset
from tests.cli.test_evaluate import DISC, SQUARE, write_data, write_export


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set of discs and squares, and an export directory of the tiny detector."""
    root = tmp_path_factory.mktemp("equality")
    both = [(1, DISC), (2, SQUARE)]
    data = write_data(root / "data", [both, both, [(1, DISC), (1, SQUARE)]])
    return data, write_export(root / "export", ("disc", "square"))


def written(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json", "-"])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_evaluate(places: tuple[Path, Path]) -> None:
    data, export = places
    found = er.evaluate(export, data, errors=True, against=export, seed=3)
    options = ["--errors", "--against", export, "--seed", 3]
    document = written("evaluate", export, data, *options)
    assert as_json(found.to_dict()) == document
    assert (found.mAP, found.mAP50) == (document["mAP"], document["mAP50"])
    assert found.per_class == document["per_class"]
    assert len(found.detections) == 3
    assert "AP square" in str(found)
    assert found.page().startswith("<!")


def test_evaluate_on_a_data_set_in_memory(places: tuple[Path, Path]) -> None:
    data, export = places
    dataset = er.load_dataset(data)
    assert er.evaluate(export, dataset).to_dict() == er.evaluate(export, data).to_dict()
    with pytest.raises(er.DatasetError, match=r"no split 'tset'; did you mean 'test'\?"):
        er.evaluate(export, dataset, split="tset")
    with pytest.raises(er.ModelError, match="evaluate with errors=True"):
        er.evaluate(export, data).page()


def test_doctor_of_data(tmp_path: Path) -> None:
    generate_dataset(
        tmp_path / "data", images={"train": 8, "val": 3, "test": 3}, image_hw=(96, 128)
    )
    found = er.doctor(tmp_path / "data", image_size=128, seed=2)
    options = ["--image-size", 128, "--seed", 2]
    assert as_json(found.to_dict()) == written("doctor", tmp_path / "data", *options)
    assert "14 pictures" in str(found)
    assert "[model]" in found.config


def test_benchmark(places: tuple[Path, Path]) -> None:
    data, export = places
    report = er.benchmark(
        export, data=data, runs=2, rounds=1, min_seconds=0, max_warmup=0, backends=["builtin"]
    )
    quick = ["--runs", 2, "--rounds", 1, "--min-seconds", 0, "--max-warmup", 0]
    document = written("benchmark", export, "--data", data, "--backend", "builtin", *quick)
    mine = as_json(report.to_dict())
    (one,), (other,) = mine["results"], document["results"]
    same = ("model", "sha256", "backend", "threads", "mAP", "mAP50", "mAP_low", "mAP_high")
    assert {key: one[key] for key in same} == {key: other[key] for key in same}
    assert mine["data"] == document["data"]
    assert set(one) == set(other)


def test_benchmark_refuses_plans_that_measure_nothing(places: tuple[Path, Path]) -> None:
    with pytest.raises(er.BenchmarkError, match="rounds must be 1 or more, got 0"):
        er.benchmark(places[1], rounds=0)
    with pytest.raises(er.BenchmarkError, match="backend nope: local has no such backend"):
        er.benchmark(places[1], backends=["nope"])


def test_the_doctor_s_page_and_labels_are_for_those_who_ask(places: tuple[Path, Path]) -> None:
    data, _ = places
    assert er.doctor(data).page == ""


def test_what_neither_a_data_set_nor_a_run_is(tmp_path: Path) -> None:
    with pytest.raises(er.DatasetError, match="directory is empty"):
        er.doctor(tmp_path)
    with pytest.raises(er.RunError, match="not a run directory"):
        er.Run(tmp_path)
