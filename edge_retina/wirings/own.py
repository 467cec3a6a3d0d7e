"""This package's own network."""

from __future__ import annotations

from edge_retina.wirings.wiring import Wiring

WIRING = Wiring()
