from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from edge_retina.doctor.data.report.page import render_page
from edge_retina.doctor.data.report.plots import histogram, shape_scatter
from edge_retina.doctor.help_page import help_link
from tests.doctor.made import BOX, VocSet, diagnose


class Links(HTMLParser):
    """Gathers what a page refers to, and refuses unbalanced tags."""

    VOID = frozenset({"meta", "img", "br", "line", "rect", "path", "circle", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: list[str] = []
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [name for name, _ in attrs]
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.opened.pop() == tag


def read(page: str) -> Links:
    links = Links()
    links.feed(page)
    assert links.opened == []
    return links


def without_help(links: list[str], links_from: Path) -> list[str]:
    """Return links but those to the page of findings, which is there in a checkout alone."""
    page = help_link(links_from)
    return [link for link in links if not page or not link.startswith(f"{page}#")]


def test_page_holds_everything_and_links_to_pictures(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(6)
    voc.add("zero & one.jpg", BOX, ("cat", 20, 30, 20, 70))
    page = render_page(diagnose(voc.root), links_from=tmp_path / "reports")
    found = without_help(read(page).found, tmp_path / "reports")
    assert "../data/JPEGImages/zero%20%26%20one.jpg" in found
    outside = [link for link in found if not link.startswith(("data:image/jpeg", "../data/"))]
    assert outside == []
    assert "http" not in re.sub(r"data:image[^\"]*", "", page)
    for heading in (
        "Findings",
        "Advice",
        "Distributions",
        "Anchors",
        "Sample pictures with their boxes",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<img") == 7 + 7  # samples and worst crops: all of so few


def test_names_never_become_markup(tmp_path: Path) -> None:
    """Class names, file names and what a broken file says come from strangers."""
    voc = VocSet(tmp_path / "data <b>")
    evil = "<script>alert(1)</script>"
    label, file = evil.replace("<", "&lt;"), '" onerror="alert(1).jpg'
    voc.add(file, (label, 20, 30, 60, 70), (label, 20, 30, 20, 70))
    voc.add_sound(2)
    diagnosis = diagnose(voc.root)
    assert diagnosis.survey.labels == (evil, "cat")
    page = render_page(diagnosis, links_from=tmp_path)
    assert "<script" not in page
    assert page.count("<b>") == len(diagnosis.findings), "each has its severity in bold"
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3, "but they are shown"
    assert "onerror" not in read(page).attributes


def test_page_of_nothing_but_a_broken_picture(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add("f.jpg", BOX, data=b"")
    page = render_page(diagnose(voc.root), links_from=tmp_path)
    assert without_help(read(page).found, tmp_path) == ["data/JPEGImages/f.jpg"]
    assert "<h2>Anchors</h2>" not in page


def test_size_does_not_grow_with_the_data() -> None:
    shapes = np.exp(np.random.default_rng(0).uniform(1, 6, (200_000, 2)))
    scatter = shape_scatter("Shapes", shapes, {"fitted": np.array([[10.0, 20.0]])})
    assert len(scatter.svg) < 60_000
    assert scatter.svg.count("M") <= 2000


def test_histogram_counts_values_beyond_the_edges_at_the_ends() -> None:
    chart = histogram("Sides", np.array([-1, 1, 5, 9, 10, 99]), (0, 4, 8, 10), x_label="px")
    assert re.findall(r"<title>(.*?)</title>", chart.svg) == [
        "0 to 4: 2",
        "4 to 8: 1",
        "8 to 10: 3",
    ]


def test_histogram_of_nothing() -> None:
    assert "0 to 1: 0" in histogram("Nothing", np.zeros(0), (0, 1), x_label="px").svg
