"""A stage of a run, and when it counts as done.

Stages form a graph: each names the stages whose results it reads and what else it depends on. A
marker, the last thing that a stage writes, holds

- a fingerprint: of the settings and data that the stage depends on, and of the results of the
  stages it needs, by the hashes in their markers;
- the hash of every file that the stage made.

So a stage is done again exactly when something that it depends on has changed, whoever changed it,
and a result that was damaged or replaced is noticed. Stages that don't depend on each other never
touch each other's markers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.files import load_json, sha256_file, sha256_json
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.manifest import MANIFEST_NAME
from edge_retina.workflow.context import RunContext

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: of its marker.
        needs: names of the stages whose results it reads; `{method}` stands for the config's
            quantisation method. Stages that the config leaves out are not needed.
        inputs: what else the result depends on, ready for JSON.
        outputs: the files that it makes.
        run: makes them, and returns details for the marker.
        command: what makes the outputs, for messages.
        wanted: whether the config asks for this stage.
    """

    name: str
    needs: tuple[str, ...]
    inputs: Callable[[RunContext], Any]
    outputs: Callable[[RunContext], Sequence[Path]]
    run: Callable[[RunContext], dict[str, Any]]
    command: str = "run"
    wanted: Callable[[RunContext], bool] = lambda _context: True


class StageGraph:
    """The table of all stages, in an order in which they can be done."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = {stage.name: stage for stage in stages}

    @property
    def names(self) -> tuple[str, ...]:
        """All stages, those first that others need."""
        return tuple(self._stages)

    def complete(self, context: RunContext, names: Sequence[str] | None = None) -> None:
        """Do those of the stages that are wanted and not done; all of them by default."""
        for name in names or self.names:
            stage = self._stages[name]
            if not stage.wanted(context):
                continue
            if self.is_done(stage.name, context):
                log.info("%s: already done", name)
            else:
                self.redo(name, context)

    def redo(self, name: str, context: RunContext) -> dict[str, Any]:
        """Do a stage whether it is done or not, on the results that are there.

        Returns:
            The details of its marker.

        Raises:
            RunError: the result of a stage that it needs is missing.
        """
        stage = self._stages[name]
        for needed in self._needed(stage, context):
            for path in needed.outputs(context):
                context.run.require(path, needed.command)
        fingerprint = self._fingerprint(stage, context)
        context.run.mark_undone(name)
        log.info("%s: started", name)
        details = stage.run(context)
        marker = {
            "fingerprint": fingerprint,
            "outputs": _hashes(context.run, stage.outputs(context)),
            **details,
        }
        context.run.mark_done(name, marker)
        return details

    def is_done(self, name: str, context: RunContext) -> bool:
        """Whether a stage was finished with these inputs and what it made is still there."""
        stage, marker = self._stages[name], context.run.details(name)
        if marker.get("fingerprint") != self._fingerprint(stage, context):
            return False
        hashes = _hashes(context.run, stage.outputs(context))
        changed = [path for path, sha256 in hashes.items() if marker["outputs"].get(path) != sha256]
        if changed:
            log.warning("%s: %s is missing or was changed; doing it again", name, changed[0])
        return not changed

    def _needed(self, stage: Stage, context: RunContext) -> list[Stage]:
        method = context.config.quantize.method
        needed = (self._stages[name.format(method=method)] for name in stage.needs)
        return [item for item in needed if item.wanted(context)]

    def _fingerprint(self, stage: Stage, context: RunContext) -> str:
        needed = {
            item.name: context.run.details(item.name).get("outputs")
            for item in self._needed(stage, context)
        }
        return sha256_json({"inputs": stage.inputs(context), "needs": needed})


def _hashes(run: RunDirectory, paths: Sequence[Path]) -> dict[str, str]:
    """Return the hash of each file by its path in the RUN; "" for one that is missing."""
    return {str(path.relative_to(run.root)): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    if path.name != MANIFEST_NAME:
        return sha256_file(path)
    # The manifest gets its metrics after the export: they are no part of what was exported.
    try:
        tree = load_json(path)
    except ValueError:
        return "damaged"
    return sha256_json({**tree, "metrics": {}}) if isinstance(tree, dict) else "damaged"
