"""The wirings by name, as in `model.wiring`."""

from __future__ import annotations

from edge_retina.wirings import model_garden, od_fpnlite, own
from edge_retina.wirings.wiring import Wiring

WIRINGS: dict[str, Wiring] = {
    "own": own.WIRING,
    "od_fpnlite": od_fpnlite.WIRING,
    "od_fpnlite_wide": od_fpnlite.WIDE,
    "model_garden": model_garden.WIRING,
}
