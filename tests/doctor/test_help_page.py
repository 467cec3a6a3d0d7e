"""Findings and causes are explained where reports and JSON say so."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
from collections import Counter
from html import escape
from pathlib import Path

import pytest
from click.testing import CliRunner

import edge_retina.doctor
from edge_retina.cli.main import main
from edge_retina.doctor import help_page
from edge_retina.doctor.findings import Kind
from edge_retina.doctor.run.causes import CAUSES
from edge_retina.doctor.run.suspicion import Mend, Suspicion
from edge_retina.report.pages import render_template
from edge_retina.report.tables import Figure
from tests.doctor.made import BOX, VocSet

ROOT = Path(__file__).resolve().parents[2]


def every_kind() -> dict[str, Kind]:
    """Return all kinds of findings by code, wherever in the doctor they are defined."""
    package = edge_retina.doctor
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    found = {
        id(value): value
        for module in modules
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, Kind)
    }
    counts = Counter(kind.code for kind in found.values())
    assert set(counts.values()) == {1}, "a code names one kind"
    return {kind.code: kind for kind in found.values()}


def codes() -> set[str]:
    kinds, causes = set(every_kind()), {cause.code for cause in CAUSES}
    assert not kinds & causes
    return kinds | causes


def test_each_has_an_example_and_each_example_is_of_one() -> None:
    assert set(help_page.examples()) == codes()
    assert len(codes()) > 80
    for code, text in help_page.examples().items():
        assert text.count("`") % 2 == 0, code
        assert text.endswith((".", "`")), code


@pytest.mark.checkout
def test_each_help_leads_to_a_heading_of_a_page_in_docs() -> None:
    page = ROOT / "docs" / "findings.md"
    headings = re.findall(r"^### (.+)$", page.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(codes())
    for code in codes():
        assert help_page.help_of(code) == f"docs/findings.md#{code}"
        # So that it is its own anchor, on GitHub and on the site
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    # Relative, like the links to images, so that a page tells nothing of the machine
    assert help_page.help_link(ROOT / "runs" / "mine") == "../../docs/findings.md"
    assert help_page.help_link(ROOT.parent / "a b") == f"../{ROOT.name}/docs/findings.md"
    assert help_page.help_link(None) == ""
    assert page.is_file()


def test_an_installed_package_has_no_docs_to_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(help_page, "_CHECKOUT", tmp_path)
    assert help_page.help_link(tmp_path) == ""
    page = page_of_run("zero-area-box", help_page.help_link(tmp_path))
    assert "See docs/findings.md#zero-area-box." in page
    assert "<a href" not in page


def page_of_run(code: str, help_link: str) -> str:
    """Return the page of a RUN with one suspicion."""
    suspicion = Suspicion(code, "Title", "fit", ("evidence",), 0.1, Mend("mend it"))
    return render_template(
        "run.html.j2",
        "edge_retina.doctor",
        title="run: diagnosis",
        window_title="run: doctor",
        subtitle="",
        headline=[Figure("suspected", "1 cause", "")],
        suspicions=[(suspicion, "10", "")],
        help_link=help_link,
        **dict.fromkeys(("proofs", "measured", "charts", "worst", "differing", "unjudged")),
    )


@pytest.mark.checkout
def test_a_page_and_the_json_of_data(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(2)
    voc.add("bad.jpg", BOX, ("cat", 5, 5, 5, 9))
    page = tmp_path / "page.html"
    result = CliRunner().invoke(main, ["doctor", str(voc.root), "--html", str(page), "--json", "-"])
    assert result.exit_code == 0, result.output
    helps = {item["code"]: item["help"] for item in json.loads(result.stdout)["findings"]}
    assert helps["zero-area-box"] == "docs/findings.md#zero-area-box"
    assert set(helps.values()) == {f"docs/findings.md#{code}" for code in helps}
    html = page.read_text()
    address = os.path.relpath(ROOT / "docs" / "findings.md", tmp_path)
    for code in helps:
        assert html.count(f'<a href="{address}#{code}">docs/findings.md#{code}</a>') == 1
    said = help_page.examples()["zero-area-box"].replace("`", "")
    assert f"Example: <code>{said.split(':')[0]}</code>:" in html


@pytest.mark.checkout
def test_a_page_of_a_run() -> None:
    page = page_of_run("learning-rate-high", help_page.help_link(ROOT / "runs"))
    assert escape(help_page.examples()["learning-rate-high"]) in page
    assert '<a href="../docs/findings.md#learning-rate-high">' in page


def test_the_json_of_a_suspicion_names_the_heading() -> None:
    suspicion = Suspicion("anchors", "Title", "fit", (), 0.1, Mend("mend it"))
    assert suspicion.to_dict()["help"] == "docs/findings.md#anchors"
