"""What a decoder is made of, and what it is not made of: one line says why."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.decoders.plan import load_plan
from edge_retina.decoders.threshold import least_passing
from edge_retina.errors import ModelError
from edge_retina.runtime.manifest import FileEntry, load_manifest
from edge_retina.runtime.raw_layout import CODES, SCORES, RawLayout, RawTensor
from tests.decoders.synthetic import Kind, layout_of, plan_of
from tests.runtime.foreign_model import ForeignModel
from tests.runtime.raw_model import NAME, write_raw

FLAT = RawLayout(
    "cpu",
    "flat",
    RawTensor("image", 0, (1, 2, 8, 3), "float32"),
    (
        RawTensor("boxes", 0, (1, 12, 4), "float32", content=CODES),
        RawTensor("scores", 1, (1, 12, 4), "float32", content=SCORES),
    ),
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_the_least_logit_is_that_of_the_threshold(threshold: float) -> None:
    least = least_passing(RawTensor("x", 0, (1,), "float32", content="logits"), threshold)
    assert least == np.float32(math.log(threshold / (1 - threshold)))
    assert sigmoid(least) == pytest.approx(threshold, rel=1e-7)


def test_the_least_code_by_hand() -> None:
    """Logits in steps of .5 around code 10: logit(.3) is -.847, so -.5 passes and -1 doesn't."""
    tensor = RawTensor("x", 0, (1,), "int8", 0.5, 10, "logits")
    assert least_passing(tensor, 0.3) == 9
    assert least_passing(replace(tensor, dtype="uint8"), 0.3) == 9
    scores = RawTensor("x", 0, (1,), "int8", 1 / 256, -128, "scores")
    assert least_passing(scores, 0.5) == 0  # (0 + 128) / 256
    # The files with NMS inside take 0 as a millionth, which a code of 0 doesn't reach
    assert least_passing(scores, 0.0) == -127
    assert least_passing(scores, 1.0) == 128  # the largest code is 255/256


def test_levels_of_a_flat_file_begin_where_the_one_before_ends() -> None:
    plan = plan_of(layout_of(Kind("flat", "int8", "logits")))
    # 33 x 64 px: 5 x 8, 3 x 4 and 2 x 2 cells of two anchors, three classes
    assert [(x.rows, x.columns, x.stride) for x in plan.levels] == [
        (5, 8, 8),
        (3, 4, 16),
        (2, 2, 32),
    ]
    assert [x.first_anchor for x in plan.levels] == [0, 80, 104]
    assert [x.classes_start for x in plan.levels] == [0, 240, 312]
    assert [x.codes_start for x in plan.levels] == [0, 320, 416]
    assert {x.codes.index for x in plan.levels} == {0}


def test_levels_are_found_by_content_not_by_place() -> None:
    plan = plan_of(layout_of(Kind("levels", "int8", "logits")))
    assert [(x.classes.index, x.codes.index) for x in plan.levels] == [(4, 5), (2, 3), (0, 1)]
    assert {x.classes_start for x in plan.levels} == {0}


@pytest.mark.parametrize(
    "dtype, scale, zero_point, told",
    [
        ("uint8", 1 / 128, 128, "the pixels themselves"),
        ("int8", 1 / 128, 0, "pixel - 128"),
        ("float32", 1.0, 0, "(pixel - 128) / 128"),
        ("int8", 1 / 64, 0, "round((pixel - 128) / 2) + 0"),
    ],
)
def test_how_the_input_is_made(dtype: str, scale: float, zero_point: int, told: str) -> None:
    image = RawTensor("image", 0, (1, 33, 64, 3), dtype, scale, zero_point)
    layout = replace(layout_of(Kind("flat", "int8", "logits")), input=image)
    assert plan_of(layout).image_values == told


def raw_file(directory: Path, **changes: Any) -> Path:
    return write_raw(directory, **{"layouts": {NAME: FLAT}, **changes})


def decoder(path: Path, *options: object) -> Result:
    command = ["decoder", path, "--language", "python,cpp,kotlin,swift,js", *options]
    return CliRunner().invoke(main, list(map(str, command)))


def refusal(path: Path, *options: object) -> str:
    before = sorted(path.parent.rglob("*"))
    result = decoder(path, *options)
    assert result.exit_code == 1
    assert sorted(path.parent.rglob("*")) == before
    (line,) = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def test_all_languages_beside_the_model(tmp_path: Path) -> None:
    result = decoder(raw_file(tmp_path), "--json", tmp_path / "made.json")
    assert result.exit_code == 0, result.output
    names = (
        "tiny_raw_float32_decoder.py",
        "tiny_raw_float32_decoder.hpp",
        "TinyRawFloat32Decoder.kt",
        "TinyRawFloat32Decoder.swift",
        "tiny_raw_float32_decoder.mjs",
    )
    paths = [tmp_path / name for name in names]
    assert result.stdout.splitlines() == [str(path) for path in paths]
    record = json.loads((tmp_path / "made.json").read_text())
    sha256 = load_manifest(tmp_path).files[NAME].sha256
    assert record["model"]["sha256"] == sha256
    assert list(record["decoders"].values()) == [str(path) for path in paths]
    for path in paths:
        assert sha256 in path.read_text()
    again = decoder(tmp_path / NAME)  # its own files are replaced
    assert again.exit_code == 0, again.output


def test_decoders_beside_the_model_are_listed_in_its_manifest(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    where = tmp_path / "manifest.json"
    tree = json.loads(where.read_text()) | {"of_a_later_version": [1]}
    where.write_text(json.dumps(tree))
    assert decoder(path).exit_code == 0
    sources = {path for path in tmp_path.iterdir() if "ecoder" in path.name}
    assert len(sources) == 5
    for source in sources:
        content = source.read_bytes()
        tree["files"][source.name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert json.loads(where.read_text()) == tree, "all else is as it was"


def test_a_decoder_that_was_changed_by_hand_stays(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    assert decoder(path).exit_code == 0
    changed = tmp_path / "tiny_raw_float32_decoder.py"
    text = changed.read_text().replace("MAX_DETECTIONS = ", "MAX_DETECTIONS = 1 or ")
    changed.write_text(text)
    assert refusal(path) == (
        f"{changed}: was changed after it was written (its SHA-256 isn't that in manifest.json); "
        "move it away, or choose another --out"
    )
    assert changed.read_text() == text
    changed.unlink()
    assert decoder(path).exit_code == 0
    assert text != changed.read_text()


def test_into_another_directory(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "a web app"}')
    for _ in range(2):
        assert decoder(path, "--out", tmp_path / "app").exit_code == 0
    assert len(list((tmp_path / "app").iterdir())) == 5 + 1
    assert (tmp_path / "app" / "manifest.json").read_text() == '{"name": "a web app"}'
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_foreign_file_stays(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    foreign = tmp_path / "tiny_raw_float32_decoder.mjs"
    foreign.write_text("// mine\n")
    assert refusal(path) == (
        f"{foreign} already exists and is no decoder of {NAME}; move it away, or choose another "
        "--out"
    )
    assert foreign.read_text() == "// mine\n"


def test_the_decoder_of_another_model_stays(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    assert decoder(path).exit_code == 0
    other = tmp_path / "tiny_raw-float32.tflite"  # its decoders would have the same names
    path.rename(other)
    manifest = load_manifest(tmp_path)
    files = {other.name: FileEntry.of(other)}
    replace(manifest, files=files, layouts={other.name: FLAT}).save(tmp_path)
    assert "already exists and is no decoder of tiny_raw-float32.tflite" in refusal(other)


def test_a_file_with_nms_inside_needs_none(tmp_path: Path) -> None:
    model = ForeignModel()
    boxes, scores = model.tensor("boxes", (4, 4)), model.tensor("scores", (4,))
    model.operator("NON_MAX_SUPPRESSION_V4", [boxes, scores], [scores], version=1)
    path = tmp_path / "cells_int8.tflite"
    path.write_bytes(model.content([boxes], [scores]))
    assert refusal(path) == (
        f"{path}: decoding and NMS are inside the file, so it needs no decoder; export a file "
        "without them with --no-nms or --target"
    )


def test_a_manifest_of_an_older_version(tmp_path: Path) -> None:
    path = raw_file(tmp_path, layouts={})
    assert refusal(path) == (
        f"{tmp_path / 'manifest.json'}: has no layout of the outputs of {NAME}; the edge-retina "
        "that exported it (0.1.0) wrote none: export the model again"
    )


def test_no_manifest(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    (tmp_path / "manifest.json").unlink()
    assert refusal(path) == (
        f"{path}: a decoder is made from {tmp_path / 'manifest.json'}, which is missing; keep the "
        "file in its export directory"
    )


def test_another_file_of_the_same_name(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert "isn't the file that manifest.json beside it describes" in refusal(path)


def test_an_unknown_language(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["decoder", str(tmp_path / "x.tflite"), "--language", "cpp,kotlyn"]
    )
    assert result.exit_code == 1
    assert "'kotlyn' is no language; did you mean 'kotlin'?" in result.stderr


BOXES, SCORED = FLAT.outputs


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"labels": ("a", "b")}, "output scores is [1,12,4], but anchors and labels need [1,12,2]"),
        ({"outputs": (BOXES,)}, "no outputs of logits or scores"),
        ({"outputs": (BOXES, SCORED, SCORED)}, "output 2 has index 1"),
        ({"outputs": (BOXES, replace(SCORED, dtype="int16"))}, "output scores is int16, not"),
        ({"outputs": (BOXES, replace(SCORED, content="odd"))}, "output scores holds 'odd'"),
        ({"outputs": (BOXES, replace(SCORED, dtype="int8", scale=0.0))}, "has scale 0.0"),
        ({"threshold": 1.5}, "score_threshold is 1.5, not in 0..1"),
    ],
)
def test_a_layout_that_cant_be(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = raw_file(tmp_path)
    manifest = load_manifest(tmp_path)
    outputs = changes.get("outputs", FLAT.outputs)
    thresholds = manifest.thresholds | {
        "score_threshold": changes.get("threshold", manifest.thresholds["score_threshold"])
    }
    replace(
        manifest,
        labels=changes.get("labels", manifest.labels),
        layouts={NAME: replace(FLAT, outputs=outputs)},
        thresholds=thresholds,
    ).save(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_plan(path)
    assert str(caught.value).startswith(
        f"{tmp_path / 'manifest.json'}: no decoder can be made for {NAME} ("
    )
    assert said in str(caught.value)
    assert str(caught.value).endswith("); export the model again")
