"""A TensorFlow 2 checkpoint as a tree of objects, whose variables are found by their path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.errors import ModelError, first_line
from edge_retina.files import sha256_file

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_EXPECTED = "expected a TensorFlow 2 checkpoint, such as checkpoint/ckpt-0"


class Checkpoint:
    """An object-based checkpoint.

    Variables are found by the names of attributes on the way to them, which are the same however
    the file calls them: an object that is reached in two ways has the key of one of them only.

    Attributes:
        path: its prefix, without `.index`.
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Args:
            path: its prefix, its `.index` file, or a directory with one checkpoint.

        Raises:
            ModelError: it can't be read, or isn't object-based.
        """
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        from edge_retina.model.keras import tf

        self.path = _prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(str(self.path))
            graph = trackable_object_graph_pb2.TrackableObjectGraph()
            if not self._reader.has_tensor(_GRAPH):
                raise ModelError(
                    f"{self.path}: is of TensorFlow 1 (it has no object graph); {_EXPECTED}"
                )
            graph.ParseFromString(self._reader.get_tensor(_GRAPH))
        except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self.path}: can't be read ({first_line(error)}); {_EXPECTED}"
            ) from None
        self._nodes = graph.nodes
        self._used: set[str] = set()

    def has(self, path: str) -> bool:
        """Whether there is an object at a path such as `model/_box_predictor`."""
        return self._find(path) is not None

    def count(self, path: str) -> int:
        """Return how many numbered children an object has; 0 if it isn't there."""
        node = self._find(path)
        return sum(child.local_name.isdigit() for child in node.children) if node is not None else 0

    def value(self, path: str) -> np.ndarray:
        """Return a variable.

        Raises:
            ModelError: there is none at `path`, or its data are missing.
        """
        node = self._find(path)
        keys = [a.checkpoint_key for a in node.attributes if a.name == _VALUE] if node else []
        if not keys:
            raise ModelError(
                f"{self.path}: has no variable {path}; it is cut, or of another network"
            )
        return self.take(keys[0])

    def take(self, key: str) -> np.ndarray:
        """Return the variable with a key of the file.

        Raises:
            ModelError: its data are missing.
        """
        from edge_retina.model.keras import tf

        try:
            value: np.ndarray = self._reader.get_tensor(key)
        except (tf.errors.OpError, IndexError, RuntimeError) as error:  # by what is damaged
            raise ModelError(
                f"{self.path}: {key} can't be read ({first_line(error)}); copy the file again"
            ) from None
        self._used.add(key)
        return value

    def layers(self, below: str) -> dict[str, dict[str, str]]:
        """Return the keys of the variables below a path, by the names of layer and variable."""
        found: dict[str, dict[str, str]] = {}
        for full_name, key in self._variables(below):
            layer, _, variable = full_name.rpartition("/")
            found.setdefault(layer.rpartition("/")[2], {})[variable] = key
        return found

    def unused(self, below: str) -> list[str]:
        """Return the keys of variables below a path that nobody has asked for."""
        return sorted({key for _, key in self._variables(below)} - self._used)

    def refuse_unused(self, *below: str, spare: str = "") -> None:
        """Refuse a checkpoint with variables below some paths that nobody has asked for.

        Args:
            below: the paths.
            spare: a path whose variables needn't be asked for; "" for none.

        Raises:
            ModelError: there are some; one is named.
        """
        known = set(self.unused(spare)) if spare else set()
        left = [key for path in below for key in self.unused(path) if key not in known]
        if left:
            raise ModelError(
                f"{self.path}: {len(left)} variables have no place in this network, such as "
                f"{left[0]}; it is of another network"
            )

    def _variables(self, below: str) -> list[tuple[str, str]]:
        """Return full name and key of every variable below a path."""
        found: list[tuple[str, str]] = []
        start = self._find(below)
        todo, seen = [start] if start is not None else [], set()
        while todo:
            node = todo.pop()
            found += [(a.full_name, a.checkpoint_key) for a in node.attributes if a.name == _VALUE]
            for child in node.children:
                if child.node_id not in seen:
                    seen.add(child.node_id)
                    todo.append(self._nodes[child.node_id])
        return found

    def _find(self, path: str) -> Any:
        node = self._nodes[0]
        for name in path.split("/"):
            numbers = {child.local_name: child.node_id for child in node.children}
            if name not in numbers:
                return None
            node = self._nodes[numbers[name]]
        return node


def checkpoint_sha256(path: Path) -> str:
    """Return the hash of a checkpoint's data, which lie in one file as a rule."""
    return sha256_file(next(iter(sorted(path.parent.glob(f"{path.name}.data-*")))))


def _prefix(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob("*.index"))
        if len(found) != 1:
            places = ", ".join(item.name for item in found) or "none"
            raise ModelError(f"{path}: expected one checkpoint (*.index) in it, found {places}")
        path = found[0]
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    if not prefix.with_name(prefix.name + ".index").is_file():
        raise ModelError(f"{path}: no such checkpoint; {_EXPECTED}")
    if not list(prefix.parent.glob(f"{prefix.name}.data-*")):
        raise ModelError(f"{prefix}: its data file ({prefix.name}.data-00000-of-00001) is missing")
    return prefix
