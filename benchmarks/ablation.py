"""What studies of training settings share: a plan, trainings that can be resumed, and tables.

A plan is a TOML file with `sets`, each a config in configs/ with settings of its own, and `studies`
of `variants`: benchmarks/recipe.toml is one. A cell is one training: a variant on a set with a
seed. Its figures are kept in a JSON file of results, to which several processes may add. A script
of such a plan has a `Script`, and commands that take `cells_options`.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_retina.config import read_toml
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table

HERE = Path(__file__).parent
# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
_FEWEST_PAIRS = 3  # the interval of fewer is so wide that it says nothing

names_argument = click.argument("names", nargs=-1, metavar="[STUDY[/VARIANT] ...]")
runs_option = click.option(
    "--runs", type=click.Path(path_type=Path), required=True, help="For the RUNs."
)
sets_option = click.option("--sets", default="", help="Only these sets, by commas.")
seeds_option = click.option("--seeds", default="", help="Only these seeds, by commas.")


def cells_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what chooses cells: `names`, and `runs`, `sets` and `seeds` as options."""
    return names_argument(runs_option(sets_option(seeds_option(command))))


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


@dataclass
class Script:
    """The files of a script: its plan, its results, and the table of these.

    Attributes:
        plan_file: TOML.
        results_file: JSON; the table is the .md file beside it.
    """

    plan_file: Path
    results_file: Path

    @classmethod
    def named(cls, name: str) -> Script:
        """Return the files of benchmarks/NAME.py."""
        return cls(HERE / f"{name}.toml", HERE / "results" / f"{name}.json")

    @property
    def plan(self) -> dict[str, Any]:
        """The content of the plan."""
        return read_toml(self.plan_file)

    @property
    def results(self) -> dict[str, Any]:
        """Figures by the key of their cell, as they are now."""
        return read_results(self.results_file)

    def add(
        self, cell: Cell, figures: dict[str, Any], runs: Path, *, code: Path = HERE.parent
    ) -> None:
        """Add a result, with the commit of the code that made it."""
        signed = {**figures, "commit": commit_of(code)}
        add_result(self.results_file, cell, signed, lock=runs / "results.lock")

    def write_table(
        self, more_tables: Callable[[str, dict[str, Any]], Iterable[str]] | None = None
    ) -> None:
        """Write and print the Markdown of all results; `more_tables` as in `report`."""
        more = () if more_tables is None else (more_tables,)
        text = report(self.plan, self.results, *more)
        write_text(self.results_file.with_suffix(".md"), text)
        click.echo(text)


def claim_cell(cell: Cell, runs: Path) -> AbstractContextManager[bool]:
    """Hold a cell of RUNs in `runs` while it is trained; False if another process has it."""
    return claim(runs / f"{cell.key}.lock")


def chosen(plan: dict[str, Any], names: tuple[str, ...], sets: str, seeds: str) -> list[Cell]:
    """Return the cells that the command line asks for."""
    return [
        cell
        for cell in cells(plan)
        if (not names or cell.study in names or f"{cell.study}/{cell.variant}" in names)
        and (not sets or cell.set_name in sets.split(","))
        and (not seeds or str(cell.seed) in seeds.split(","))
    ]


def cells(plan: dict[str, Any]) -> Iterator[Cell]:
    """Yield the whole ablation; all variants of a seed come before the next seed."""
    for study, content in plan["studies"].items():
        for seed in content["seeds"]:
            for variant in content["variants"]:
                for set_name in sets_of(content, plan):
                    yield Cell(study, variant["name"], set_name, seed)


def sets_of(study: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """Return the sets that a study names, or all usual ones (`usual = false` takes one out)."""
    usual = [name for name, content in plan["sets"].items() if content.get("usual", True)]
    return list(study.get("sets", usual))


def settings_of(cell: Cell, plan: dict[str, Any]) -> list[str]:
    """Return all that a cell sets over the config of its data set."""
    study, data = plan["studies"][cell.study], plan["sets"][cell.set_name]
    return [
        *plan["set"],
        *(["data.val_split=test"] if study.get("split") == "test" else data.get("set", [])),
        *study.get("set", []),
        *data.get(variant_of(cell, plan).get("advice", ""), []),
        *variant_of(cell, plan)["set"],
        f"train.steps={variant_of(cell, plan).get('steps', study['steps'])}",
        f"seed={cell.seed}",
    ]


def variant_of(cell: Cell, plan: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the plan that is about a cell's variant."""
    variants = plan["studies"][cell.study]["variants"]
    (variant,) = (v for v in variants if v["name"] == cell.variant)
    return variant


def run_command(*arguments: object, code: Path = HERE.parent) -> None:
    """Run a command with the code of a checkout."""
    command = [sys.executable, "-m", "edge_retina.cli.main", *map(str, arguments)]
    root = code.resolve()
    subprocess.run(command, check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


def commit_of(code: Path) -> str:
    """Return the short hash of the commit that is checked out."""
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    done = subprocess.run(command, cwd=code, check=True, capture_output=True)
    return done.stdout.decode().strip()


def train_cell(
    cell: Cell, settings: Sequence[str], run: Path, *, code: Path = HERE.parent
) -> dict[str, Any]:
    """Train a cell with the code and the configs of a checkout; return its figures."""
    config = code / "benchmarks" / "configs" / f"{cell.set_name}.toml"
    if not config.exists():  # in an older checkout
        config = HERE / "configs" / f"{cell.set_name}.toml"
    click.echo(f"{cell.key}: {' '.join(settings)}")
    overrides = [part for text in settings for part in ("--set", text)]
    run_command("train", config, "--out", run, *overrides, code=code)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    measured = [line for line in map(json.loads, lines) if "mAP" in line]
    if not measured:  # a set without a validation split
        return {}
    last = measured[-1]
    return {"steps": last["step"], "mAP": last["mAP"], "mAP50": last["mAP50"]}


def read_results(file: Path) -> dict[str, Any]:
    """Return the figures by the key of their cell."""
    if not file.exists():
        return {}
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return results


def add_result(file: Path, cell: Cell, figures: dict[str, Any], *, lock: Path) -> None:
    """Add a result; `lock` is a file that stays, since one that is deleted would lock nothing."""
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        results = read_results(file) | {cell.key: figures}
        ordered = dict(sorted(results.items()))
        write_json(file, {"schema_version": 1, "results": ordered})


@contextmanager
def claim(path: Path) -> Iterator[bool]:
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


def report(
    plan: dict[str, Any],
    results: dict[str, Any],
    more_tables: Callable[[str, dict[str, Any]], Iterable[str]] = lambda _name, _study: (),
) -> str:
    """Return the Markdown of all studies that have results.

    Args:
        plan: `title` and `text` at the top, and `question`, `text` and `answer` of each study.
        results: figures by cell.
        more_tables: of a study, by its name and its part of the plan.
    """
    parts = [f"# {plan['title']}\n\n{plan['text'].strip()}\n"]
    for name, study in plan["studies"].items():
        if not any(key.startswith(f"{name}/") for key in results):
            continue
        parts.append(f"## {study['question']}\n\n{study['text'].strip()}\n")
        parts.append(study_table(name, study, plan, results))
        parts.extend(more_tables(name, study))
        parts.append(f"{study['answer'].strip()}\n")
    return "\n".join(parts)


def study_table(
    name: str, study: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]
) -> str:
    """Return a row for each variant that has results: its mAP by set, and the points gained."""
    sets = sets_of(study, plan)
    rows, first = [], study["variants"][0]["name"]
    for variant in study["variants"]:
        found = values_of(name, variant["name"], sets, study["seeds"], results)
        if not found:
            continue
        base = values_of(name, first, sets, study["seeds"], results)
        cells = [spread([v for (s, _), v in found.items() if s == set_name]) for set_name in sets]
        pairs = [gain for set_name in sets for gain in gains_of(found, base, set_name)]
        gain = "" if variant["name"] == first else interval(pairs)
        rows.append([variant["label"], *cells, gain])
        if study.get("by_set") and variant["name"] != first:
            gains = [interval(gains_of(found, base, set_name)) for set_name in sets]
            rows.append(["*points gained*", *gains, ""])
    return markdown_table(["", *sets, "points gained"], rows)


def gains_of(
    found: dict[tuple[str, int], float], base: dict[tuple[str, int], float], set_name: str
) -> list[float]:
    """Return the points gained on a set, of the seeds that both have."""
    both = [key for key in sorted(found) if key in base and key[0] == set_name]
    return [100 * (found[key] - base[key]) for key in both]


def values_of(
    study: str, variant: str, sets: list[str], seeds: list[int], results: dict[str, Any]
) -> dict[tuple[str, int], float]:
    """Return the mAP by set and seed of what was measured."""
    cells = [Cell(study, variant, set_name, seed) for set_name in sets for seed in seeds]
    return {(c.set_name, c.seed): results[c.key]["mAP"] for c in cells if c.key in results}


def spread(values: list[float]) -> str:
    """Return the mean and, of two or more values, the standard deviation."""
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def interval(pairs: list[float]) -> str:
    """Return the mean of paired differences and, if there are enough, its 95 % interval."""
    if not pairs:
        return ""
    mean, count = f"{statistics.mean(pairs):+.1f}", len(pairs)
    if count < _FEWEST_PAIRS:
        return f"{mean} ({count})"
    degrees = min(count - 1, len(_T95))
    half = _T95[degrees - 1] * statistics.stdev(pairs) / count**0.5
    return f"{mean} ± {half:.1f} ({count})"
