"""Quantise a float .tflite file with LiteRT Quantizer, in an environment that has it.

    python benchmarks/litert_quantizer.py FLOAT.tflite IMAGES.npy OUT.tflite [--per-tensor]

`pip install ai-edge-quantizer` into an environment of its own; nothing of this package is needed
there. FLOAT.tflite is a file without NMS (`edge-retina export --no-nms`), IMAGES.npy holds what
goes into it, (N, H, W, 3) float32. All that the tool supports gets int8 weights and activations by
its static recipe. The sigmoid and the joining of the levels behind the network stay float, as in
this package's files: one range for all levels is not a matter of the calibration.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import qtyping, quantizer, recipe_manager

# Tensors behind the network, in files of `export.raw_graph`; those of the network are `deploy/...`.
_TAIL = "^(concat|mul|StatefulPartitionedCall)"


def main() -> None:
    """Read, calibrate, quantise, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "images", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--per-tensor", action="store_true")
    arguments = parser.parse_args()
    granularity = (
        qtyping.QuantGranularity.TENSORWISE
        if arguments.per_tensor
        else qtyping.QuantGranularity.CHANNELWISE
    )
    rules = recipe_manager.RecipeManager()
    rules.add_static_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=8,
        weight_num_bits=8,
        weight_granularity=granularity,
    )
    rules.add_quantization_config(
        regex=_TAIL,
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        algorithm_key=recipe_manager.AlgorithmName.NO_QUANTIZE,
    )
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        rules.add_quantization_config(
            regex=".*",
            operation_name=end,
            algorithm_key=recipe_manager.AlgorithmName.NO_QUANTIZE,
        )
    tool = quantizer.Quantizer(str(arguments.model), rules.get_quantization_recipe())
    (signature,) = Interpreter(model_path=str(arguments.model)).get_signature_list()
    images = np.load(arguments.images)
    found = tool.calibrate({signature: [{"image": image[np.newaxis]} for image in images]})
    arguments.out.write_bytes(bytes(tool.quantize(found).quantized_model))


if __name__ == "__main__":
    main()
