"""TensorFlow Lite Micro: its interpreter runs the file and says how much memory it takes.

The arena is that of a 64-bit build. Pointers are half as long on a microcontroller, so that it
takes a little less there; what a vendor's kernels need for themselves comes on top.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.compilers.compiler import Compiler
from edge_retina.compilers.other_python import OtherPython, last_line
from edge_retina.compilers.report import CompilerReport
from edge_retina.errors import CompilerError
from edge_retina.runtime.graph import Graph, TensorInfo, read_graph

_PACKAGE = "tflite-micro"
_IMPORT = "from tflite_micro.python.tflite_micro import runtime"
_CHILD = Path(__file__).with_name("micro_child.py")
_ALLOCATION = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
# By TFLite Micro's name for the whole and for its two ends
_PARTS = {"total": "arena", "head": "activations in it", "tail": "persistent in it"}
_PER_OPERATOR, _SPARE = 4096, 4_000_000  # bytes; more than any bookkeeping takes
_NOISE_SEED = 0
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class MicroRun:
    """What one run of the interpreter gave.

    Attributes:
        outputs: by place in the file's outputs: (N, ...) of N pictures.
        memory_bytes: of the arena and its parts.
        refused: why it can't run the file; then there are no outputs.
    """

    outputs: tuple[np.ndarray, ...] = ()
    memory_bytes: dict[str, int] | None = None
    refused: str = ""


def check(configuration: str, python: OtherPython) -> str:
    """Return the version of tflite-micro if it is there; see `Compiler`."""
    if configuration:
        raise CompilerError(
            f"--compiler {_PACKAGE}:{configuration}: it has no configurations; "
            f"write --compiler {_PACKAGE}"
        )
    version = python.version(_PACKAGE)
    tried = python.run(["-c", _IMPORT])
    if tried.returncode:
        raise CompilerError(
            f"{_PACKAGE} {version} can't be imported ({last_line(tried.stderr)}); install it again"
        )
    return version


def examine(path: Path, configuration: str, python: OtherPython, version: str) -> CompilerReport:
    """Run a file on noise; see `Compiler`.

    Raises:
        CompilerError: what the interpreter prints can't be read.
    """
    graph = read_graph(path)
    total = len(graph.operators)
    noise = [_noise(tensor, seed) for seed, tensor in enumerate(graph.input_tensors)]
    run = run_micro(path, noise, python)
    if run.refused or run.memory_bytes is None:
        return CompilerReport(
            _PACKAGE, _PACKAGE, version, operators_total=total, refused=run.refused
        )
    return CompilerReport(
        compiler=_PACKAGE,
        package=_PACKAGE,
        version=version,
        settings={"build": "64-bit, reference kernels"},
        operators=total,
        operators_total=total,
        macs_share=1.0 if any(op.macs for op in graph.operators) else 0.0,
        memory_bytes=run.memory_bytes,
        output_steps=_steps(graph, run.outputs, run_litert(path, noise)),
    )


COMPILER = Compiler(_PACKAGE, _PACKAGE, _PACKAGE, check, examine)


def run_micro(path: Path, inputs: Sequence[np.ndarray], python: OtherPython) -> MicroRun:
    """Run a file with TFLite Micro.

    Args:
        path: of the .tflite file.
        inputs: by place in the file's inputs: (N, ...) of N pictures, of the input's type.
        python: that has tflite-micro.

    Raises:
        CompilerError: what the interpreter prints can't be read.
    """
    graph = read_graph(path)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        source, target = directory / "in.npz", directory / "out.npz"
        np.savez(source, *inputs)
        # As text, so that the files beside it can't be taken for the packages that it imports
        call = ["-c", _CHILD.read_text(encoding="utf-8"), str(path.absolute())]
        call += [str(_ample_arena(graph)), str(source), str(target), str(len(graph.outputs))]
        done = python.run(call, directory=directory)
        if done.returncode:
            return MicroRun(refused=_reason(done.stderr, done.returncode))
        memory = {_PARTS[part]: int(size) for part, size in _ALLOCATION.findall(done.stderr)}
        if len(memory) != len(_PARTS):
            raise CompilerError(
                f"{_PACKAGE} ran {path} but does not tell its arena any more; install "
                "tflite-micro==0.dev20261023182759"
            )
        with np.load(target) as stored:
            outputs = tuple(stored[f"arr_{number}"] for number in range(len(graph.outputs)))
    return MicroRun(outputs, memory)


def run_litert(
    path: Path, inputs: Sequence[np.ndarray], *, xnnpack: bool = False
) -> tuple[np.ndarray, ...]:
    """Run a file with LiteRT's reference kernels, which are those of TFLite Micro too.

    Args:
        path: as in `run_micro`.
        inputs: as in `run_micro`.
        xnnpack: take the kernels of a phone instead, which round in another way.

    Returns:
        outputs as in `MicroRun`.
    """
    kernels = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_REF
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    places = [item["index"] for item in interpreter.get_input_details()]
    outputs = [item["index"] for item in interpreter.get_output_details()]
    found: list[list[np.ndarray]] = [[] for _ in outputs]
    for values in zip(*inputs, strict=True):
        for place, value in zip(places, values, strict=True):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        for output, results in zip(outputs, found, strict=True):
            results.append(interpreter.get_tensor(output))
    return tuple(np.stack(results) for results in found)


def _ample_arena(graph: Graph) -> int:
    """Return bytes that hold every tensor beside every other, and the bookkeeping."""
    computed = (tensor for tensor in graph.tensors if not tensor.is_constant)
    needed = sum(math.prod(tensor.shape) * _item_bytes(tensor) for tensor in computed)
    return needed + _PER_OPERATOR * len(graph.operators) + _SPARE


def _item_bytes(tensor: TensorInfo) -> int:
    try:
        return np.dtype(tensor.dtype).itemsize
    except TypeError:  # strings, resources and other things that lie elsewhere
        return 8


def _noise(tensor: TensorInfo, seed: int) -> np.ndarray:
    """Return one picture (1, ...) of noise over the whole range of the input's type."""
    generator = np.random.default_rng((_NOISE_SEED, seed))
    dtype, shape = np.dtype(tensor.dtype), (1, *tensor.shape)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return generator.uniform(-1, 1, shape).astype(dtype)


def _steps(graph: Graph, found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> int | None:
    if any(tensor.dtype not in ("int8", "uint8", "int16") for tensor in graph.output_tensors):
        return None
    return max(
        int(np.abs(one.astype(np.int64) - two.reshape(one.shape)).max(initial=0))
        for one, two in zip(found, expected, strict=True)
    )


def _reason(errors: str, code: int) -> str:
    """Return what TFLite Micro wrote before Python's own traceback, on one line."""
    if code < 0:
        return f"it crashed (signal {-code})"
    before = errors.partition(_TRACEBACK)[0]
    lines = [line.strip() for line in before.splitlines() if line.strip()]
    return "; ".join(lines[:2]) or last_line(errors)
