"""What an output form is: which tensors it fits, and how they become boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_retina.errors import ModelError
from edge_retina.runtime.anchor_file import AnchorSet
from edge_retina.runtime.tensor_values import Tensor

_SLACK = 0.02  # a quantised score of 1 may be read as a little more


@dataclass(frozen=True)
class ModelTensors:
    """What is known of a file before it runs.

    Attributes:
        input_hw: height and width of its input.
        outputs: in the order in which clients see them.
        output_names: what signature and metadata call each of them, and its place in the built-in
            postprocessing operator; lower case, in one text.
        num_labels: how many class names there are; None if there are none yet.
        anchors: of its metadata or the user; None without any.
        anchors_inside: they are of its metadata.
    """

    input_hw: tuple[int, int]
    outputs: tuple[Tensor, ...]
    output_names: tuple[str, ...]
    num_labels: int | None = None
    anchors: AnchorSet | None = None
    anchors_inside: bool = False

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the outputs."""
        return [output.shape for output in self.outputs]


@dataclass(frozen=True)
class Match:
    """How a file's outputs fit a form.

    Attributes:
        order: places of the outputs, in the order in which the form's `decode` takes them.
        label_counts: numbers of class names that fit, the likeliest first; () for any number.
        resize: how the picture is brought to the input's size: `foreign_settings.RESIZES`.
        normalization: key of `normalization.NORMALIZATIONS` for a float input that states none.
    """

    order: tuple[int, ...]
    label_counts: tuple[int, ...]
    resize: str
    normalization: str


@dataclass(frozen=True)
class DecodeContext:
    """What decoding needs besides the outputs.

    Attributes:
        input_hw: height and width of the input.
        num_labels: how many class names there are.
        anchors: as in `ModelTensors`.
    """

    input_hw: tuple[int, int]
    num_labels: int
    anchors: AnchorSet | None


@dataclass(frozen=True)
class Found:
    """Decoded detections of one picture.

    Attributes:
        boxes_norm: (N, 4) yxyx as fractions of the network's input, not clipped.
        classes: (N,) indices into the labels.
        scores: (N,) in 0..1.
    """

    boxes_norm: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class OutputFormat:
    """One form.

    Attributes:
        name: what `--format` takes.
        outputs: its tensors, for people.
        match: returns how a file's outputs fit, or None.
        decode: takes the real values of the outputs in `Match.order`.
        needs_anchors: whether a file without anchors can't be decoded.
        automatic: whether files may be recognised as this form without `--format`.
    """

    name: str
    outputs: str
    match: Callable[[ModelTensors], Match | None]
    decode: Callable[[list[np.ndarray], DecodeContext], Found]
    needs_anchors: bool = False
    automatic: Callable[[ModelTensors], bool] = lambda model: True


def check_scores(scores: np.ndarray) -> None:
    """Refuse scores that are none, as a wrong form gives them.

    Raises:
        ModelError: one is not in 0..1.
    """
    if scores.size and not (scores.min() >= -_SLACK and scores.max() <= 1 + _SLACK):
        raise ModelError(
            f"scores of {scores.min():.3g}..{scores.max():.3g}, but they must be in 0..1: the "
            "outputs are of another form, or logits; name the form with --format, or for logits "
            'of an anchor detector set "sigmoid": true in the file of --anchors'
        )


def named(names: str, *parts: str) -> bool:
    """Whether any of the parts is in the names of an output."""
    return any(part in names for part in parts)
