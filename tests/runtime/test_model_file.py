from __future__ import annotations

import dataclasses
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest
from edge_retina.runtime.model_file import check_model_file, read_labels

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file without labels inside or beside it."""
    return Path(shutil.copy(GOLDEN / "tiny_float32.tflite", tmp_path))


@pytest.fixture
def labelled(model: Path) -> Path:
    (model.parent / "labels.txt").write_text("disc\nsquare\n")
    return model


def manifest_listing(name: str) -> Manifest:
    return Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(32, 32, {name: "float32"}, 128.0, 128.0),
        outputs=(),
        labels=("of", "manifest"),
        anchors={},
        thresholds={},
        quantization={},
        metrics={},
        files={name: FileEntry(1, "0")},
        config={},
    )


@pytest.mark.parametrize("name", ["tiny_float32.tflite", "tiny_uint8.tflite"])
def test_whole_files_pass(name: str) -> None:
    check_model_file(GOLDEN / name)


def test_no_cut_gets_through(labelled: Path) -> None:
    data = labelled.read_bytes()
    for length in range(0, len(data), 50):
        labelled.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"cut off|not a TFLite file"):
            TFLiteDetector(labelled)


def test_a_cut_file_is_one_line(labelled: Path) -> None:
    labelled.write_bytes(labelled.read_bytes()[:1000])
    with pytest.raises(ModelError) as caught:
        TFLiteDetector(labelled)
    assert str(caught.value) == (
        f"{labelled}: cut off or damaged: 4 bytes at 3456, but it has only 1000; copy it "
        "again, or export it again"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.tflite"
    with pytest.raises(ModelError) as caught:
        check_model_file(path)
    assert str(caught.value) == f"{path}: no such file; expected a .tflite model"


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"can't be read \(Is a directory\)"):
        check_model_file(tmp_path)


def test_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.tflite"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelError, match="not a TFLite file") as caught:
        check_model_file(path)
    assert "expected b'TFL3'" in str(caught.value)


def test_labels_inside_come_first(tmp_path: Path) -> None:
    path = Path(shutil.copy(GOLDEN / "tiny_uint8.tflite", tmp_path))
    (tmp_path / "labels.txt").write_text("beside\n")
    assert read_labels(path) == ("disc", "square")


def test_a_broken_archive_is_not_passed_over(tmp_path: Path) -> None:
    path = Path(shutil.copy(GOLDEN / "tiny_uint8.tflite", tmp_path))
    (tmp_path / "labels.txt").write_text("beside\n")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x00\x00"))  # the directory's entry
    with pytest.raises(ModelError, match="the archive with the labels at its end is broken"):
        read_labels(path)
    path.write_bytes(data.replace(b"disc\nsquare\n", b"disc\nsquarf\n"))  # the checksum is off
    with pytest.raises(ModelError, match="Bad CRC-32"):
        read_labels(path)


def test_labels_of_a_manifest_that_lists_the_file(model: Path) -> None:
    (model.parent / "labels.txt").write_text("beside\n")
    manifest_listing(model.name).save(model.parent)
    assert read_labels(model) == ("of", "manifest")


def test_a_manifest_of_other_files_is_not_believed(model: Path) -> None:
    (model.parent / "labels.txt").write_text("beside\nfile\n")
    manifest_listing("other.tflite").save(model.parent)
    assert read_labels(model) == ("beside", "file")


def test_no_labels_anywhere(model: Path) -> None:
    with zipfile.ZipFile(model, "a") as archive:  # metadata without labels
        archive.writestr("notes.txt", "nothing of use")
    with pytest.raises(ModelError) as caught:
        read_labels(model)
    assert str(caught.value) == (
        f"{model}: no class names: no labels.txt inside the file, and neither a manifest.json that "
        f"lists it nor a labels.txt in {model.parent}; put a labels.txt there, one name a line"
    )


def test_labels_that_are_not_text(model: Path) -> None:
    (model.parent / "labels.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8 text"):
        read_labels(model)


def list_in_manifest(model: Path) -> None:
    files = {model.name: FileEntry.of(model)}
    dataclasses.replace(manifest_listing(model.name), files=files).save(model.parent)


def flip_a_weight(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage, expected",
    [
        (flip_a_weight, "its SHA-256 is another one"),
        (lambda content: content + b"0", r"it has \d+ bytes, there are \d+ in the manifest"),
    ],
)
def test_a_file_that_is_not_the_manifest_s_is_refused(
    model: Path, damage: Callable[[bytes], bytes], expected: str
) -> None:
    list_in_manifest(model)
    TFLiteDetector(model)
    model.write_bytes(damage(model.read_bytes()))
    with pytest.raises(ModelError, match=rf"isn't the file that manifest.json .* \({expected}\)"):
        TFLiteDetector(model)


def test_labels_that_unpack_to_gigabytes_are_not_unpacked(model: Path) -> None:
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"x" * 50_000_000)
    assert model.stat().st_size < 1_000_000
    with pytest.raises(ModelError, match="inside: longer than 1 MB; expected one class name"):
        read_labels(model)


@pytest.mark.parametrize("field", [20, 24])  # of the central directory: the two sizes
def test_an_archive_with_an_absurd_size_does_no_harm(model: Path, field: int) -> None:
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("labels.txt", "disc\nsquare\n")
    content = bytearray(model.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + field : entry + field + 4] = b"\xff" * 4
    model.write_bytes(content)
    try:
        found = " ".join(read_labels(model) or ())
    except ModelError as error:  # Python 3.13 sees that the sizes can't be
        found = str(error)
    assert found == "disc square" or found.endswith("; copy or export the model again")
