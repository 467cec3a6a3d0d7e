from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.manifest import (
    FileEntry,
    InputSpec,
    Manifest,
    OutputSpec,
    load_manifest,
)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(256, 320, {"a_int8.tflite": "uint8"}, 128.0, 128.0),
        outputs=(OutputSpec("boxes", 0, (1, 100, 4)), OutputSpec("count", 3, (1,))),
        labels=("Zelle", "épine"),
        anchors={"shapes": [[[8.0, 8.0]]]},
        thresholds={"score_threshold": 0.05},
        quantization={"method": "qat"},
        metrics={"a_int8.tflite": {"mAP": 0.5}},
        files={"a_int8.tflite": FileEntry(1234, "ab12")},
        config={"name": "a"},
        verification={"a_int8.tflite": {"pictures": 16, "agreement": 0.98}},
    )


def test_what_is_saved_is_loaded(manifest: Manifest, tmp_path: Path) -> None:
    path = manifest.save(tmp_path)
    assert path == tmp_path / "manifest.json"
    assert load_manifest(tmp_path) == manifest
    assert load_manifest(path) == manifest


def test_a_manifest_without_a_verification_is_read(manifest: Manifest, tmp_path: Path) -> None:
    document = manifest.to_dict()
    del document["verification"]
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert load_manifest(tmp_path) == dataclasses.replace(manifest, verification={})


def test_the_document_has_the_names_of_the_contract(manifest: Manifest) -> None:
    document = manifest.to_dict()
    assert list(document)[:2] == ["schema_version", "edge_retina_version"]
    assert set(document) == {
        "layouts",
        "schema_version",
        "edge_retina_version",
        "input",
        "outputs",
        "labels",
        "anchors",
        "thresholds",
        "quantization",
        "metrics",
        "files",
        "config",
        "verification",
    }
    normalization = {"mean", "std", "resize", "color"}
    assert set(document["input"]) == {"height", "width", "dtype"} | normalization
    assert document["input"]["resize"] == "stretch"
    assert document["input"]["color"] == "RGB"
    assert document["outputs"][0] == {"name": "boxes", "index": 0, "shape": [1, 100, 4]}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schema_version": 2}, "schema_version is 2, expected 1"),
        ({"labels": "cat"}, "labels must be a list, got 'cat'"),
        ({"labels": ["cat", 3]}, "labels must be a string, got 3"),
        ({"input": {"height": 2}}, "'input.width' is missing"),
        ({"outputs": [{"name": "boxes", "index": 0}]}, "'outputs #1.shape' is missing"),
        ({"outputs": ["boxes"]}, "'outputs #1' must be a section, got 'boxes'"),
        ({"files": {"a": {"bytes": "9", "sha256": ""}}}, "files.a.bytes must be an integer"),
        ({"files": {"a": {"bytes": True, "sha256": ""}}}, "must be an integer, got True"),
        ({"metrics": {"a": 0.5}}, "metrics.a must be an object, got 0.5"),
    ],
)
def test_a_wrong_field_is_named(
    manifest: Manifest, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = manifest.save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_mean_written_as_an_integer_is_a_number(manifest: Manifest, tmp_path: Path) -> None:
    path = manifest.save(tmp_path)
    path.write_text(path.read_text().replace("128.0", "128"))
    assert load_manifest(path) == manifest


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null"])
def test_not_a_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=r"not valid JSON|'schema_version' is missing"):
        load_manifest(tmp_path)


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such file; expected an export directory's manifest"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("name", ["../a.tflite", "/etc/passwd", "..", "", "b/a.tflite", "a\0b"])
def test_files_are_beside_the_manifest(manifest: Manifest, tmp_path: Path, name: str) -> None:
    document = manifest.to_dict()
    document["files"] = {name: {"bytes": 1, "sha256": "a"}}
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ModelError) as error:
        load_manifest(tmp_path)
    assert f"files has the name {name!r}, expected that of a file beside" in str(error.value)


@pytest.mark.parametrize("side", [0, -1, 8193, 400_000])
def test_a_manifest_can_not_ask_for_any_size(manifest: Manifest, tmp_path: Path, side: int) -> None:
    document = manifest.to_dict()
    document["input"]["height"] = side
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=rf"input\.height is {side}, expected 1\.\.8192"):
        load_manifest(tmp_path)
