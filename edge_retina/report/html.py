"""The report: one HTML file that needs nothing beside it, not even a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import edge_retina
from edge_retina.files import write_text
from edge_retina.report import sections
from edge_retina.report.data import ReportData
from edge_retina.report.layer_errors import layer_errors

_STYLE = Path(__file__).with_name("page.css")


def write_report(path: Path | str, data: ReportData) -> None:
    """Write the report, whole or not at all."""
    write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the report as an HTML document with its style, charts and pictures inside."""
    labels = ", ".join(data.labels)
    body = (
        sections.headline(data),
        sections.notes(data.notes),
        sections.accuracy(data.accuracy),
        sections.latency(data.latency),
        sections.curves(data.losses, data.accuracy_curve),
        sections.examples(data.examples),
        sections.anchors(data.anchors),
        layer_errors(data.layer_errors),
        sections.config(data.config),
        sections.environment(data.environment),
    )
    return page_frame(data.title, body, subtitle=labels)


def page_frame(
    title: str, body: Sequence[str], *, subtitle: str, window_title: str = "", style: str = ""
) -> str:
    """Return a whole HTML document around sections.

    Args:
        title: the headline, as plain text.
        body: sections as HTML; empty ones are left out.
        subtitle: a line below the title, as plain text.
        window_title: of the browser's tab, as plain text; by default the title.
        style: CSS that follows the common one.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(window_title or title)}</title>\n"
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}{style}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p></header>\n'
        "<main>\n"
        + "\n".join(section for section in body if section)
        + f"\n</main>\n<footer>edge-retina {edge_retina.__version__}</footer>\n</body>\n</html>\n"
    )
