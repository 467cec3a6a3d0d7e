"""All that the causes of a poor result are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.objects import boxes_at_input
from edge_retina.datasets.schema import Example
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.rate_range import RateRange
from edge_retina.doctor.run.training_log import TrainingLog
from edge_retina.input_pipeline.anchor_objects import drawn_objects

# What a cause may need; `RunEvidence.missing` says why there is none.
LOG, UPDATES, SCORES, PROBE, DATA, TRAIN, VAL = (
    *("log", "updates", "scores", "probe", "data", "train", "val"),
)
FOUND = "found"  # a network that finds enough of its training objects to say something about them
_ENOUGH_FOUND = 0.2  # mAP50 on training images, whatever the class
# What a detector of this kind reaches where nothing is wrong, on BCCD at 256 px and width 0.35
# (benchmarks/results/recipe.md: .578 on test). Costs are guesses.
_GOOD = 0.6
_LEARNT = 0.85  # mAP50 on training images: little is left to learn


@dataclass(frozen=True)
class RunEvidence:
    """What a RUN left, and what its network says about some pictures.

    Attributes:
        name: of the RUN, for commands.
        config: of the RUN.
        labels: class names by index.
        log: figures of the training; None without a metrics.jsonl.
        train_examples: the whole training split; None if the data can't be read.
        grid: the anchors; None if there are none yet.
        train: outputs on some training images without augmentation; None without weights or data.
        val: outputs on some images of the validation split, or of the test split without one.
        rate_range: loss by learning rate; None if it wasn't measured.
        missing: why a kind of evidence isn't there, by its name.
    """

    name: str
    config: Config
    labels: tuple[str, ...]
    log: TrainingLog | None = None
    train_examples: Sequence[Example] | None = None
    grid: AnchorGrid | None = None
    train: Outputs | None = None
    val: Outputs | None = None
    rate_range: RateRange | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def lacks(self, need: str) -> str | None:
        """Return why a kind of evidence isn't there, or None if it is."""
        if need != FOUND:
            return self.missing.get(need)
        if self.train is None or self.train.mAP50_without_classes >= _ENOUGH_FOUND:
            return self.missing.get(TRAIN)
        return (
            "the network hardly finds its training objects (mAP50 "
            f"{self.train.mAP50_without_classes:.2f}, whatever the class), so it can't tell"
        )

    @property
    def mAP(self) -> float:
        """On the validation images if there are any, else on training images; 0 if unknown."""
        outputs = self.val or self.train
        return outputs.mAP if outputs else 0.0

    @property
    def below_good(self) -> float:
        """How far the mAP is below one that such a detector often reaches; at least .02."""
        return max(_GOOD - self.mAP, 0.02)

    @property
    def has_learnt(self) -> bool:
        """Whether the network knows its training images."""
        return self.train is not None and self.train.mAP50 > _LEARNT

    @property
    def rate_turn(self) -> float | None:
        """The learning rate beyond which the loss rises; None if it isn't known."""
        return self.rate_range.turn if self.rate_range else None

    @property
    def unlearnt(self) -> float:
        """The mAP that is missing, less of it the better training images are known.

        What a cause costs that keeps a network from learning.
        """
        return self.below_good * (1 - (self.train.mAP50 if self.train else 0.0))

    @property
    def unlearnt_line(self) -> str:
        """A sentence that goes with a cause of that kind."""
        found = self.train.mAP50 if self.train else 0.0
        return f"training images are not learnt: mAP50 {found:.2f} on them"

    @cached_property
    def objects_px(self) -> np.ndarray:
        """Training objects (N, 4) in pixels of the input, without ignored ones."""
        return boxes_at_input(self.train_examples or (), self.config.model.image_hw)

    @cached_property
    def drawn_px(self) -> np.ndarray:
        """The same (M, 4) as training draws them."""
        return drawn_objects(
            self.train_examples or (),
            image_hw=self.config.model.image_hw,
            settings=self.config.augmentation,
            seed=self.config.seed,
        ).boxes_px

    @property
    def steps(self) -> int:
        """Steps that the training has done, by its log."""
        return self.log.steps[-1]["step"] if self.log and self.log.steps else 0

    @property
    def epochs(self) -> float:
        """How often the training has seen each image."""
        images = len(self.train_examples or ())
        return self.steps * self.config.train.batch_size / images if images else 0.0
