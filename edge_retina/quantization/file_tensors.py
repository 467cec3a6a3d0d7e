"""What a .tflite file computes inside: the values of every quantised layer output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import Builder

from edge_retina.layer_names import layer_of_tensor
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.model_file import MODEL_IDENTIFIER
from edge_retina.runtime.start_up_lines import without_start_up_lines

_COMPUTING = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD")


class FileTensors:
    """The quantised tensors inside a .tflite file, by the layer that makes them.

    Attributes:
        names: of the layers.
    """

    def __init__(self, path: Path, *, use_xnnpack: bool) -> None:
        """Open a file whose input is uint8."""
        graph = read_graph(path)
        self._tensors = {}
        for operator in graph.operators:
            index = operator.outputs[0]
            tensor = graph.tensors[index]
            if operator.name in _COMPUTING and tensor.dtype in ("int8", "int16"):
                self._tensors[layer_of_tensor(tensor.name)] = (index, tensor)
        self.names = set(self._tensors)
        kernels = (
            OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self._interpreter = Interpreter(
            model_content=_with_outputs(path, [index for index, _ in self._tensors.values()]),
            experimental_op_resolver_type=kernels,
        )
        with without_start_up_lines():
            self._interpreter.allocate_tensors()

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the real values of every tensor for a uint8 image (H, W, 3)."""
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], image[None])
        self._interpreter.invoke()
        return {
            name: (self._interpreter.get_tensor(index).astype(np.float64) - tensor.zero_points[0])
            * tensor.scales[0]
            for name, (index, tensor) in self._tensors.items()
        }


def _with_outputs(path: Path, outputs: Sequence[int]) -> bytes:
    """Return a .tflite file with other outputs: XNNPACK shows nothing else of what it computes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    model.subgraphs[0].outputs = list(outputs)
    model.signatureDefs = []
    builder = Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())
