"""What to change in the config, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Advice:
    """A config field, the value it should have, and why."""

    key: str
    value: Any
    reason: str

    @property
    def value_text(self) -> str:
        """The value as in a config file."""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
