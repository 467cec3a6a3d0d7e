"""Runs TensorFlow Lite Micro: the text of this file is run by the Python that has tflite-micro.

Called with MODEL, ARENA, IN, OUT and the number of outputs. IN is what numpy.savez makes of the
inputs, each with one picture after another in its first dimension; OUT gets the outputs the same
way. How the arena was used is what TFLite Micro writes to standard error. Nothing here may import
edge_retina.
"""

from __future__ import annotations

import sys

import numpy as np


def main(model: str, arena: str, source: str, target: str, count: str) -> None:
    """Run all pictures and write their outputs."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model, arena_size=int(arena))
    with np.load(source) as stored:
        inputs = [stored[f"arr_{number}"] for number in range(len(stored.files))]
    found: list[list[np.ndarray]] = [[] for _ in range(int(count))]
    for values in zip(*inputs):  # noqa: B905 (it may be an old Python)
        for number, value in enumerate(values):
            interpreter.set_input(value, number)
        interpreter.invoke()
        for number, outputs in enumerate(found):
            outputs.append(interpreter.get_output(number))
    np.savez(target, *[np.stack(outputs) for outputs in found])
    interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
