"""Where the time of a .tflite file goes: by operator and by part, with MACs, bytes and a roofline.

Each operator, each part and the whole are models of their own, cut out of the file, that run in
turn on the values that the whole hands them. Alone, an operator finds its data in the caches and
pays for its own call; the first is why the sum may miss the whole, the second is subtracted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edge_retina.benchmark.ceilings import (
    CONVOLUTION_MACS,
    Copy,
    convolution_model,
    empty_model,
)
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.piece_timing import (
    BUILTIN,
    XNNPACK,
    Kernels,
    TimedPiece,
    sample_tensors,
    time_interleaved,
)
from edge_retina.benchmark.profile_result import (
    Ceilings,
    OperatorProfile,
    PartProfile,
    Profile,
    Work,
)
from edge_retina.errors import BenchmarkError
from edge_retina.progress import ProgressUpdate, show_progress
from edge_retina.runtime.cutting import ModelCutter, Piece
from edge_retina.runtime.graph import Graph, OperatorInfo, TensorInfo
from edge_retina.runtime.image import normalize, stretch
from edge_retina.runtime.model_file import check_model_file
from edge_retina.runtime.ops import delegate_partitions
from edge_retina.runtime.parts import PARTS, parts_of
from edge_retina.runtime.start_up_lines import without_start_up_lines
from edge_retina.runtime.tensor_contract import is_image

_ROUNDS = 7
_OPERATOR_SLICE_MS, _PIECE_SLICE_MS, _WHOLE_SLICE_MS = 3.0, 15.0, 60.0
_ITEM_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4}
_ITEM_BYTES |= {"float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2}  # all others: 1
# Names of what is timed besides parts and operators
_WHOLE, _DELEGATED, _OUTSIDE, _COPY, _CALL = "whole", "delegated", "outside", "copy", "call "
_SMALLEST_COPY = 2**18  # bytes; of less, the call would be timed
_GRAIN = 16  # pixels of the noise, so that it is not plain grey to the network
_INT8 = frozenset({"int8", "uint8"})
_NUMBERS = _INT8 | _ITEM_BYTES.keys() - {"bfloat16"} | {"bool"}


def profile_model(
    path: Path,
    *,
    backend: str = XNNPACK,
    threads: int = 1,
    image_rgb: np.ndarray | None = None,
    rounds: int = _ROUNDS,
) -> Profile:
    """Time a file, its parts and its operators beside one another on this machine.

    Args:
        path: a .tflite file, ours or foreign.
        backend: "xnnpack" or "builtin".
        threads: of the interpreter, 1 or more.
        image_rgb: an upright (H, W, 3) uint8 picture to run on; None: coloured noise.
        rounds: how often everything has its turn.

    Raises:
        BenchmarkError: LiteRT can't run it.
        ModelError: not a whole TFLite file.
    """
    check_model_file(path)
    content = path.read_bytes()
    cutter = ModelCutter(content, where=str(path))
    kernels = Kernels(backend, threads)
    inputs = [_input(tensor, image_rgb) for tensor in cutter.graph.input_tensors]
    values = sample_tensors(content, inputs, threads=threads, where=str(path))
    with show_progress("profile", rounds) as progress:
        return _Profiler(path, content, cutter, kernels, values).measure(rounds, progress)


def noise_picture(image_hw: tuple[int, int], *, seed: int) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture of coloured noise, the same for the same seed."""
    height, width = image_hw
    coarse = (-(-height // _GRAIN), -(-width // _GRAIN), 3)
    colours = np.random.default_rng(seed).integers(0, 256, coarse).astype(np.uint8)
    return stretch(colours, image_hw)


def _input(tensor: TensorInfo, image_rgb: np.ndarray | None) -> np.ndarray:
    """Return values for an input: the picture where it is one, else noise.

    Raises:
        BenchmarkError: it takes no numbers.
    """
    if tensor.dtype not in _NUMBERS:
        raise BenchmarkError(
            f"input {tensor.name} is of type {tensor.dtype}; only inputs of numbers can be filled"
        )
    rng = np.random.default_rng(0)
    if is_image(tensor.shape):
        height, width = tensor.shape[1:3]
        picture = noise_picture((height, width), seed=0) if image_rgb is None else image_rgb
        pixels = stretch(picture, (height, width))[np.newaxis]
        if tensor.dtype == "uint8":
            return pixels
        if tensor.dtype == "int8":
            return (pixels.astype(np.int16) - 128).astype(np.int8)
        return normalize(pixels).astype(tensor.dtype)
    if tensor.dtype.startswith(("int", "uint")):
        return rng.integers(0, 2, tensor.shape).astype(tensor.dtype)
    return rng.uniform(-1, 1, tensor.shape).astype(tensor.dtype)


class _Profiler:
    """One file's pieces, opened, and what is made of their times."""

    def __init__(
        self,
        path: Path,
        content: bytes,
        cutter: ModelCutter,
        kernels: Kernels,
        values: Mapping[int, np.ndarray],
    ) -> None:
        self._path, self._cutter, self._kernels, self._values = path, cutter, kernels, values
        self._graph: Graph = cutter.graph
        places = range(len(self._graph.operators))
        self._places = [place for place in places if place not in cutter.constant]
        self._parts = parts_of(self._graph)
        made = (self._graph.operators[place].outputs for place in cutter.constant)
        # Such as float32 weights that are stored as float16
        self._constants = frozenset(index for outputs in made for index in outputs)
        self._partitions = self._find_partitions(content)
        self._delegated = frozenset[int]().union(*self._partitions)
        self._measured: dict[str, TimedPiece | Copy] = {}
        self._slices: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        largest = max(map(_tensor_bytes, self._activations(self._places)), default=0)
        self._copy = Copy(max(largest, _SMALLEST_COPY))
        whole = Piece(content, tuple(places), self._graph.inputs, self._graph.outputs)
        self._open(_WHOLE, whole, _WHOLE_SLICE_MS)

    def measure(self, rounds: int, progress: ProgressUpdate) -> Profile:
        """Time everything."""
        sides = {
            _DELEGATED: [place for place in self._places if place in self._delegated],
            _OUTSIDE: [place for place in self._places if place not in self._delegated],
        }
        groups = {
            part: [place for place in self._places if self._parts[place] == part] for part in PARTS
        }
        for name, group in (*sides.items(), *groups.items()):
            if group:
                self._open(name, self._cutter.cut(group), _PIECE_SLICE_MS)
        for place in self._places:
            self._open(_key(place), self._cutter.cut([place]), _OPERATOR_SLICE_MS)
        self._open_ceilings()
        names = list(self._measured)
        times = time_interleaved(
            [self._measured[name].median_ms for name in names],
            rounds=rounds,
            slices_ms=[self._slices[name] for name in names],
            progress=progress,
        )
        return self._profile(dict(zip(names, times, strict=True)), sides, groups, rounds)

    def _find_partitions(self, content: bytes) -> tuple[frozenset[int], ...]:
        interpreter = self._kernels.open(content)
        with without_start_up_lines():
            interpreter.allocate_tensors()
        return delegate_partitions(interpreter)

    def _activations(self, places: Iterable[int]) -> Iterable[TensorInfo]:
        for place in places:
            yield from self._graph.activations(self._graph.operators[place])

    def _open(self, name: str, piece: Piece, slice_ms: float) -> None:
        missing = [index for index in piece.inputs if index not in self._values]
        try:
            if missing:
                raise ValueError(f"tensor {missing[0]} has no values after a run")
            self._measured[name] = TimedPiece(piece, self._values, self._kernels)
        except (RuntimeError, ValueError) as error:  # shown in the place of its time
            self._refused[name] = str(error).strip().splitlines()[0]
            if name == _WHOLE:
                raise BenchmarkError(
                    f"{self._path}: LiteRT can't run the model ({self._refused[name]})"
                ) from None
        self._slices[name] = slice_ms

    def _open_ceilings(self) -> None:
        dtypes = {self._dtype(self._graph.operators[place]) for place in self._places}
        for dtype in (kind for kind in ("float32", "int8") if kind in dtypes):
            content = convolution_model(dtype)
            shape = ModelCutter(content).graph.input_tensors[0].shape
            values = {0: np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)}
            piece = Piece(content, (0,), (0,), (3,))
            self._measured[dtype] = TimedPiece(piece, values, self._kernels)
            self._slices[dtype] = _PIECE_SLICE_MS
        self._measured[_COPY], self._slices[_COPY] = self._copy, _PIECE_SLICE_MS
        for backend in {self._kernels.backend, BUILTIN}:
            piece, values = Piece(empty_model(), (0,), (0,), (1,)), {0: np.ones(1, np.float32)}
            kernels = dataclasses.replace(self._kernels, backend=backend)
            self._measured[_CALL + backend] = TimedPiece(piece, values, kernels)
            self._slices[_CALL + backend] = _OPERATOR_SLICE_MS

    def _profile(
        self,
        times: Mapping[str, float],
        sides: Mapping[str, Sequence[int]],
        groups: Mapping[str, Sequence[int]],
        rounds: int,
    ) -> Profile:
        calls = {
            name.removeprefix(_CALL): ms for name, ms in times.items() if name.startswith(_CALL)
        }
        ceilings = Ceilings(
            gmacs_per_s={
                dtype: CONVOLUTION_MACS / times[dtype] / 1e6
                for dtype in ("float32", "int8")
                if dtype in times
            },
            gbytes_per_s=self._copy.moved_bytes / times[_COPY] / 1e6,
            copy_bytes=self._copy.moved_bytes // 2,
            call_ms=calls,
        )
        operators = {place: self._operator(place, times, ceilings) for place in self._places}
        delegated, outside = (
            self._work(sides[name], self._net_ms(name, sides[name], times, calls))
            if sides[name]
            else None
            for name in (_DELEGATED, _OUTSIDE)
        )
        return Profile(
            path=str(self._path),
            backend=self._kernels.backend,
            threads=self._kernels.threads,
            whole=self._work(self._places, times[_WHOLE]),
            delegated=delegated,
            outside=outside,
            partitions=len(self._partitions),
            parts=tuple(
                self._part(name, [operators[place] for place in group], times, calls)
                for name, group in groups.items()
                if group
            ),
            operators=tuple(operators.values()),
            ceilings=ceilings,
            rounds=rounds,
            environment=read_environment(),
        )

    def _operator(
        self, place: int, times: Mapping[str, float], ceilings: Ceilings
    ) -> OperatorProfile:
        operator = self._graph.operators[place]
        name = _key(place)
        work = self._work([place], self._net_ms(name, [place], times, ceilings.call_ms))
        dtype = self._dtype(operator)
        peak = ceilings.gmacs_per_s.get(dtype)
        compute_ms = work.macs / peak / 1e6 if peak else 0.0
        moved = work.weight_bytes + work.activation_bytes
        memory_ms = moved / ceilings.gbytes_per_s / 1e6
        output = self._graph.tensors[operator.outputs[0]] if operator.outputs else None
        return OperatorProfile(
            place=place,
            name=operator.name,
            part=self._parts[place],
            output=output.name if output else "",
            shape=output.shape if output else (),
            dtype=dtype,
            delegated=place in self._delegated,
            work=work,
            roof_ms=max(compute_ms, memory_ms),
            limit="compute" if compute_ms > memory_ms else "memory",
            why_untimed=self._refused.get(name, ""),
        )

    def _part(
        self,
        name: str,
        operators: Sequence[OperatorProfile],
        times: Mapping[str, float],
        calls: Mapping[str, float],
    ) -> PartProfile:
        places = [op.place for op in operators]
        return PartProfile(
            name=name,
            operators=len(operators),
            delegated=sum(op.delegated for op in operators),
            work=self._work(places, self._net_ms(name, places, times, calls)),
            operators_ms=sum(op.work.ms or 0.0 for op in operators),
            roof_ms=sum(op.roof_ms for op in operators),
        )

    def _net_ms(
        self,
        name: str,
        places: Sequence[int],
        times: Mapping[str, float],
        calls: Mapping[str, float],
    ) -> float | None:
        """Return a piece's time without that of its call; None if it could not be timed."""
        if name not in times:
            return None
        enters_delegate = not self._delegated.isdisjoint(places)
        call_ms = calls[self._kernels.backend if enters_delegate else BUILTIN]
        return max(times[name] - call_ms, 0.0)

    def _work(self, places: Sequence[int], ms: float | None) -> Work:
        weights, activations, macs = 0, 0, 0
        for place in places:
            operator = self._graph.operators[place]
            macs += operator.macs
            for index in (*operator.inputs, *operator.outputs):
                size = _tensor_bytes(self._graph.tensors[index])
                if self._graph.tensors[index].is_constant or index in self._constants:
                    weights += size
                else:
                    activations += size
        return Work(macs, weights, activations, ms)

    def _dtype(self, operator: OperatorInfo) -> str:
        """Return what an operator computes in: "int8" for eight bits, else its first type."""
        used = self._graph.activations(operator)
        dtypes = [tensor.dtype for tensor in used] or ["none"]
        return "int8" if dtypes[0] in _INT8 else dtypes[0]


def _tensor_bytes(tensor: TensorInfo) -> int:
    return math.prod(tensor.shape) * _ITEM_BYTES.get(tensor.dtype, 1)


def _key(place: int) -> str:
    return f"operator {place}"
