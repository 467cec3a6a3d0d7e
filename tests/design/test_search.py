"""The search on a device whose times are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_retina.config import load_config, read_toml
from edge_retina.datasets import Example
from edge_retina.design.config_text import config_text
from edge_retina.design.picture import front_picture
from edge_retina.design.search import Design, Request, search
from edge_retina.errors import BenchmarkError

pytestmark = pytest.mark.tf


def quietly(text: str) -> None:
    del text


def find(request: Request, board: Any) -> Design:
    return search(request, board, quietly)


def test_the_largest_network_within_the_budget_is_found_and_measured(
    no_conversion: None,
    whole_ms: Callable[..., float],
    make_request: Callable[..., Request],
    make_board: Any,
) -> None:
    board = make_board()
    design = find(make_request(12), board)
    times = {item.title: 1 + whole_ms(item.network) for item in design.choices}
    for item in design.choices:
        assert item.predicted_ms == pytest.approx(times[item.title])
    best = max((ms, title) for title, ms in times.items() if ms <= 12)[1]
    assert design.chosen.title == best
    assert design.chosen.measured_ms == pytest.approx(times[best])
    assert design.file.read_text() == str(whole_ms(design.chosen.network))
    assert design.ratio == pytest.approx(1)
    assert [item.title for item in design.front] == [item.title for item in design.choices]
    # Three rounds each; a prediction that holds needs no second finalist
    assert board.files.count(design.file.name) == 3
    assert len(design.measured) == 1


def test_a_device_that_is_slower_as_a_whole_gets_a_smaller_network(
    no_conversion: None,
    whole_ms: Callable[..., float],
    make_request: Callable[..., Request],
    make_board: Any,
) -> None:
    design = find(make_request(12), make_board(factor=1.5))
    assert design.chosen.measured_ms is not None
    assert design.chosen.measured_ms <= 12
    assert 1.2 < design.ratio < 1.5
    fits = [c for c in design.choices if 1 + 1.5 * whole_ms(c.network) <= 12]
    assert design.chosen.capacity_macs == max(c.capacity_macs for c in fits)
    assert len(design.measured) == 2  # the first one took too long, and told how much


def test_layers_are_timed_once_and_kept(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    first, second = make_board(), make_board()
    request = make_request(12)
    design = find(request, first)
    assert len(first.timed) == len(set(first.timed)) > 50
    again = find(request, second)
    assert second.timed == []
    assert set(second.files) == {design.file.name}
    assert again.to_dict()["networks"] == design.to_dict()["networks"]


def test_networks_far_beyond_the_budget_are_not_timed(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    board = make_board()
    design = find(make_request(6), board)
    assert len(design.choices) < design.looked_at
    sizes = {item.network.config.model.image_hw[0] for item in design.choices}
    assert 640 not in sizes
    assert max(op.height for op in board.timed) < 640


@pytest.mark.parametrize("factor", [1.0, 40.0])
def test_a_budget_that_none_meets_names_the_fastest(
    factor: float, no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    budget = 1.5 if factor == 1 else 12
    with pytest.raises(BenchmarkError) as error:
        find(make_request(budget), make_board(factor=factor))
    text = str(error.value)
    assert text.startswith(f"--budget-ms {budget:g}: no network of the grid is that fast on board")
    assert "the fastest, w0.35 128px P3-5 c64x3 a1, takes " in text
    assert "\n" not in text


def test_a_device_without_python_is_refused(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    with pytest.raises(BenchmarkError, match="single layers are timed by a Python process"):
        find(make_request(12), make_board(python=None))


def test_a_backend_that_the_device_lacks_is_refused(
    make_request: Callable[..., Request], make_board: Any
) -> None:
    with pytest.raises(BenchmarkError, match="--backend builtin: board has no such backend; all"):
        find(make_request(12, backend="builtin"), make_board())


def objects(side: float) -> tuple[Example, ...]:
    """Ten pictures of 1,024 px with one square object each."""
    box = np.array([[400, 400, 400 + side, 400 + side]], np.float32)
    return tuple(
        Example(f"{n}", Path(f"{n}"), (1024, 1024), box, np.zeros(1, np.int32), np.zeros(1, bool))
        for n in range(10)
    )


def test_small_objects_make_the_input_larger(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    # Of 24 px in 1,024; one cell of 8 px from 341 px of input on, so from 352
    design = find(make_request(30, examples=objects(24)), make_board())
    model = design.chosen.network.config.model
    assert model.image_hw[0] >= 352
    assert model.min_level == 3
    assert design.chosen.fit is not None
    assert design.chosen.fit.learnable == 1
    without = find(make_request(30), make_board()).chosen
    assert without.capacity_macs >= design.chosen.capacity_macs


def test_the_config_is_one_that_training_takes(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any, tmp_path: Path
) -> None:
    design = find(make_request(12, examples=objects(200)), make_board())
    path = tmp_path / "config.toml"
    path.write_text(config_text(design, data_path="data"))
    config = load_config(path)
    assert config.model == design.chosen.network.config.model
    assert config.anchors == design.chosen.network.config.anchors
    assert config.data.path == str(tmp_path / "data")
    assert f"# 'edge-retina design': {design.chosen.title} takes" in path.read_text()
    assert read_toml(path)["model"]["max_level"] == config.model.max_level


def test_the_picture_shows_every_network(
    no_conversion: None, make_request: Callable[..., Request], make_board: Any
) -> None:
    design = find(make_request(12), make_board(factor=1.2))
    root = ElementTree.fromstring(front_picture(design))
    name = "{http://www.w3.org/2000/svg}"
    circles = root.findall(f"{name}circle")
    kinds = [circle.get("class") for circle in circles]
    assert kinds.count("front") + kinds.count("other") == len(design.choices)
    assert kinds.count("measured") == len(design.measured)
    assert kinds.count("chosen") == 1
    hints = [circle.findtext(f"{name}title") or "" for circle in circles]
    rings = {hint for kind, hint in zip(kinds, hints, strict=True) if kind == "measured"}
    for item in design.measured:
        assert any(ring.startswith(f"{item.title}: {item.measured_ms:.2f} ms") for ring in rings)
    (budget,) = [x for x in root.findall(f"{name}line") if x.get("class") == "budget"]
    # Times grow to the right: what is left of the line is within the budget
    for circle, hint in zip(circles, hints, strict=True):
        ms = float(hint.split(": ")[1].split(" ms")[0])
        assert (float(circle.get("cx", 0)) <= float(budget.get("x1", 0)) + 0.5) == (ms <= 12.005)
