"""The study's rows as Markdown."""

from __future__ import annotations

from typing import Any

from edge_retina.report.markdown import markdown_table

_TITLES = {
    "main": "Float and int8, as shipped",
    "peer": "tfmot's default recipe beside ours: same graph, loss, batches and steps",
    "images": "Number of calibration images",
    "selection": "Which images",
    "ranges": "Range method",
    "graph": "Changes of the graph and the biases",
    "recipes": "Recipes",
    "qat": "QAT, last weights",
}
_FIRST_ROW = {"peer": "QAT", "qat": "QAT"}  # of the other groups: the base


def render(report: dict[str, Any]) -> str:
    """Return the whole page of one data set."""
    rows = report["rows"]
    by_name = {row["name"]: row for row in rows}
    reference = by_name["float Keras"]["keras"]
    splits = list(reference)
    parts = [f"# {report['name']}: what every way to quantise costs\n", _environment(report)]
    for group, title in _TITLES.items():
        chosen = [row for row in rows if row["group"] == group]
        if group == "main":
            chosen = [row for row in rows if row["group"] == "float"] + chosen
        elif chosen:
            first = by_name.get(_FIRST_ROW.get(group, "base"))
            chosen = [*([first] if first else []), *chosen]
        if chosen:
            parts.append(f"## {title}\n\n{_table(chosen, splits, reference)}")
    return "\n".join(parts)


def _environment(report: dict[str, Any]) -> str:
    machine = report["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"`{report['command']}` on {machine['cpu']} ({machine['cores']} cores), {machine['os']}, "
        f"Python {machine['python']}, {versions}.\n\n"
        "mAP (COCO, IoU .50:.95) of the `.tflite` file with XNNPACK; in brackets the share of the "
        "float model's. *fake-quant*: the simulation in Keras. *found*: share of the float file's "
        "detections above 0.3 on the test split that the int8 file finds with the same class and "
        "IoU of at least 0.9. *base*: PTQ with min/max ranges of 128 pictures and nothing else, "
        "from which the rows below it differ by what they say.\n"
    )


def _table(rows: list[dict[str, Any]], splits: list[str], reference: dict[str, Any]) -> str:
    head = ["", *(f"{s} fake-quant" for s in splits), *(f"{s} TFLite" for s in splits)]
    head += ["test mAP50", "found", "steps"]
    lines = []
    for row in rows:
        fake = row.get("fake_quant") or row.get("keras")
        tflite = row.get("tflite")
        cells = [row["name"]]
        cells += [_score(fake, split, reference) for split in splits]
        cells += [_score(tflite, split, reference) for split in splits]
        cells.append(f"{(tflite or fake)['test']['mAP50']:.3f}")
        cells.append(f"{row['agreement']:.1%}" if "agreement" in row else "")
        cells.append(_steps(row))
        lines.append(cells)
    return markdown_table(head, lines)


def _score(metrics: dict[str, Any] | None, split: str, reference: dict[str, Any]) -> str:
    if metrics is None:
        return "–"
    value = metrics[split]["mAP"]
    return f"{value:.4f} ({value / reference[split]['mAP']:.1%})"


def _steps(row: dict[str, Any]) -> str:
    if not row.get("steps"):
        return ""
    best = row.get("best_step", 0)
    return (
        str(row["steps"])
        if best in (0, row["steps"]) and row["name"] != "QAT"
        else (f"{row['steps']}, kept {best}")
    )
