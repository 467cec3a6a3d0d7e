"""Losses of a model in training on fixed images: what it has learnt, apart from what it was shown.

Losses of the training itself are those of augmented images and of weights that move. The averaged
weights on the same few images, as they are, as they were shown and from the validation split, tell
too little training from too strong an augmentation and from overfitting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from itertools import islice

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import AugmentationConfig, Config
from edge_retina.datasets.schema import Example
from edge_retina.datasets.subset import spread
from edge_retina.input_pipeline.augmentation import plain_settings
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.model.keras import keras, tf
from edge_retina.training.batchnorm import batchnorms, momentum_of
from edge_retina.training.objective import Objective, detection_objective

_MOST_BYTES = 64 * 2**20  # of the images of one set


class Probe:
    """Measures one model again and again on the same batches."""

    def __init__(
        self,
        model: keras.Model,
        *,
        config: Config,
        grid: AnchorGrid,
        train: Sequence[Example],
        val: Sequence[Example],
    ) -> None:
        """Take `train.probe_images` of each split, or as many as there are.

        Args:
            model: measured with the weights that it has at the time.
            config: of the run.
            grid: its anchors.
            train: the training split.
            val: may be empty.
        """
        self._model, self._config, self._grid = model, config, grid
        self._train, self._val = train, val
        self._losses = {
            training: tf.function(self._objective(training=training)) for training in (False, True)
        }

    def measure(self) -> dict[str, dict[str, float]]:
        """Return the mean losses by set of images.

        Returns:
            `cls_loss` and `box_loss` of "train", images of the training split with flips only;
            "augmented", the same with the training's augmentation; "val", if there is such a split;
            and "batch_statistics", those of "train" with the BatchNorm statistics of each batch.
        """
        found = {name: self._mean(name, training=False) for name in self._batches}
        with momentum_of(batchnorms(self._model), 1.0):  # measuring changes nothing
            found["batch_statistics"] = self._mean("train", training=True)
        return found

    @cached_property
    def _batches(self) -> dict[str, list[tuple[tf.Tensor, ...]]]:
        """The images of each set; drawn at the first measurement."""
        augmentation = self._config.augmentation
        plain = plain_settings(augmentation)
        drawn = {"train": (self._train, plain), "augmented": (self._train, augmentation)}
        if self._val:
            drawn["val"] = (self._val, plain)
        return {name: self._draw(*sources) for name, sources in drawn.items()}

    def _mean(self, name: str, *, training: bool) -> dict[str, float]:
        rows = [self._losses[training](*batch).losses for batch in self._batches[name]]
        return {loss: float(np.mean([row[loss] for row in rows])) for loss in rows[0]}

    def _draw(
        self, examples: Sequence[Example], augmentation: AugmentationConfig
    ) -> list[tuple[tf.Tensor, ...]]:
        config, (height, width) = self._config, self._grid.image_hw
        most = max(_MOST_BYTES // (3 * height * width), 1)
        count = min(config.train.probe_images, len(examples), most)
        size = min(config.train.batch_size, count)
        batches = training_batches(
            spread(examples, count),
            grid=self._grid,
            data=dataclasses.replace(config.data, repeat_threshold=0.0, cache_mb=0),
            augmentation=augmentation,
            matching=config.matching,
            batch_size=size,
            seed=config.seed,
        )
        return list(islice(batches, count // size))

    def _objective(self, *, training: bool) -> Objective:
        return detection_objective(
            self._model,
            anchors_px=self._grid.boxes_px(),
            loss=self._config.loss,
            training=training,
        )
