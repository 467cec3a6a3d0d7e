"""Files with heads by level for accelerators, each graph converted once for all its targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from edge_retina.config import Config
from edge_retina.export.convert import convert, with_pixel_input
from edge_retina.export.levels_graph import levels_function
from edge_retina.export.metadata import with_metadata
from edge_retina.export.plan import ModelKey
from edge_retina.export.targets.target import CONCATENATION, Target
from edge_retina.model.keras import keras


class LevelsFiles:
    """Makes the files of targets from the same models."""

    def __init__(
        self,
        models: Mapping[ModelKey, keras.Model],
        *,
        levels: Sequence[int],
        labels: tuple[str, ...],
        config: Config,
    ) -> None:
        """Keep what the files are made of.

        Args:
            models: deploy graphs, float or fake-quantised, by precision and upsampling.
            levels: of the pyramid, finest first.
            labels: class names by index.
            config: name and `metadata` are texts for people.
        """
        self._models = models
        self._levels = tuple(levels)
        self._labels = labels
        self._config = config
        self._converted: dict[ModelKey, bytes] = {}

    def content(self, target: Target) -> bytes:
        """Return the .tflite file of a target.

        Raises:
            ExportError: the conversion failed.
        """
        content = self._convert(target)
        if target.input_dtype == "uint8":
            content = with_pixel_input(content)
        if not target.has_metadata:
            return content
        return with_metadata(
            content,
            labels=self._labels,
            levels=self._levels,
            name=self._config.name,
            **dataclasses.asdict(self._config.metadata),
        )

    def _convert(self, target: Target) -> bytes:
        is_int8 = target.precision == "int8"
        key = (target.precision, CONCATENATION if is_int8 else target.upsampling)
        if key not in self._converted:
            self._converted[key] = convert(
                levels_function(self._models[key], levels=self._levels),
                int8=is_int8,
                float16=target.precision == "float16",
                int8_ends=is_int8,
            )
        return self._converted[key]
