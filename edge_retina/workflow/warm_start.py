"""The detector that a training starts from: checked beforehand, known by its content."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_retina.config import ModelConfig
from edge_retina.errors import RunError
from edge_retina.files import sha256_file, sha256_json
from edge_retina.run_directory import RunDirectory
from edge_retina.training.init_source import (
    InitSource,
    about_init,
    backbone_text,
    find_source,
    other_backbone,
    read_weights,
)
from edge_retina.workflow.trained_weights import trained_weights_sha256

log = logging.getLogger(__name__)


def init_sha256(path: str, *, run: RunDirectory, model: ModelConfig) -> str:
    """Return the hash of what a training starts from: weights and the names of their classes.

    Once the training of `run` is begun it needs them no more: if they are gone, and `path` is still
    the same, their hash is that in the marker of the preparation.

    Args:
        path: of a RUN or a weights file; "" for none, whose hash is "".
        run: the RUN that is trained.
        model: its network.

    Raises:
        RunError: there is no trained detector at `path`, it is damaged, has another backbone, or is
            `run` itself.
    """
    if not path:
        return ""
    if run.is_begun and not Path(path).exists() and run.load_config().train.init == path:
        log.info("train.init: %s is gone; the training has taken its weights already", path)
        return str(run.details("prepare").get("init", ""))
    with about_init():
        source = find_source(Path(path))
        if source.weights_file.resolve() == run.float_weights.resolve():
            raise RunError(f"{path} is the run that is to be trained; name another one")
        _require_same_backbone(source, model)
        weights_sha256 = (
            sha256_file(source.weights_file)
            if source.run is None
            else trained_weights_sha256(source.run)
        )
        read_weights(source.weights_file)
    return sha256_json([weights_sha256, source.labels])


def _require_same_backbone(source: InitSource, model: ModelConfig) -> None:
    """Refuse a RUN on another backbone; what a file has is known when the network is built."""
    if source.run is None:
        return
    their = source.run.load_config().model
    if (their.backbone, their.backbone_width) != (model.backbone, model.backbone_width):
        raise other_backbone(source, backbone_text(their.backbone, their.backbone_width), model)
