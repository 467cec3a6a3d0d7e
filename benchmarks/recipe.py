"""The ablation behind the default training settings: what each choice gives, over sets and seeds.

    python benchmarks/recipe.py train [VARIANT ...] --runs DIR [--sets bccd,chess] [--seeds 0,1,2]
                                      [--checkout COMMIT=DIR] [--teachers DIR]
    python benchmarks/recipe.py int8 VARIANT ... --runs DIR [--sets ...] [--seeds ...]
    python benchmarks/recipe.py table

`train` runs every (variant, set, seed) of `recipe.toml` that has no result yet, one after the
other, and adds each to benchmarks/results/recipe.json; start it again to go on, or start one for
each core (`taskset -c N`): they share the work. `int8` takes what was trained to int8, by PTQ and
by QAT, and measures the files on the same split. `table` writes benchmarks/results/recipe.md.

Variants of one study have the same steps, batches, images and starting weights and differ by the
settings in `recipe.toml` only. They are trained on `train` and measured on `val`, with the last
averaged weights. A study with `split = "test"` is measured on the test split instead, once, after
the training; bccd is trained on train + val then. A variant with a `commit` is trained by the code
and the configs of that commit, from a checkout of it (`git worktree add DIR COMMIT`). A variant
with `teacher = true` learns from the RUN of its set in --teachers, one of `configs/best_SET.toml`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from ablation import (
    HERE,
    Cell,
    Script,
    add_result,
    cells_options,
    chosen,
    claim_cell,
    run_command,
    sets_of,
    settings_of,
    train_cell,
    variant_of,
)

from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory

_SCRIPT = Script.named("recipe")
_METHODS = ("ptq", "qat")


@click.group()
def main() -> None:
    """Train the ablation's variants, or write its table."""


@main.command()
@cells_options
@click.option("--checkout", "checkouts", multiple=True, metavar="COMMIT=DIR", help="Older code.")
@click.option("--teachers", type=click.Path(path_type=Path), help="DIR with a RUN for each set.")
def train(
    names: tuple[str, ...],
    runs: Path,
    sets: str,
    seeds: str,
    checkouts: tuple[str, ...],
    teachers: Path | None,
) -> None:
    """Train what has no result yet."""
    plan = _SCRIPT.plan
    code = {commit: Path(path) for commit, path in (text.split("=", 1) for text in checkouts)}
    for cell in chosen(plan, names, sets, seeds):
        commit = variant_of(cell, plan).get("commit", "")
        if commit and commit not in code:
            click.echo(f"{cell.key} left out: it needs --checkout {commit}=DIR")
            continue
        settings = settings_of(cell, plan)
        if variant_of(cell, plan).get("teacher"):
            teacher = (teachers or Path()) / cell.set_name
            if teachers is None or not RunDirectory(teacher).details("train"):
                click.echo(
                    f"{cell.key} left out: it needs a trained --teachers DIR/{cell.set_name}"
                )
                continue
            settings.append(f"train.teacher={json.dumps(str(teacher.resolve()))}")
        with claim_cell(cell, runs) as free:
            if free and cell.key not in _SCRIPT.results:
                root = code.get(commit, HERE.parent).resolve()
                figures = train_cell(cell, settings, (runs / cell.key).resolve(), code=root)
                _SCRIPT.add(cell, figures, runs, code=root)


@main.command()
@cells_options
def int8(names: tuple[str, ...], runs: Path, sets: str, seeds: str) -> None:
    """Quantise and measure what was trained."""
    plan = _SCRIPT.plan
    for cell in chosen(plan, names, sets, seeds):
        known = _SCRIPT.results.get(cell.key)
        if known is None or "int8" in known or variant_of(cell, plan).get("commit"):
            continue
        with claim_cell(cell, runs) as free:
            if free:
                figures = _quantise(cell, plan, (runs / cell.key).resolve())
                # The commit stays that of the training
                both = {**known, "int8": figures}
                add_result(_SCRIPT.results_file, cell, both, lock=runs / "results.lock")


@main.command()
def table() -> None:
    """Write the table from the results."""
    plan, results = _SCRIPT.plan, _SCRIPT.results
    _SCRIPT.write_table(lambda name, study: _int8_tables(name, study, plan, results))


def _quantise(cell: Cell, plan: dict[str, Any], run: Path) -> dict[str, float]:
    """Return the mAP of the float32 file and of the int8 files by PTQ and by QAT."""
    config = RunDirectory(run).load_config()
    found: dict[str, float] = {}
    for method in _METHODS:
        export = run / f"export_{method}"
        # Without validation, so that no state is chosen by the split that it is measured on.
        run_command("quantize", run, "--method", method, "--set", "quantize.evaluations=0")
        run_command("export", run, "--out", export, "--method", method)
        for precision in ("float32", "int8"):
            name = method if precision == "int8" else precision
            if name in found:
                continue
            result = run / f"{name}.json"
            model = export / f"{config.name}_{precision}.tflite"
            split = ("--split", config.data.val_split, "--skip-invalid", "--json", result)
            run_command("evaluate", model, config.data.path, *split)
            found[name] = json.loads(result.read_text(encoding="utf-8"))["mAP"]
    return found


def _int8_tables(
    name: str, study: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]
) -> Iterator[str]:
    """Yield a table for each variant of which there are int8 files."""
    for variant in study["variants"]:
        rows = []
        for set_name in sets_of(study, plan):
            for seed in study["seeds"]:
                found = results.get(Cell(name, variant["name"], set_name, seed).key, {}).get("int8")
                if found:
                    kept = [f"{found[m]:.3f} ({found[m] / found['float32']:.1%})" for m in _METHODS]
                    rows.append([set_name, str(seed), f"{found['float32']:.3f}", *kept])
        if rows:
            header = ["", "seed", "float32 file", "int8 by PTQ", "int8 by QAT"]
            yield f"int8 files of *{variant['label']}*, mAP on the same split:\n"
            yield markdown_table(header, rows)


if __name__ == "__main__":
    main()
