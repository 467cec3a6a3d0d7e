"""`edge-retina tune`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    emit_text,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.cli.terminal import show
from edge_retina.config import load_config
from edge_retina.errors import ConfigError
from edge_retina.workflow.configuration import with_seed

_DEFAULT_STEPS = 2700
_FEWEST_STEPS = 27  # three rungs, each a third of the next


@click.command("tune")
@click.argument("source", metavar="CONFIG.toml|DATA", type=click.Path(path_type=Path))
@out_option("Directory for the trainings. A search in it goes on.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Begin no more trials after that time, which is counted over interruptions; the finalists "
    "come on top.",
)
@click.option("--trials", type=click.IntRange(1), default=200, show_default=True, help="At most.")
@click.option(
    "--steps",
    type=click.IntRange(_FEWEST_STEPS),
    default=_DEFAULT_STEPS,
    show_default=True,
    help="Of a trial that is not stopped; two thirds are stopped at a ninth of it, and of the "
    "others two thirds at a third.",
)
@click.option(
    "--space",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What is varied; by default presets/search_space.toml of the package.",
)
@click.option(
    "--storage",
    default="",
    metavar="URL",
    help="Database of the search as Optuna takes it, shared by several machines; by default a "
    "SQLite file in --out.",
)
@click.option("--no-finalists", is_flag=True, help="Only search; another process judges.")
@click.option(
    "--write-config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the settings to use, with the reasons; none if the defaults are as good.",
)
@click.option(
    "--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page."
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    source: Path,
    out: Path,
    hours: float,
    trials: int,
    steps: int,
    space: Path | None,
    storage: str,
    no_finalists: bool,
    write_config: Path | None,
    html: Path | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Search for training settings that are better than those of CONFIG.toml or the defaults.

    First the noise is measured: the settings as they are, with three seeds. Then trials are trained
    with a constant learning rate, and the worse ones stopped early. At the end the two best and the
    settings as they are get trained again with new seeds. Only a gain beyond noise counts. The
    answer is often to keep the settings.

    The same command goes on after an interruption. Several processes may run it at once, with the
    same --out, or on several machines with the same --storage.

    Example: edge-retina tune data/bccd --out tuning --hours 2 --write-config better.toml
    """
    from edge_retina.workflow.prepare import check_data, read_data
    from edge_retina.workflow.tuning.result import TuningResult
    from edge_retina.workflow.tuning.space import DEFAULT_SPACE, read_space
    from edge_retina.workflow.tuning.study import Search, open_study, run_trials
    from edge_retina.workflow.tuning.verdict import judge_finalists

    path: Path | None = source
    overrides = with_seed(overrides, seed)
    if source.suffix != ".toml" or source.name == "dataset.toml":
        path, overrides = None, (f"data.path={json.dumps(str(source.resolve()))}", *overrides)
    config = load_config(path, overrides=overrides)
    chosen = read_space(space or DEFAULT_SPACE)
    data = check_data(read_data(config), skip_invalid=config.data.skip_invalid)
    if not data.val:
        raise ConfigError(
            f"{data.dataset.root}: tune needs a validation split to compare on; set data.val_split"
        )
    search = Search((path, overrides), config, chosen, data, out, steps)
    study = open_study(search, storage=storage)
    run_trials(search, study, hours=hours, most=trials)
    finalists = () if no_finalists else tuple(judge_finalists(search, study))
    result = TuningResult(search, study, finalists)
    if json_target != STDOUT:
        show(*result.blocks())
    if html is not None:
        emit_text("--html", html, result.page())
    if write_config is not None:
        emit_text("--write-config", write_config, result.config_text())
    emit_json(result.to_dict(), json_target)
