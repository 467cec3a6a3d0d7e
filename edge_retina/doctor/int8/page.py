"""A diagnosis of int8 as one HTML file that needs nothing beside it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from edge_retina.doctor.data.report.page import PAGE_STYLE, findings_section
from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, recipe_rule
from edge_retina.report.html import page_frame
from edge_retina.report.layer_errors import layer_errors
from edge_retina.report.tables import Column, Figure, figures, table


def render_quantization_page(diagnosis: QuantizationDiagnosis, *, name: str) -> str:
    """Return the diagnosis of the run `name` as an HTML document."""
    body = (
        f'<section class="plain">{figures(_headline(diagnosis))}</section>',
        findings_section(diagnosis.findings, root=Path(name), links_from=Path()),
        layer_errors(diagnosis.layers),
        _ablation(diagnosis),
        _recipe(diagnosis),
    )
    subtitle = f"int8 by {diagnosis.method}, looked at on {diagnosis.pictures} real pictures."
    title = f"{name}: where int8 loses"
    return page_frame(
        title, body, subtitle=subtitle, window_title=f"{name}: int8", style=PAGE_STYLE
    )


def _headline(diagnosis: QuantizationDiagnosis) -> list[Figure]:
    items = [Figure("findings", str(len(diagnosis.findings)))]
    if diagnosis.ranked:
        worst = diagnosis.ranked[0]
        items.append(Figure("worst layer alone", f"{worst.own_snr_db:.1f} dB", worst.name))
    compared = [x.op_equal for x in diagnosis.layers if x.op_equal is not None]
    if compared:
        note = "values of the worst layer, given the same input"
        items.append(Figure("file equals simulation", f"{min(compared):.2%}", note))
    return items


def _ablation(diagnosis: QuantizationDiagnosis) -> str:
    if not diagnosis.ablation:
        return ""
    rows = [(name, f"{gain:.1%}") for name, gain in diagnosis.ablation.items()]
    columns = [Column("Layer in float", text=True), Column("Error that goes away")]
    return (
        "<section><h2>Everything in int8 but one layer</h2>"
        f"<details open><summary>{len(rows)} layers</summary>{table(columns, rows)}</details>"
        "</section>"
    )


def _recipe(diagnosis: QuantizationDiagnosis) -> str:
    if not diagnosis.ranked:
        return ""
    rule = escape(recipe_rule(diagnosis.ranked[0]))
    return (
        "<section><h2>The worst layer in float</h2>"
        '<p class="soft">As part of a recipe, the file that quantize.recipe names.</p>'
        f"<pre>{rule}</pre></section>"
    )
