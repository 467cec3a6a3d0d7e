"""Decoders find what the numpy reference finds: the same boxes, classes and order.

Python, C++ and JavaScript are run here. Kotlin and Swift are too where their compilers are: name
them in EDGE_RETINA_KOTLINC and EDGE_RETINA_SWIFTC, or put them on the PATH.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.decoders.plan import DecoderPlan
from edge_retina.decoders.table import LANGUAGES
from edge_retina.runtime.detections import Detections
from tests.decoders.programs import TOOLCHAINS, command_of, run_decoder
from tests.decoders.synthetic import (
    GRID,
    Kind,
    expected,
    hostile_cases,
    layout_of,
    plan_of,
)

TOLERANCE = 1e-6  # of exp() in float32
AT_THE_CORNERS = replace(GRID, offsets=(0.5, 0.25, 0.0))
KINDS = [
    (Kind("flat", "float32", "scores"), {}, GRID),
    (Kind("levels", "float32", "logits"), {"class_agnostic": True, "nms_iou": 0.45}, GRID),
    (Kind("levels", "int8", "logits"), {}, GRID),
    (Kind("flat", "uint8", "scores"), {"max_detections": 7, "candidates": 50}, GRID),
    (Kind("levels", "uint8", "logits"), {"score_threshold": 0.0}, AT_THE_CORNERS),
    (Kind("flat", "int8", "scores"), {"class_agnostic": True, "candidates": 1}, GRID),
    (Kind("levels", "float32", "scores"), {"score_threshold": 0.9}, AT_THE_CORNERS),
    (Kind("flat", "float32", "logits"), {"score_threshold": 0.0, "nms_iou": 1.0}, GRID),
]
# Each compiler takes a second or more for a program, so it gets the kinds that differ most.
COMPILED = {"cpp": KINDS[:4], "kotlin": KINDS[:4], "swift": KINDS[:4]}


def needs(language: str) -> None:
    if command_of(language) is None:
        toolchain = TOOLCHAINS[language]
        pytest.skip(
            f"no {toolchain.tool} on this machine to run the {LANGUAGES[language].title} decoder "
            f"with; install it, or name another in {toolchain.variable}"
        )


def run(
    language: str, plan: DecoderPlan, pictures: Sequence[Sequence[np.ndarray]], directory: Path
) -> list[Detections]:
    try:
        return run_decoder(language, plan, pictures, directory)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd}\n{error.stdout}\n{error.stderr}")


def assert_same(found: Detections, wanted: Detections, name: str) -> None:
    assert found.classes.tolist() == wanted.classes.tolist(), name
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=TOLERANCE, err_msg=name)
    np.testing.assert_allclose(
        found.boxes_norm, wanted.boxes_norm, rtol=0, atol=TOLERANCE, err_msg=name
    )


def cases() -> list[object]:
    return [
        pytest.param(language, *case, id=f"{language}-{case[0]}", marks=_marks(language))
        for language in TOOLCHAINS
        for case in COMPILED.get(language, KINDS)
    ]


def _marks(language: str) -> list[pytest.MarkDecorator]:
    # Their compilers take up to half a minute for a program
    return [pytest.mark.slow] if language in ("kotlin", "swift") else []


@pytest.mark.parametrize("language, kind, thresholds, grid", cases())
def test_hostile_outputs(
    language: str, kind: Kind, thresholds: dict[str, float], grid: AnchorGrid, tmp_path: Path
) -> None:
    needs(language)
    layout = layout_of(kind, grid)
    plan = plan_of(layout, grid, **thresholds)
    pictures = hostile_cases(layout, seed=3)
    wanted = {name: expected(layout, outputs, plan, grid) for name, outputs in pictures.items()}
    counts = {name: len(found) for name, found in wanted.items()}
    # The cases are what they are called
    assert min(counts["random 0"], counts["ties"], counts["all"]) > 0
    assert plan.score_threshold == 0 or counts["empty"] == 0
    found = run(language, plan, list(pictures.values()), tmp_path)
    for one, (name, other) in zip(found, wanted.items(), strict=True):
        assert_same(one, other, name)


def test_every_language_is_run() -> None:
    assert set(TOOLCHAINS) == set(LANGUAGES)
