"""The config that a data set starts with."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.errors import ConfigError
from edge_retina.files import write_text
from edge_retina.workflow.examination import examine_data

_KINDS = ("error", "warning", "note")


@dataclass(frozen=True)
class NewConfig:
    """A config that was written.

    Attributes:
        path: the file.
        data: the data set it is for.
        name: of the run.
        findings: how many errors, warnings and notes `doctor` found in the data.
    """

    path: Path
    data: Path
    name: str
    findings: dict[str, int]

    @property
    def findings_text(self) -> str:
        """What `doctor` thinks of the data, in one line."""
        parts = [f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in self._counted()]
        return f"data:   {', '.join(parts)}; see them with: edge-retina doctor {self.data}"

    @property
    def next_command(self) -> str:
        """What to do with the file."""
        return f"edge-retina run {self.path} --out {Path('runs') / self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema_version": 1,
            "config": str(self.path),
            "data": str(self.data),
            "findings": dict(self._counted()),
            "next": self.next_command,
        }

    def _counted(self) -> list[tuple[str, int]]:
        return [(kind, self.findings.get(kind, 0)) for kind in _KINDS]


def write_new_config(
    data: Path,
    out: Path | None = None,
    *,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    image_hw: tuple[int, int] | None = None,
    force: bool = False,
) -> NewConfig:
    """Write a config with what `doctor` advises for a data set.

    Args:
        data: the data set.
        out: the file; None for NAME.toml in the working directory.
        preset: whose settings it starts from; None for the defaults.
        overrides: `section.field=value` texts that go into it.
        image_hw: (height, width) of the network's input; None for what is advised.
        force: overwrite the file.

    Raises:
        ConfigError: the file exists, has another suffix, there is no such preset, or an override is
            not allowed.
        DatasetError: there is no data set.
    """
    name = _name_of(data)
    path = Path(f"{name}.toml") if out is None else out
    if path.suffix != ".toml":
        raise ConfigError(f"--out {path}: a config ends with .toml; name the file {path.name}.toml")
    if path.exists() and not force:
        raise ConfigError(f"--out {path}: exists; name another file, or pass --force to replace it")
    named = (f"name={json.dumps(name)}", *overrides)
    found = examine_data(
        data,
        preset=preset,
        overrides=named,
        image_hw=image_hw,
        write_config=path,
        config_by="new",
    )
    write_text(path, found.config)
    kinds = Counter(str(item["severity"]) for item in found.document["findings"])
    return NewConfig(path, data, name, dict(kinds))


def _name_of(data: Path) -> str:
    """Return the data set's name in letters that a file name can have."""
    resolved = data.resolve()
    given = resolved.name if resolved.is_dir() else resolved.stem
    return re.sub(r"[^\w.-]+", "-", given).strip("-.") or "detector"
