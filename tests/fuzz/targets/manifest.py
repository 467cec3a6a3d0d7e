"""manifest.json of an export directory."""

from __future__ import annotations

from pathlib import Path

from edge_retina.errors import EdgeRetinaError
from edge_retina.runtime.manifest import load_manifest
from edge_retina.runtime.model_file import check_manifest_hash, read_labels
from edge_retina.runtime.raw_outputs import load_raw_decoder
from edge_retina.workflow.opening import tflite_files
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it, and do what `predict` does with it."""
    (directory / "manifest.json").write_bytes(content)
    model = directory / "tiny_float32.tflite"
    model.write_bytes(b"\x18\0\0\0TFL3")
    manifest = load_manifest(directory)
    manifest.save(directory / "again")
    refusals = []
    for use in (
        lambda: tflite_files(directory),
        lambda: check_manifest_hash(model),
        lambda: read_labels(model),
        lambda: load_raw_decoder(model, num_anchors=24),
    ):
        try:
            use()
        except EdgeRetinaError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


TARGET = Target("manifest", check)
