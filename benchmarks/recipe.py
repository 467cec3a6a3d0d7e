"""The ablation behind the default training settings: what each choice gives, over sets and seeds.

    python benchmarks/recipe.py train [VARIANT ...] --runs DIR [--sets bccd,chess] [--seeds 0,1,2]
                                      [--checkout COMMIT=DIR]
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
and the configs of that commit, from a checkout of it (`git worktree add DIR COMMIT`).
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_retina.config import read_toml
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results" / "recipe.json"
# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
_METHODS = ("ptq", "qat")
_FEWEST_PAIRS = 3  # the interval of fewer is so wide that it says nothing


@dataclass(frozen=True)
class Cell:
    """One training of the ablation."""

    study: str
    variant: str
    set_name: str
    seed: int

    @property
    def key(self) -> str:
        """Of its result."""
        return f"{self.study}/{self.variant}/{self.set_name}/{self.seed}"


@click.group()
def main() -> None:
    """Train the ablation's variants, or write its table."""


_names = click.argument("names", nargs=-1, metavar="[STUDY[/VARIANT] ...]")
_runs = click.option("--runs", type=click.Path(path_type=Path), required=True, help="For the RUNs.")
_sets = click.option("--sets", default="", help="Only these sets, by commas.")
_seeds = click.option("--seeds", default="", help="Only these seeds, by commas.")


@main.command()
@_names
@_runs
@_sets
@_seeds
@click.option("--checkout", "checkouts", multiple=True, metavar="COMMIT=DIR", help="Older code.")
def train(
    names: tuple[str, ...], runs: Path, sets: str, seeds: str, checkouts: tuple[str, ...]
) -> None:
    """Train what has no result yet."""
    plan = read_toml(_HERE / "recipe.toml")
    code = {commit: Path(path) for commit, path in (text.split("=", 1) for text in checkouts)}
    for cell in _chosen(plan, names, sets, seeds):
        commit = _variant(cell, plan).get("commit", "")
        if commit and commit not in code:
            click.echo(f"{cell.key} left out: it needs --checkout {commit}=DIR")
            continue
        with _claim(runs / f"{cell.key}.lock") as free:
            if free and cell.key not in _read_results():
                root = code.get(commit, _HERE.parent).resolve()
                figures = _train(cell, plan, (runs / cell.key).resolve(), root)
                _add_result(cell, {**figures, "commit": _head(root)}, lock=runs / "results.lock")


@main.command()
@_names
@_runs
@_sets
@_seeds
def int8(names: tuple[str, ...], runs: Path, sets: str, seeds: str) -> None:
    """Quantise and measure what was trained."""
    plan = read_toml(_HERE / "recipe.toml")
    for cell in _chosen(plan, names, sets, seeds):
        known = _read_results().get(cell.key)
        if known is None or "int8" in known or _variant(cell, plan).get("commit"):
            continue
        with _claim(runs / f"{cell.key}.lock") as free:
            if free:
                figures = _quantise(cell, plan, (runs / cell.key).resolve())
                _add_result(cell, {**known, "int8": figures}, lock=runs / "results.lock")


@main.command()
def table() -> None:
    """Write the table from the results."""
    plan, results = read_toml(_HERE / "recipe.toml"), _read_results()
    parts = [f"# {plan['title']}\n\n{plan['text'].strip()}\n"]
    for name, study in plan["studies"].items():
        if not any(key.startswith(f"{name}/") for key in results):
            continue
        parts.append(f"## {study['question']}\n\n{study['text'].strip()}\n")
        parts.append(_study_table(name, study, plan, results))
        parts.extend(_int8_tables(name, study, plan, results))
        parts.append(f"{study['answer'].strip()}\n")
    write_text(_RESULTS.with_suffix(".md"), "\n".join(parts))
    click.echo("\n".join(parts))


def _chosen(plan: dict[str, Any], names: tuple[str, ...], sets: str, seeds: str) -> list[Cell]:
    """Return the cells that the command line asks for."""
    return [
        cell
        for cell in _cells(plan)
        if (not names or cell.study in names or f"{cell.study}/{cell.variant}" in names)
        and (not sets or cell.set_name in sets.split(","))
        and (not seeds or str(cell.seed) in seeds.split(","))
    ]


def _cells(plan: dict[str, Any]) -> Iterator[Cell]:
    """Yield the whole ablation; all variants of a seed come before the next seed."""
    for study, content in plan["studies"].items():
        for seed in content["seeds"]:
            for variant in content["variants"]:
                for set_name in content.get("sets", plan["sets"]):
                    yield Cell(study, variant["name"], set_name, seed)


def settings_of(cell: Cell, plan: dict[str, Any]) -> list[str]:
    """Return all that a cell sets over the config of its data set."""
    study, data = plan["studies"][cell.study], plan["sets"][cell.set_name]
    return [
        *plan["set"],
        *(["data.val_split=test"] if study.get("split") == "test" else data.get("set", [])),
        *study.get("set", []),
        *(data.get("doctor", []) if _variant(cell, plan).get("doctor") else []),
        *_variant(cell, plan)["set"],
        f"train.steps={study['steps']}",
        f"seed={cell.seed}",
    ]


def _variant(cell: Cell, plan: dict[str, Any]) -> dict[str, Any]:
    variants = plan["studies"][cell.study]["variants"]
    (variant,) = (v for v in variants if v["name"] == cell.variant)
    return variant


def _train(cell: Cell, plan: dict[str, Any], run: Path, code: Path) -> dict[str, Any]:
    """Train a cell with the code of a checkout; return its figures."""
    config = code / "benchmarks" / "configs" / f"{cell.set_name}.toml"
    if not config.exists():  # in an older checkout
        config = _HERE / "configs" / f"{cell.set_name}.toml"
    settings = settings_of(cell, plan)
    click.echo(f"{cell.key}: {' '.join(settings)}")
    overrides = [part for text in settings for part in ("--set", text)]
    _edge_retina("train", config, "--out", run, *overrides, code=code)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = [line for line in map(json.loads, lines) if "mAP" in line][-1]
    return {"steps": last["step"], "mAP": last["mAP"], "mAP50": last["mAP50"]}


def _quantise(cell: Cell, plan: dict[str, Any], run: Path) -> dict[str, float]:
    """Return the mAP of the float32 file and of the int8 files by PTQ and by QAT."""
    config = RunDirectory(run).load_config()
    found: dict[str, float] = {}
    for method in _METHODS:
        export = run / f"export_{method}"
        # Without validation, so that no state is chosen by the split that it is measured on.
        _edge_retina("quantize", run, "--method", method, "--set", "quantize.evaluations=0")
        _edge_retina("export", run, "--out", export, "--method", method)
        for precision in ("float32", "int8"):
            name = method if precision == "int8" else precision
            if name in found:
                continue
            result = run / f"{name}.json"
            model = export / f"{config.name}_{precision}.tflite"
            split = ("--split", config.data.val_split, "--skip-invalid", "--json", result)
            _edge_retina("evaluate", model, config.data.path, *split)
            found[name] = json.loads(result.read_text(encoding="utf-8"))["mAP"]
    return found


def _edge_retina(*arguments: object, code: Path = _HERE.parent) -> None:
    """Run a command with the code of a checkout."""
    command = [sys.executable, "-m", "edge_retina.cli.main", *map(str, arguments)]
    root = code.resolve()
    subprocess.run(command, check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


def _head(code: Path) -> str:
    """Return the short hash of the commit that is checked out."""
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    done = subprocess.run(command, cwd=code, check=True, capture_output=True)
    return done.stdout.decode().strip()


def _read_results() -> dict[str, Any]:
    if not _RESULTS.exists():
        return {}
    results: dict[str, Any] = json.loads(_RESULTS.read_text(encoding="utf-8"))["results"]
    return results


def _add_result(cell: Cell, figures: dict[str, Any], *, lock: Path) -> None:
    """Add a result; `lock` is a file that stays, since one that is deleted would lock nothing."""
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        results = _read_results() | {cell.key: figures}
        ordered = dict(sorted(results.items()))
        write_json(_RESULTS, {"schema_version": 1, "results": ordered})


@contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Hold a cell while it is trained; False if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            lock.write(str(os.getpid()))
            yield True


def _study_table(
    name: str, study: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]
) -> str:
    sets = list(study.get("sets", plan["sets"]))
    rows, first = [], study["variants"][0]["name"]
    for variant in study["variants"]:
        found = _values(name, variant["name"], sets, study["seeds"], results)
        if not found:
            continue
        base = _values(name, first, sets, study["seeds"], results)
        cells = [_spread([v for (s, _), v in found.items() if s == set_name]) for set_name in sets]
        pairs = [gain for set_name in sets for gain in _gains(found, base, set_name)]
        gain = "" if variant["name"] == first else _interval(pairs)
        rows.append([variant["label"], *cells, gain])
        if study.get("by_set") and variant["name"] != first:
            gains = [_interval(_gains(found, base, set_name)) for set_name in sets]
            rows.append(["*points gained*", *gains, ""])
    return markdown_table(["", *sets, "points gained"], rows)


def _gains(
    found: dict[tuple[str, int], float], base: dict[tuple[str, int], float], set_name: str
) -> list[float]:
    """Return the points gained on a set, of the seeds that both have."""
    both = [key for key in sorted(found) if key in base and key[0] == set_name]
    return [100 * (found[key] - base[key]) for key in both]


def _int8_tables(
    name: str, study: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]
) -> Iterator[str]:
    """Yield a table for each variant of which there are int8 files."""
    for variant in study["variants"]:
        rows = []
        for set_name in study.get("sets", plan["sets"]):
            for seed in study["seeds"]:
                found = results.get(Cell(name, variant["name"], set_name, seed).key, {}).get("int8")
                if found:
                    kept = [f"{found[m]:.3f} ({found[m] / found['float32']:.1%})" for m in _METHODS]
                    rows.append([set_name, str(seed), f"{found['float32']:.3f}", *kept])
        if rows:
            header = ["", "seed", "float32 file", "int8 by PTQ", "int8 by QAT"]
            yield f"int8 files of *{variant['label']}*, mAP on the same split:\n"
            yield markdown_table(header, rows)


def _values(
    study: str, variant: str, sets: list[str], seeds: list[int], results: dict[str, Any]
) -> dict[tuple[str, int], float]:
    cells = [Cell(study, variant, set_name, seed) for set_name in sets for seed in seeds]
    return {(c.set_name, c.seed): results[c.key]["mAP"] for c in cells if c.key in results}


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def _interval(pairs: list[float]) -> str:
    """Return the mean of paired differences and, if there are enough, its 95 % interval."""
    if not pairs:
        return ""
    mean, count = f"{statistics.mean(pairs):+.1f}", len(pairs)
    if count < _FEWEST_PAIRS:
        return f"{mean} ({count})"
    degrees = min(count - 1, len(_T95))
    half = _T95[degrees - 1] * statistics.stdev(pairs) / count**0.5
    return f"{mean} ± {half:.1f} ({count})"


if __name__ == "__main__":
    main()
