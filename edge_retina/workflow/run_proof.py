"""`doctor RUN --prove`: mend one suspected cause, change nothing else, and measure the gain."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.config import Config
from edge_retina.doctor.run.diagnosis import RunDiagnosis
from edge_retina.doctor.run.evidence import DATA, VAL
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.proof import Proof, seed_noise
from edge_retina.doctor.run.suspicion import Suspicion
from edge_retina.errors import RunError, TrainingError
from edge_retina.evaluation.matches import find_matches
from edge_retina.evaluation.significance import resampled_difference
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.resume_check import PROGRAM

SEEDS = 2
_UNCHANGED = "as-it-is"
_TRAINED_STEPS = "train.steps="
_NEVER = 100_000  # epochs between evaluations: there is one at the end
_LONGER = 3  # where the cause is a short training


@dataclass(frozen=True)
class ProofPlan:
    """What proving takes.

    Attributes:
        causes: those that a setting mends, most likely first.
        steps: of each training.
        trainings: number of them that are not done yet.
        minutes: of all trainings, by the speed of the RUN; None if that is unknown.
    """

    causes: tuple[Suspicion, ...]
    steps: int
    trainings: int
    minutes: float | None

    @property
    def announcement(self) -> str:
        """What will be done, before it is."""
        if not self.causes:
            return "proof: no suspected cause can be mended by a setting"
        names = ", ".join(item.code for item in self.causes)
        if not self.trainings:
            return f"proof of {names}: nothing to train"
        time = f"about {self.minutes:.0f} minutes" if self.minutes else "time unknown"
        return f"proof of {names}: {self.trainings} trainings of {self.steps} steps, {time}"


def plan_proofs(diagnosis: RunDiagnosis, *, count: int, steps: int) -> ProofPlan:
    """Choose the causes to prove, and say what that takes.

    Raises:
        RunError: the data can't be read, or there is no split to measure on.
    """
    run = diagnosis.evidence
    for need in (DATA, VAL):
        if need in run.missing:
            raise RunError(f"{run.name}: --prove can't train and measure: {run.missing[need]}")
    causes = tuple(item for item in diagnosis.suspicions if item.mend.settings)[:count]
    trained = [item for item in causes if item.mend.retrain]
    names = [_UNCHANGED, *(item.code for item in trained)] if trained else []
    lengths = [
        _steps_of(name, steps)
        for name in names
        for seed in range(SEEDS)
        if not _run_of(run.name, name, steps, seed).details("train")
    ]
    speed = run.log.at_end("images_per_second") if run.log else float("nan")
    seconds = sum(lengths) * run.config.train.batch_size / speed
    return ProofPlan(causes, steps, len(lengths), seconds / 60 if seconds == seconds else None)


def prove(
    diagnosis: RunDiagnosis, plan: ProofPlan, *, on_training: Callable[[str], None]
) -> list[Proof]:
    """Measure what mending each cause gains.

    Each training is a process of its own; those that are finished are not done again.

    Args:
        diagnosis: of the RUN.
        plan: of the proofs.
        on_training: told what is trained next.

    Raises:
        TrainingError: a training failed; the message is its last line.
    """
    run = diagnosis.evidence
    proofs = []
    for item in plan.causes:
        if not item.mend.retrain:
            outputs = run.val or run.train
            if outputs is not None:
                proofs.append(_decoded(item, outputs, RunDirectory(Path(run.name))))
            continue
        before: list[float] = []
        after: list[float] = []
        for seed in range(SEEDS):
            for name, settings, found in (
                (_UNCHANGED, (), before),
                (item.code, item.mend.settings, after),
            ):
                on_training(f"{name}, seed {seed}")
                directory = _run_of(run.name, name, plan.steps, seed)
                steps = _steps_of(name, plan.steps)
                found.append(_train(RunDirectory(Path(run.name)), directory, settings, steps, seed))
        proofs.append(
            Proof(
                item.code,
                item.title,
                item.cost,
                plan.steps,
                tuple(before),
                tuple(after),
                seed_noise(before, after),
            )
        )
    return proofs


def _train(
    source: RunDirectory, run: RunDirectory, settings: Sequence[str], steps: int, seed: int
) -> float:
    """Train, or read what was trained before; return the last mAP on the validation split.

    Args:
        source: the RUN that is examined.
        run: where to train.
        settings: what mends the cause; none for the RUN as it is.
        steps: of the training.
        seed: added to that of the source.
    """
    if not run.details("train"):
        others = [text for text in settings if not text.startswith(_TRAINED_STEPS)]
        config = source.load_config(overrides=others)
        config = config.replace(
            seed=config.seed + seed,
            data=dataclasses.replace(
                config.data, val_split=config.data.val_split or config.data.test_split
            ),
            train=dataclasses.replace(
                config.train,
                steps=steps,
                eval_every_epochs=_NEVER,
                probe_images=0,
                tensorboard=False,
            ),
        )
        _train_alone(config, run)
    lines = run.metrics_file.read_text(encoding="utf-8").splitlines()
    measured = [record for record in map(json.loads, lines) if "mAP" in record]
    return float(measured[-1]["mAP"])


def _train_alone(config: Config, run: RunDirectory) -> None:
    """Train in a process of its own."""
    import tomli_w

    file = run.root / "source.toml"
    run.root.mkdir(parents=True, exist_ok=True)
    write_text(file, tomli_w.dumps(config.to_dict()))
    command = [*PROGRAM, "train", str(file), "--out", str(run.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise TrainingError(
            f"the training in {run.root} failed: {lines[-1] if lines else 'it said nothing'}"
        )


def _decoded(item: Suspicion, outputs: Outputs, run: RunDirectory) -> Proof:
    """Decode the outputs that are there once more."""
    export = run.load_config(overrides=item.mend.settings).export
    after = find_matches(outputs.examples, outputs.decoded(export), outputs.labels)
    difference, error = resampled_difference(after, outputs.matches)
    before = outputs.mAP
    return Proof(item.code, item.title, item.cost, 0, (before,), (before + difference,), error)


def _run_of(name: str, cause: str, steps: int, seed: int) -> RunDirectory:
    return RunDirectory(Path(name) / "proofs" / f"{cause}-{steps}" / str(seed))


def _steps_of(name: str, steps: int) -> int:
    return steps * _LONGER if name == "too-few-steps" else steps
