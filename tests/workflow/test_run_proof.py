"""Counter-proofs: which trainings are done, what they change, and what follows from their mAP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_retina.config import load_config
from edge_retina.doctor.run.diagnosis import RunDiagnosis
from edge_retina.doctor.run.proof import OPEN, PROVEN, REFUTED, Proof, seed_noise
from edge_retina.doctor.run.suspicion import Mend, Suspicion
from edge_retina.errors import RunError
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow import run_proof
from edge_retina.workflow.run_proof import plan_proofs, prove
from tests.doctor.run.made import example as picture
from tests.doctor.run.made import healthy, outputs, right


def suspicion(code: str, *settings: str, retrain: bool = True, cost: float = 0.1) -> Suspicion:
    return Suspicion(code, code, "fit", ("seen",), cost, Mend("mend it", settings, retrain))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.save_config(load_config(overrides=["loss.focal_gamma=5", "seed=7", "train.steps=900"]))
    return run


def diagnosis(run: RunDirectory, *found: Suspicion) -> RunDiagnosis:
    return RunDiagnosis(healthy(name=str(run.root)), found, ())


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int, int]]:
    """Stand-ins of trainings: their directory, gamma, seed and steps; mending gains 10 points."""
    done: list[tuple[str, float, int, int]] = []

    def train(config: object, run: RunDirectory) -> None:
        gamma, seed, steps = config.loss.focal_gamma, config.seed, config.train.steps  # type: ignore[attr-defined]
        done.append((run.root.name.rpartition("-")[0], gamma, seed, steps))
        mAP = 0.4 + (0.1 if gamma == 2 else 0.0) + 0.01 * (seed - 7)
        write_text(run.metrics_file, json.dumps({"step": steps, "mAP": mAP, "mAP50": 0.6}) + "\n")
        run.mark_done("train", {"steps": steps})

    monkeypatch.setattr(run_proof, "_train_alone", train)
    return done


def test_one_thing_is_changed_and_seeds_are_paired(
    run: RunDirectory, trained: list[tuple[str, float, int, int]]
) -> None:
    found = diagnosis(run, suspicion("focal-gamma", "loss.focal_gamma=2"))
    (proof,) = prove(found, plan_proofs(found, count=1, steps=300), on_training=lambda _: None)
    assert trained == [
        ("as-it-is", 5.0, 7, 300),
        ("focal-gamma", 2.0, 7, 300),
        ("as-it-is", 5.0, 8, 300),
        ("focal-gamma", 2.0, 8, 300),
    ]
    assert proof.before == pytest.approx((0.4, 0.41))
    assert proof.gain == pytest.approx(0.1)
    assert proof.noise == pytest.approx(0.01 / 2**0.5)  # each mean of two has 0.005
    assert proof.verdict == PROVEN


def test_what_is_trained_is_not_trained_again(
    run: RunDirectory, trained: list[tuple[str, float, int, int]]
) -> None:
    found = diagnosis(
        run,
        suspicion("focal-gamma", "loss.focal_gamma=2"),
        suspicion("other", "loss.box_weight=2"),
    )
    first = plan_proofs(found, count=1, steps=300)
    assert first.trainings == 4
    prove(found, first, on_training=lambda _: None)
    second = plan_proofs(found, count=2, steps=300)
    assert second.trainings == 2
    assert second.minutes == pytest.approx(2 * 300 * 8 / 40 / 60)  # at 40 images per second
    assert second.announcement == (
        "proof of focal-gamma, other: 2 trainings of 300 steps, about 2 minutes"
    )
    prove(found, second, on_training=lambda _: None)
    assert len(trained) == 6


def test_other_settings_are_another_training(
    run: RunDirectory, trained: list[tuple[str, float, int, int]]
) -> None:
    for gamma in (2, 2.5):
        found = diagnosis(run, suspicion("focal-gamma", f"loss.focal_gamma={gamma}"))
        prove(found, plan_proofs(found, count=1, steps=300), on_training=lambda _: None)
    assert [gamma for name, gamma, *_ in trained if name == "focal-gamma"] == [2, 2, 2.5, 2.5]
    assert [name for name, *_ in trained].count("as-it-is") == 2


def test_a_longer_training_is_the_proof_of_a_short_one(
    run: RunDirectory, trained: list[tuple[str, float, int, int]]
) -> None:
    found = diagnosis(run, suspicion("too-few-steps", "train.steps=4000"))
    prove(found, plan_proofs(found, count=1, steps=100), on_training=lambda _: None)
    assert [steps for *_, steps in trained] == [100, 300, 100, 300]


def test_decoding_needs_no_training(
    run: RunDirectory, trained: list[tuple[str, float, int, int]]
) -> None:
    items = [picture(number) for number in range(12)]
    hidden = outputs([(item, right(item, score=0.5)) for item in items], split="val")
    strict = run.load_config(overrides=["export.score_threshold=0.6"])
    run.save_config(strict)
    evidence = healthy(
        name=str(run.root),
        val=outputs(
            [(item, right(item, score=0.5)) for item in items], split="val", export=strict.export
        ),
    )
    cause = suspicion("decoding", "export.score_threshold=0.05", retrain=False)
    found = RunDiagnosis(evidence, (cause,), ())
    plan = plan_proofs(found, count=1, steps=300)
    assert plan.announcement == "proof of decoding: nothing to train"
    (proof,) = prove(found, plan, on_training=lambda _: None)
    assert trained == []
    assert proof.before == (0.0,)
    assert proof.after[0] == pytest.approx(hidden.mAP)
    assert proof.verdict == PROVEN


def test_what_no_setting_mends_is_left_out(run: RunDirectory) -> None:
    plan = plan_proofs(diagnosis(run, suspicion("labels")), count=3, steps=300)
    assert plan.announcement == "proof: no suspected cause can be mended by a setting"


def test_without_a_split_to_measure_on(run: RunDirectory) -> None:
    evidence = healthy(name=str(run.root), val=None, missing={"val": "the data set has no split"})
    with pytest.raises(RunError, match="can't train and measure: the data set has no split"):
        plan_proofs(RunDiagnosis(evidence, (), ()), count=1, steps=300)


def test_trainings_that_learnt_nothing_refute_nothing() -> None:
    assert Proof("x", "x", 0.1, 30, (0.001, 0.002), (0.001, 0.001), 0.0005).verdict == OPEN


@pytest.mark.parametrize(
    "after, verdict", [((0.45, 0.47), PROVEN), ((0.41, 0.43), OPEN), ((0.39, 0.40), REFUTED)]
)
def test_a_gain_must_exceed_twice_the_noise(after: tuple[float, ...], verdict: str) -> None:
    before = (0.40, 0.42)
    proof = Proof("x", "x", 0.1, 300, before, after, seed_noise(before, after))
    assert proof.verdict == verdict
