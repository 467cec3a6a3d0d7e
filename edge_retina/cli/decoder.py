"""`edge-retina decoder`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option, out_option
from edge_retina.decoders.table import LANGUAGES
from edge_retina.errors import choices_hint
from edge_retina.runtime.manifest import MANIFEST_NAME


def split_languages(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Return the languages of a comma-separated option; none for None."""
    names = tuple(dict.fromkeys(part.strip() for part in (value or "").split(",")))
    if value is None:
        return ()
    for name in names:
        if name not in LANGUAGES:
            raise click.BadParameter(f"{name!r} is no language; {choices_hint(name, LANGUAGES)}")
    return names


@click.command("decoder")
@click.argument("model", metavar="FILE.tflite", type=click.Path(path_type=Path))
@click.option(
    "--language",
    "languages",
    required=True,
    callback=split_languages,
    help=f"Languages, comma-separated: any of {', '.join(LANGUAGES)}.",
)
@out_option("Directory for the source files. Default: that of FILE.tflite.", required=False)
@json_option
@debug_option
def command(
    model: Path, languages: tuple[str, ...], out: Path | None, json_target: str | None
) -> None:
    """Write source files that turn the raw outputs of FILE.tflite into detections.

    FILE.tflite is one without NMS inside, in its export directory. Each file has all that it needs:
    anchors, scales, labels and thresholds. It has no dependencies.

    Example: edge-retina decoder detector/cells_raw_int8.tflite --language cpp,kotlin --out app
    """
    from edge_retina.decoders.plan import load_plan
    from edge_retina.decoders.writing import write_decoders

    plan = load_plan(model)
    directory = model.parent if out is None else out
    paths = write_decoders(plan, directory, languages, manifest=model.parent / MANIFEST_NAME)
    if json_target != STDOUT:
        for path in paths:
            click.echo(path)
    record = {
        "schema_version": 1,
        "model": {"path": str(model), "sha256": plan.sha256},
        "decoders": dict(zip(languages, map(str, paths), strict=True)),
    }
    emit_json(record, json_target)
