"""A diagnosis of int8 as one HTML file that needs nothing beside it."""

from __future__ import annotations

from pathlib import Path

from edge_retina.doctor.help_page import help_link
from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, recipe_rule
from edge_retina.report.layer_errors import layer_chart, layer_table
from edge_retina.report.pages import render_template
from edge_retina.report.tables import Column, Figure, Table


def render_quantization_page(
    diagnosis: QuantizationDiagnosis, *, name: str, links_from: Path | None = None
) -> str:
    """Return the diagnosis of the run `name` as an HTML document.

    Args:
        diagnosis: what to show.
        name: of the run.
        links_from: the directory the page will lie in; links are relative to it.
    """
    ranked = diagnosis.ranked
    return render_template(
        "int8.html.j2",
        "edge_retina.doctor",
        title=f"{name}: where int8 loses accuracy",
        window_title=f"{name}: int8",
        subtitle=f"int8 by {diagnosis.method}, examined on {diagnosis.pictures} real pictures.",
        headline=_headline(diagnosis),
        findings=diagnosis.findings,
        help_link=help_link(links_from),
        layer_chart=layer_chart(diagnosis.layers),
        layer_table=layer_table(diagnosis.layers),
        ablation=_ablation(diagnosis),
        recipe=recipe_rule(ranked[0]) if ranked else "",
    )


def _headline(diagnosis: QuantizationDiagnosis) -> list[Figure]:
    items = [Figure("findings", str(len(diagnosis.findings)))]
    if diagnosis.ranked:
        worst = diagnosis.ranked[0]
        items.append(Figure("worst layer alone", f"{worst.own_snr_db:.1f} dB", worst.name))
    compared = [x.op_equal for x in diagnosis.layers if x.op_equal is not None]
    if compared:
        note = "of the values in the worst layer, given the same input"
        items.append(Figure("file equals simulation", f"{min(compared):.2%}", note))
    return items


def _ablation(diagnosis: QuantizationDiagnosis) -> Table:
    columns = (Column("Layer in float", text=True), Column("Error that goes away"))
    return Table(columns, [(name, f"{gain:.1%}") for name, gain in diagnosis.ablation.items()])
