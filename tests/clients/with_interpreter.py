"""TFLite's `Interpreter`, of whichever package: called with `ai_edge_litert`, `tensorflow` or
`tflite_runtime` after OUT. The labels come out of the model file itself.
"""

from __future__ import annotations

import importlib
import zipfile
from importlib.metadata import version

import cv2
import numpy as np
from protocol import arguments, read_pictures, rows_of_tensors, write

MODULES = {
    "ai_edge_litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tensorflow": ("tensorflow.lite", "tensorflow"),
    "tflite_runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


def main() -> None:
    args = arguments("package")
    module, distribution = MODULES[args.package]
    if args.package == "tensorflow":
        import tensorflow as tf

        interpreter_class = tf.lite.Interpreter
    else:
        interpreter_class = importlib.import_module(module).Interpreter
    interpreter = interpreter_class(model_path=str(args.model), num_threads=2)
    interpreter.allocate_tensors()
    labels = zipfile.ZipFile(args.model).read("labels.txt").decode().splitlines()
    picture, outputs = interpreter.get_input_details()[0], interpreter.get_output_details()
    height, width = (int(side) for side in picture["shape"][1:3])
    found = {}
    for name, image in read_pictures(args.pictures):
        tensor = cv2.resize(image, (width, height))[None]
        if picture["dtype"] == np.float32:
            tensor = (tensor.astype(np.float32) - 128) / 128
        interpreter.set_tensor(picture["index"], tensor)
        interpreter.invoke()
        values = [interpreter.get_tensor(output["index"])[0] for output in outputs]
        found[name] = rows_of_tensors(values, labels, image.shape[:2])
    write(args.out, version(distribution), found)


if __name__ == "__main__":
    main()
