"""`doctor DATA --labels`: judge every picture by a detector that was trained without it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_retina.config import Config, ExportConfig
from edge_retina.datasets import Dataset, annotations_sha256, load_dataset
from edge_retina.datasets.example_table import each_once, pick
from edge_retina.datasets.schema import Example, image_ids_of
from edge_retina.doctor.labels.suspects import Suspect, find_suspects
from edge_retina.errors import DatasetError, RunError
from edge_retina.evaluation.matches import find_matches
from edge_retina.files import load_json, sha256_json, write_json
from edge_retina.progress import show_progress
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import load_image
from edge_retina.workflow.side_training import train_beside

log = logging.getLogger(__name__)

_FEWEST_IMAGES = 4  # of a fold


@dataclass(frozen=True)
class LabelCheck:
    """What was judged, and what is suspicious.

    Attributes:
        dataset: as read.
        examples: all its pictures, each once.
        detections: of each, by the detector of the other folds.
        suspects: the most suspicious of each kind in turn.
        mAP50: of these detections, against the labels as they are; 0 without labels.
    """

    dataset: Dataset
    examples: Sequence[Example]
    detections: tuple[Detections, ...]
    suspects: tuple[Suspect, ...]
    mAP50: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        return {
            "schema_version": 1,
            "data": str(self.dataset.root),
            "images": len(self.examples),
            "objects": sum(len(example.classes) for example in self.examples),
            "mAP50": self.mAP50,
            "suspects": [suspect.to_dict() for suspect in self.suspects],
        }


def check_labels(
    config: Config, out: Path, *, folds: int, groups: Mapping[str, int] = MappingProxyType({})
) -> LabelCheck:
    """Train a detector for each fold, and list the labels that they disagree with.

    Folds that are trained are not trained again, and an interrupted one goes on.

    Args:
        config: of the trainings; `data.path` names the data set, all splits of which are judged.
        out: for the RUNs.
        folds: number of parts; each picture is in one.
        groups: number of a group by image id, of copies for example; pictures of a group get into
            the same fold. A picture that isn't among them is a group of its own.

    Raises:
        DatasetError: too few pictures for so many folds.
        RunError: `out` holds folds of other data or settings.
    """
    dataset = load_dataset(
        config.data.path, skip_invalid=config.data.skip_invalid, seed=config.seed
    )
    examples = every_picture(dataset)
    if len(examples) < folds * _FEWEST_IMAGES:
        raise DatasetError(
            f"{dataset.root}: {len(examples)} pictures are too few for {folds} folds of at least "
            f"{_FEWEST_IMAGES}"
        )
    # Numbers of single pictures are negative, so that no group has them.
    numbers = [groups.get(item.image_id, -place - 1) for place, item in enumerate(examples)]
    fold_of = assign_folds(len(examples), folds, groups=numbers, seed=config.seed)
    _refuse_other_work(config, examples, out, fold_of)
    detections: dict[int, Detections] = {}
    for fold in range(folds):
        chosen = np.flatnonzero(fold_of == fold).tolist()
        rest = pick(examples, np.flatnonzero(fold_of != fold))
        log.info("fold %d of %d: trained on %d, judges %d", fold + 1, folds, len(rest), len(chosen))
        judged = pick(examples, chosen)
        run = RunDirectory(out / f"fold-{fold}")
        found = _judge(config, dataset.labels, run, train=rest, judged=judged)
        detections |= dict(zip(chosen, found, strict=True))
    ordered = tuple(detections[place] for place in range(len(examples)))
    suspects = tuple(find_suspects(examples, ordered, dataset.labels))
    precision = find_matches(examples, ordered, dataset.labels).average_precision()[0][:, 0]
    mAP50 = float(np.nanmean(precision)) if np.isfinite(precision).any() else 0.0
    return LabelCheck(dataset, examples, ordered, suspects, mAP50)


def every_picture(dataset: Dataset) -> Sequence[Example]:
    """Return the pictures of all splits, each once, in the order of their names."""
    unique = each_once(dataset.splits.values())
    names = image_ids_of(unique)
    return pick(unique, sorted(range(len(names)), key=names.__getitem__))


def assign_folds(
    count: int, folds: int, *, groups: Sequence[int] = (), seed: int = 0
) -> np.ndarray:
    """Return a fold (N,) for each picture; groups stay together, and folds are about as large.

    Args:
        count: N.
        folds: number of folds.
        groups: number of the group of each picture; empty if each is one of its own.
        seed: of the order.
    """
    _, group = np.unique(groups if len(groups) else np.arange(count), return_inverse=True)
    sizes = np.bincount(group, minlength=1)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large groups first: they fit worst
    filled, fold_of_group = np.zeros(folds, int), np.zeros(len(sizes), int)
    for number in order:
        fold = int(filled.argmin())
        fold_of_group[number] = fold
        filled[fold] += sizes[number]
    return np.asarray(fold_of_group[group])


def _refuse_other_work(
    config: Config, examples: Sequence[Example], out: Path, fold_of: np.ndarray
) -> None:
    """Keep what the folds depend on; refuse to go on with folds of something else."""
    tree = config.to_dict()
    sections = {name: tree[name] for name in ("seed", "model", "anchors", "matching", "loss")}
    sections |= {name: tree[name] for name in ("augmentation", "train")}
    found = sha256_json([sections, annotations_sha256(examples), fold_of.tolist()])
    file = out / "folds.json"
    if not file.exists():
        write_json(file, {"schema_version": 1, "fingerprint": found})
    elif _fingerprint(file) != found:
        raise RunError(
            f"{out}: holds folds of other data or settings; give another --out, or delete it"
        )


def _fingerprint(file: Path) -> str:
    try:
        return str(load_json(file)["fingerprint"])
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{file}: damaged ({error}); give another --out, or delete {file.parent}"
        ) from None


def _judge(
    config: Config,
    labels: tuple[str, ...],
    run: RunDirectory,
    *,
    train: Sequence[Example],
    judged: Sequence[Example],
) -> list[Detections]:
    """Train on some pictures, unless that is done, and return the detections on others."""
    from edge_retina.model.predictor import KerasPredictor, load_float_model

    train_beside(config, run, labels=labels, train=train)
    export = dataclasses.replace(config.export, score_threshold=ExportConfig.score_threshold)
    predictor = KerasPredictor(
        load_float_model(run), anchors=run.load_anchors(), labels=labels, export=export
    )
    found = []
    with show_progress("judge", len(judged)) as progress:
        for done, example in enumerate(judged, 1):
            found.append(predictor.predict(load_image(example.path)))
            progress(done)
    return found
