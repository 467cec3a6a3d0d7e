"""`doctor RUN --prove`: mend one suspected cause, change nothing else, and measure the gain."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
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
from edge_retina.files import sha256_json, write_text
from edge_retina.report.metrics_log import read_metrics_log
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.child_process import PROGRAM, sigterm_unwinds
from edge_retina.workflow.side_training import is_trained

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
    source = RunDirectory(Path(run.name))
    waiting = {
        training.run.root: training.config.train.steps
        for item in causes
        if item.mend.retrain
        for seed in range(SEEDS)
        for training in _pair(source, item, steps, seed)
        if not is_trained(training.run)
    }
    speed = run.log.at_end("images_per_second") if run.log else float("nan")
    seconds = sum(waiting.values()) * run.config.train.batch_size / speed
    return ProofPlan(causes, steps, len(waiting), None if isnan(seconds) else seconds / 60)


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
    evidence = diagnosis.evidence
    source = RunDirectory(Path(evidence.name))
    proofs = []
    for item in plan.causes:
        if not item.mend.retrain:
            outputs = evidence.val or evidence.train
            if outputs is not None:
                proofs.append(_decoded(item, outputs, source))
            continue
        pairs = []
        for seed in range(SEEDS):
            trainings = _pair(source, item, plan.steps, seed)
            for training in trainings:
                on_training(f"{training.title}, seed {seed}")
                if not is_trained(training.run):
                    _train_alone(training.config, training.run)
            pairs.append(tuple(_last_accuracy(training.run) for training in trainings))
        before, after = zip(*pairs, strict=True)
        noise = seed_noise(before, after)
        proofs.append(Proof(item.code, item.title, item.cost, plan.steps, before, after, noise))
    return proofs


@dataclass(frozen=True)
class _Training:
    """One training of a proof; its directory follows from the whole config."""

    title: str
    config: Config
    run: RunDirectory


def _pair(source: RunDirectory, item: Suspicion, steps: int, seed: int) -> list[_Training]:
    """Return the trainings of a seed: with the settings of the RUN, and with one cause mended.

    Where the cause is a short training, the second one is longer.
    """
    settings = [text for text in item.mend.settings if not text.startswith(_TRAINED_STEPS)]
    mended = steps if len(settings) == len(item.mend.settings) else steps * _LONGER
    found = []
    for title, chosen, length in ((_UNCHANGED, [], steps), (item.code, settings, mended)):
        config = _short(source.load_config(overrides=chosen), length, seed)
        name = f"{title}-{sha256_json(config.to_dict())[:8]}"
        found.append(_Training(title, config, RunDirectory(source.root / "proofs" / name)))
    return found


def _short(config: Config, steps: int, seed: int) -> Config:
    """Return the config of a short training that is measured once, at its end."""
    data, train = config.data, config.train
    return config.replace(
        seed=config.seed + seed,
        data=dataclasses.replace(data, val_split=data.val_split or data.test_split),
        train=dataclasses.replace(
            train, steps=steps, eval_every_epochs=_NEVER, probe_images=0, tensorboard=False
        ),
    )


def _last_accuracy(run: RunDirectory) -> float:
    return read_metrics_log(run.metrics_file).accuracy[-1].mAP or 0.0


def _train_alone(config: Config, run: RunDirectory) -> None:
    """Train in a process of its own."""
    import tomli_w

    file = run.root / "source.toml"
    run.root.mkdir(parents=True, exist_ok=True)
    write_text(file, tomli_w.dumps(config.to_dict()))
    command = [*PROGRAM, "train", str(file), "--out", str(run.root)]
    with sigterm_unwinds():
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
