"""The weights of another RUN that a training builds on."""

from __future__ import annotations

from edge_retina.errors import RunError
from edge_retina.files import sha256_file
from edge_retina.run_directory import RunDirectory


def trained_weights_sha256(run: RunDirectory) -> str:
    """Return the hash of the float weights, which must be what the finished training wrote.

    Raises:
        RunError: not a RUN, not trained to the end, of another version, or damaged.
        ConfigError: its config can't be read by this version.
    """
    run.load_config()
    weights, marker = run.float_weights, run.details("train")
    if not marker:
        raise RunError(f"{run.root}: its training is not finished; finish 'edge-retina train'")
    outputs = marker.get("outputs")
    name = str(weights.relative_to(run.root))
    if not isinstance(outputs, dict) or name not in outputs:
        raise RunError(
            f"{run.marker('train')}: holds no hash of {name}, so it is of another version; "
            "train it again"
        )
    found = sha256_file(run.require(weights, "train"))
    if found != outputs[name]:
        raise RunError(
            f"{weights}: damaged or replaced (not what its training wrote); train it again"
        )
    return found
