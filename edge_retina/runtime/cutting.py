"""Parts of a .tflite file as .tflite files of their own: one operator, one part, one half.

A piece has the operators that it was asked for, with their constants, quantisation parameters and
versions. What it needs from the rest of the model are its inputs, what the rest needs of it are its
outputs. Pieces that cover the model, run one after the other, compute what the whole does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.errors import ModelError
from edge_retina.runtime.graph import Graph, parse_graph
from edge_retina.runtime.model_file import MODEL_IDENTIFIER

_ABSENT = -1  # an optional input that is left out


@dataclass(frozen=True)
class Piece:
    """A part of a model as a model.

    Attributes:
        content: the .tflite file.
        operators: places in the whole model's list, in the order of execution. They include copies
            of the operators that compute constants for the piece.
        inputs: tensors of the whole model, in the order of the piece's inputs.
        outputs: likewise.
    """

    content: bytes
    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class ModelCutter:
    """Cuts pieces out of the main subgraph of a model.

    Attributes:
        graph: of the whole model; pieces are asked for by places in its `operators`.
        constant: places of the operators that compute with constants alone: the runtime carries
            them out once.
    """

    def __init__(self, content: bytes, *, where: str = "model") -> None:
        """Read a model.

        Args:
            content: of a .tflite file.
            where: its name, for error messages.

        Raises:
            ModelError: not a whole TFLite flatbuffer, or its weights lie behind it.
        """
        self.graph: Graph = parse_graph(content, where=where)
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        if any(buffer.offset > 1 for buffer in self._model.buffers):
            raise ModelError(
                f"{where}: its weights lie behind the flatbuffer, as in files over 2 GB; only "
                "smaller files can be cut"
            )
        self._main = self._model.subgraphs[0]
        self._stored = {
            index for index, tensor in enumerate(self.graph.tensors) if tensor.is_constant
        }
        self.constant: frozenset[int] = _constant_operators(self.graph, self._stored)

    def cut(self, operators: Iterable[int]) -> Piece:
        """Return some operators as a model.

        Whatever set of operators it is, the piece is a valid model. One that leaves the middle out
        (of two operators in a row but one) takes an input that depends on an output of its own.

        Args:
            operators: places in `graph.operators`, at least one; the order doesn't matter.

        Raises:
            ValueError: no such place, or none at all.
        """
        asked = sorted(set(operators))
        if not asked or asked[0] < 0 or asked[-1] >= len(self.graph.operators):
            raise ValueError(
                f"operators {asked}: expected places in 0..{len(self.graph.operators) - 1}"
            )
        places = self._with_constants(asked)
        inputs, outputs = self._boundary(places, asked)
        return Piece(self._pack(places, inputs, outputs), tuple(places), inputs, outputs)

    def _with_constants(self, asked: Sequence[int]) -> list[int]:
        """Add the operators that compute constants, such as DEQUANTIZE of float16 weights.

        Handed over as an input, weights would be an activation: there are other kernels for that,
        slower ones, or none.
        """
        places = set(asked)
        producers = {index: place for place in self.constant for index in self._outputs(place)}
        pending = list(asked)
        while pending:
            for index in self.graph.operators[pending.pop()].inputs:
                place = producers.get(index)
                if place is not None and place not in places:
                    places.add(place)
                    pending.append(place)
        return sorted(places)

    def _boundary(
        self, places: Sequence[int], asked: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the tensors that come in and those that go out."""
        operators = self.graph.operators
        made = [index for place in places for index in self._outputs(place)]
        taken = [index for place in places for index in operators[place].inputs]
        inputs = [
            index
            for index in dict.fromkeys(taken)
            if index not in made
            and index not in self._stored
            and not self._main.tensors[index].isVariable
        ]
        inside = set(places)
        used_outside = set(self.graph.outputs)
        for place, operator in enumerate(operators):
            if place not in inside:
                used_outside.update(operator.inputs)
        computed = [
            index for place in asked for index in self._outputs(place) if place not in self.constant
        ]
        outputs = [index for index in computed if index in used_outside]
        # Of what nobody needs, all is shown: a model must have an output
        last_resort = computed or [index for place in asked for index in self._outputs(place)]
        return tuple(inputs), tuple(outputs or last_resort)

    def _outputs(self, place: int) -> tuple[int, ...]:
        return self.graph.operators[place].outputs

    def _pack(self, places: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        operators = [self._main.operators[place] for place in places]
        graph = schema.SubGraphT()
        graph.name = self._main.name
        kept = _Kept(self._model, self._main)
        graph.operators = [kept.operator(operator) for operator in operators]
        graph.inputs = [kept.tensor(index) for index in inputs]
        graph.outputs = [kept.tensor(index) for index in outputs]
        graph.tensors = kept.tensors
        model = schema.ModelT()
        model.version = self._model.version
        model.subgraphs = [graph]
        if any(map(_calls_subgraph, operators)):
            model.subgraphs += [
                _Kept(self._model, other, kept).whole() for other in self._model.subgraphs[1:]
            ]
        model.buffers, model.operatorCodes = kept.buffers, kept.codes
        builder = Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
        return bytes(builder.Output())


class _Kept:
    """What of a model goes into a piece, renumbered.

    Attributes:
        tensors: of one subgraph.
        buffers, codes: of the model: shared by its subgraphs.
    """

    def __init__(self, model: Any, graph: Any, shared: _Kept | None = None) -> None:
        self._model, self._graph = model, graph
        self.tensors: list[Any] = []
        self._tensors: dict[int, int] = {}
        # Buffer 0 is empty by convention
        self.buffers: list[Any] = shared.buffers if shared else [schema.BufferT()]
        self.codes: list[Any] = shared.codes if shared else []
        self._buffers: dict[int, int] = shared._buffers if shared else {0: 0}
        self._codes: dict[int, int] = shared._codes if shared else {}

    def tensor(self, index: int) -> int:
        """Return the new index of a tensor."""
        if index == _ABSENT:
            return _ABSENT
        if index not in self._tensors:
            tensor = copy.copy(self._graph.tensors[index])
            tensor.buffer = _place(self._model.buffers, tensor.buffer, self._buffers, self.buffers)
            self._tensors[index] = len(self.tensors)
            self.tensors.append(tensor)
        return self._tensors[index]

    def operator(self, operator: Any) -> Any:
        """Return a copy of an operator that names what it uses by its new index."""
        made = copy.copy(operator)
        made.opcodeIndex = _place(
            self._model.operatorCodes, operator.opcodeIndex, self._codes, self.codes
        )
        made.inputs = self._all(operator.inputs)
        made.outputs = self._all(operator.outputs)
        if operator.intermediates is not None:
            made.intermediates = self._all(operator.intermediates)
        return made

    def whole(self) -> Any:
        """Return a copy of the subgraph with all that is in it."""
        made = copy.copy(self._graph)
        for index in range(len(self._graph.tensors)):  # in order, so that no index changes
            self.tensor(index)
        made.tensors = self.tensors
        made.operators = [self.operator(operator) for operator in self._graph.operators or ()]
        return made

    def _all(self, indices: Any) -> list[int]:
        return [self.tensor(int(index)) for index in ([] if indices is None else indices)]


def _place(items: Sequence[Any], index: int, places: dict[int, int], kept: list[Any]) -> int:
    """Return the place of an item among those that are kept; keep it, if it isn't yet."""
    if index not in places:
        places[index] = len(kept)
        kept.append(items[index])
    return places[index]


def _constant_operators(graph: Graph, stored: set[int]) -> frozenset[int]:
    """Return the places of the operators that compute with constants alone."""
    known = set(stored)
    places = []
    for place, operator in enumerate(graph.operators):
        if operator.inputs and known.issuperset(operator.inputs):
            places.append(place)
            known.update(operator.outputs)
    return frozenset(places)


def _calls_subgraph(operator: Any) -> bool:
    """Whether an operator has a subgraph of its own, as IF and WHILE do."""
    options = (operator.builtinOptions, operator.builtinOptions2)
    fields = (name for item in options if item is not None for name in vars(item))
    return any("subgraph" in name.lower() for name in fields)
