"""What a whole RUN leaves behind is what docs/schemas say."""

from __future__ import annotations

import json

import pytest

from edge_retina.run_directory import RunDirectory
from tests.test_json_documents import validate

pytestmark = [pytest.mark.slow, pytest.mark.tf]


def test_documents(whole_run: RunDirectory) -> None:
    validate("manifest", json.loads((whole_run.export_dir / "manifest.json").read_text()))
    validate("benchmark", json.loads(whole_run.results_file("benchmark").read_text()))
    lines = whole_run.metrics_file.read_text().splitlines()
    assert lines
    for line in lines:
        validate("metrics", json.loads(line))
