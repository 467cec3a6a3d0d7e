"""`edge-retina verify-resume`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from edge_retina.cli.options import (
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.config import Config
from edge_retina.errors import TrainingError
from edge_retina.workflow.configuration import read_config

_NAMES_SHOWN = 3
# Of generated images: the training is short, and its evaluations are not what is checked.
_IMAGES = {"train": 64, "val": 8, "test": 8}


@click.command("verify-resume")
@click.argument(
    "source", metavar="[CONFIG.toml|DATA]", required=False, type=click.Path(path_type=Path)
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=40,
    show_default=True,
    help="Length of both trainings.",
)
@click.option(
    "--kills",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often the training is killed.",
)
@click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Time between two checkpoints.",
)
@out_option("Keep both RUNs here; by default they are deleted.", required=False)
@set_option
@json_option
@seed_option
@debug_option
def command(
    source: Path | None,
    steps: int,
    kills: int,
    checkpoint_seconds: float,
    out: Path | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Check that a killed training ends with the weights of an undisturbed one.

    The training runs twice for --steps steps: once undisturbed, and once killed by SIGKILL at
    random moments and started again each time. Then weights and logged metrics are compared.
    Without CONFIG.toml or DATA it trains the demo. --seed also chooses the moments.

    Example: edge-retina verify-resume my.toml --steps 200 --kills 5
    """
    from edge_retina.workflow.resume_check import Kill, verify_resume

    def tell(kill: Kill) -> None:
        click.echo(
            f"killed {kill.seconds:.1f} s after its first checkpoint: goes on from step "
            f"{kill.checkpoint}, {kill.lost_seconds:.1f} s of work are lost"
        )

    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="verify-resume-")
        scratch = Path(stack.enter_context(temporary))
        out = out or scratch / "runs"
        overrides = (*overrides, f"train.steps={steps}")
        config = _config(source, scratch / "images", overrides=overrides, seed=seed)
        found = verify_resume(
            config,
            out,
            kills=kills,
            checkpoint_seconds=checkpoint_seconds,
            seed=config.seed,
            on_kill=tell,
        )
    emit_json(found.to_dict(), json_target)
    if not found.is_identical:
        raise TrainingError(_what_differs(found.different))
    if not found.kills:
        raise TrainingError("the training ended before it was killed; raise --steps")
    lost = max(kill.lost_seconds for kill in found.kills)
    click.echo(
        f"identical: {found.steps} steps with {len(found.kills)} kills end with the weights of an "
        f"undisturbed training (sha256 {found.sha256[:12]}); at most {lost:.1f} s were lost"
    )


def _config(
    source: Path | None, images: Path, *, overrides: tuple[str, ...], seed: int | None
) -> Config:
    """Return the config to check; without one, of a small demo whose images are drawn first."""
    if source is not None:
        return read_config(source, overrides=overrides, seed=seed)
    from edge_retina.workflow.demo import demo_config

    return demo_config(images, overrides=overrides, seed=seed, images=_IMAGES)


def _what_differs(names: tuple[str, ...]) -> str:
    if not names:
        return "the weight files differ, though all their tensors are equal"
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    return (
        f"the killed training ended differently in {len(names)} tensors or logs ({shown}); on a "
        "GPU, set train.deterministic = true"
    )
