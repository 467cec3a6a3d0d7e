"""Which file of an export directory is used when the directory is named."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_retina.runtime.manifest import FileEntry
from edge_retina.workflow.opening import open_predictor
from tests.runtime.levels_model import NAME, levels_manifest, write_levels

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny_uint8.tflite"


def test_of_the_files_for_several_targets_the_one_for_cpus(tmp_path: Path) -> None:
    """The manifest lists files by name, and "tiny_int8" comes after "tiny_edgetpu_int8"."""
    others = write_levels(tmp_path)
    whole = Path(shutil.copy(GOLDEN, tmp_path / "tiny_whole_int8.tflite"))
    files = {path.name: FileEntry.of(path) for path in (others, whole)}
    assert list(files) == sorted(files)
    levels_manifest(files=files).save(tmp_path)
    assert open_predictor(tmp_path).file == whole


def test_the_int8_file_where_all_are_for_other_targets(tmp_path: Path) -> None:
    write_levels(tmp_path)
    assert open_predictor(tmp_path).file == tmp_path / NAME
