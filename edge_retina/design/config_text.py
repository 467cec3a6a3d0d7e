"""The chosen network as a config file that `edge-retina train` takes."""

from __future__ import annotations

from edge_retina.boxes.anchors import size_text
from edge_retina.design.grid import AXES
from edge_retina.design.search import Design
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.advice.config_file import config_file


def config_text(design: Design, *, data_path: str) -> str:
    """Return the config in TOML, with the measurement as comments.

    Args:
        design: what was found.
        data_path: for `data.path`, relative to the file's directory; "" leaves it to the user.
    """
    chosen = design.chosen
    config = chosen.network.config
    measured = f"{chosen.measured_ms:.2f} ms" if chosen.measured_ms is not None else ""
    why = (
        f"'edge-retina design': {chosen.title} takes {measured} of {design.budget_ms:g} ms on "
        f"{design.device} ({design.environment.cpu}, {design.backend}, threads {design.threads})"
    )
    reasons = {"model.image_hw": why}
    if chosen.fit is not None:
        reasons["model.min_level"] = (
            f"{chosen.fit.learnable:.1%} of the objects have a side of one cell "
            f"({2**config.model.min_level} px) or more at {size_text(config.model.image_hw)} px"
        )
    advice = []
    for key in AXES:
        section, _, name = key.partition(".")
        value = getattr(getattr(config, section), name)
        value = list(value) if isinstance(value, tuple) else value
        advice.append(Advice(key, value, reasons.get(key, "")))
    return config_file(tuple(advice), config, data_path=data_path, command="design")
