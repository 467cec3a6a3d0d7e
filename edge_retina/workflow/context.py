"""What the stages of a run work on: the settings, the data, the anchors, and where results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets import Dataset, Example, annotations_sha256, pictures_sha256
from edge_retina.int8.pinned import read_pinned
from edge_retina.int8.recipe import Recipe, load_recipe
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.teacher import teacher_sha256
from edge_retina.workflow.warm_start import init_sha256

_VERIFIED_IMAGES = 16


@dataclass(frozen=True)
class PreparedData:
    """The data set of a run.

    Attributes:
        dataset: as read.
        train, val, test: its splits by their role; `val` and `test` may be empty.
    """

    dataset: Dataset
    train: Sequence[Example]
    val: Sequence[Example]
    test: Sequence[Example]

    @property
    def splits(self) -> tuple[Sequence[Example], ...]:
        """The train, val and test splits."""
        return self.train, self.val, self.test

    def verification_images(self) -> list[Path]:
        """Return some images on which an exported file is compared with its model."""
        return [example.path for example in (self.val or self.train)[:_VERIFIED_IMAGES]]

    @cached_property
    def fingerprint(self) -> list[object]:
        """What a trained model depends on: class names, labels and pixels it was shown."""
        used = (self.train, self.val)
        return [
            self.dataset.labels,
            [annotations_sha256(examples) for examples in used],
            [pictures_sha256(examples) for examples in used],
        ]


@dataclass(frozen=True)
class RunContext:
    """One run, prepared.

    Attributes:
        run: its directory.
        config: as the user set it, with absolute paths.
        data: the data set.
        grid: the anchors.
    """

    run: RunDirectory
    config: Config
    data: PreparedData
    grid: AnchorGrid

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self.data.dataset.labels

    @cached_property
    def float_model(self) -> Any:
        """The trained Keras model, built once; those who use it leave it as it is."""
        from edge_retina.model.predictor import load_float_model

        return load_float_model(self.run)

    @cached_property
    def recipe(self) -> Recipe:
        """What is quantised how."""
        return load_recipe(self.config.quantize.recipe)

    @cached_property
    def calibration_sha256(self) -> str:
        """Hash of the pinned calibration set; "" if there is none."""
        path = self.config.quantize.calibration_set
        if not path:
            return ""
        known = {example.image_id for example in self.data.train}
        return read_pinned(Path(path), known=known).sha256

    @cached_property
    def teacher_sha256(self) -> str:
        """Hash of the teacher's weights and anchors; "" if there is no teacher."""
        return teacher_sha256(self.config.train.teacher, run=self.run, labels=self.labels)

    @cached_property
    def init_sha256(self) -> str:
        """Hash of the detector that the training starts from; "" if there is none."""
        return init_sha256(self.config.train.init, run=self.run, model=self.config.model)

    @property
    def measured_split(self) -> tuple[str, Sequence[Example]]:
        """Name and examples of the split that is measured: test, else val, else train."""
        data, names = self.data, self.config.data
        if data.test:
            return names.test_split, data.test
        if data.val:
            return names.val_split, data.val
        return names.train_split, data.train

    @cached_property
    def measured_sha256(self) -> tuple[str, str]:
        """Hashes of the labels and the images of the measured split."""
        _, examples = self.measured_split
        return annotations_sha256(examples), pictures_sha256(examples)

    @property
    def ptq_export_dir(self) -> Path:
        """Where the int8 file of the PTQ model goes when the model shipped is the QAT one."""
        return self.run.quantized_dir("ptq") / "export"

    def exported(self, precision: str) -> Path:
        """Return the exported file of a precision."""
        return self.run.export_dir / f"{self.config.name}_{precision}.tflite"
