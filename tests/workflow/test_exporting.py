"""What an export refuses before it converts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_retina.config import Config
from edge_retina.errors import ConfigError, ExportError, RunError
from edge_retina.files import write_json, write_text
from edge_retina.int8.recipe import load_recipe
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.exporting import ExportRequest, export_files
from edge_retina.workflow.prepare import open_run, prepare_run

pytestmark = pytest.mark.tf


@pytest.fixture
def run(config: Config, tmp_path: Path) -> RunDirectory:
    """A RUN that was quantised for scores of 0.1 and more, as far as its files tell."""
    run = RunDirectory(tmp_path / "run")
    prepare_run(config, run)
    write_text(run.float_weights, "weights")
    record = {"method": "ptq", "calibration": {}, "steps": 0, "ranges": {}, "score_threshold": 0.1}
    write_json(run.quantized_dir("ptq") / "quantization.json", record)
    return run


def test_a_threshold_below_that_of_the_quantisation_is_refused(
    run: RunDirectory, tmp_path: Path
) -> None:
    """Class-logit ranges end there, so every lower score would be raised to it and pass."""
    context = open_run(run, overrides=["export.score_threshold=0.05"], decode=False)
    with pytest.raises(ConfigError) as caught:
        export_files(context, ExportRequest(tmp_path / "out", method="ptq"))
    assert str(caught.value) == (
        "export.score_threshold 0.05 is below the 0.1 that the int8 model was quantised for; "
        "quantise again with --set export.score_threshold=0.05, or raise it"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "threshold, precisions", [(0.1, ("int8",)), (0.3, ("int8",)), (0.05, ("float32",))]
)
def test_other_thresholds_are_exported(
    run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threshold: float,
    precisions: tuple[str, ...],
) -> None:
    exported = []
    monkeypatch.setattr(
        "edge_retina.export.artefact.export_run",
        lambda _run, out, **options: exported.append((out, options["precisions"])),
    )
    monkeypatch.setattr("edge_retina.model.predictor.load_float_model", lambda _run: None)
    context = open_run(run, overrides=[f"export.score_threshold={threshold}"], decode=False)
    export_files(context, ExportRequest(tmp_path / "out", precisions=precisions, method="ptq"))
    assert exported == [(tmp_path / "out", precisions)]


def test_a_target_that_a_recipe_cannot_serve_is_refused_before_any_work(
    run: RunDirectory, tmp_path: Path
) -> None:
    """There are no weights to load: whatever did would fail with another error."""
    path = run.quantized_dir("ptq") / "quantization.json"
    recipe = load_recipe("int16x8").to_dict()
    write_json(
        path, {"method": "ptq", "calibration": {}, "steps": 0, "ranges": {}, "recipe": recipe}
    )
    context = open_run(run, overrides=[], decode=False)
    request = ExportRequest(tmp_path / "out", method="ptq", targets=("gpu", "micro"))
    with pytest.raises(ConfigError) as caught:
        export_files(context, request)
    assert str(caught.value) == (
        "target micro takes int8 from end to end, but the recipe of the int8 model has "
        'activations = "int16"; quantise again with the default recipe, or leave the target out'
    )
    assert not (tmp_path / "out").exists()


def test_an_int8_target_of_a_run_without_an_int8_model(run: RunDirectory, tmp_path: Path) -> None:
    context = open_run(run, overrides=[], decode=False)
    request = ExportRequest(tmp_path / "out", method="qat", targets=("npu",))
    with pytest.raises(RunError, match="quantize --method qat"):
        export_files(context, request)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("targets, named", [(("cpu", "dsp"), "'dsp'"), ((), "none")])
def test_an_unknown_target(tmp_path: Path, targets: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ExportRequest(tmp_path / "out", targets=targets)
    assert str(caught.value) == (
        f"target {named} is not one of cpu, gpu, npu, edgetpu, ethos-u, micro"
    )


@pytest.mark.parametrize("targets", [("cpu",), ("cpu", "gpu"), ("gpu",)])
@pytest.mark.parametrize("nms", [True, False])
def test_decoders_need_a_file_without_nms(
    tmp_path: Path, targets: tuple[str, ...], nms: bool
) -> None:
    if targets != ("cpu",) or not nms:
        assert ExportRequest(tmp_path / "out", targets=targets, nms=nms, decoders=("cpp",))
        return
    with pytest.raises(ExportError) as caught:
        ExportRequest(tmp_path / "out", targets=targets, nms=nms, decoders=("cpp",))
    assert str(caught.value) == (
        "decoding and NMS are inside the files for cpu, so there is nothing to write a decoder "
        "for; add --no-nms or another --target, or leave out --decoder"
    )


def test_a_file_in_the_place_of_a_decoder_is_kept(run: RunDirectory, tmp_path: Path) -> None:
    context = open_run(run, overrides=[], decode=False)
    name = context.config.name
    request = ExportRequest(tmp_path / "out", precisions=("float32",), nms=False, decoders=("cpp",))
    foreign = tmp_path / "out" / f"{name}_raw_float32_decoder.hpp"
    write_text(foreign, "mine")
    with pytest.raises(ExportError) as caught:
        export_files(context, request)
    assert str(caught.value) == (
        f"{foreign} already exists and is no decoder of {name}_raw_float32.tflite; move it away, "
        "or choose another --out"
    )
    assert [path.name for path in foreign.parent.iterdir()] == [foreign.name]
    assert foreign.read_text() == "mine"


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^decoder language 'kotlyn': did you mean 'kotlin'\?$"):
        ExportRequest(tmp_path / "out", nms=False, decoders=("cpp", "kotlyn"))
