"""TensorFlow Lite Micro, in its Python package: the file for microcontrollers, on int8 pixels."""

from __future__ import annotations

from importlib.metadata import version

import cv2
import numpy as np
from levels_decoder import LevelsDecoder
from protocol import arguments, read_pictures, rows_of_tensors, write
from tflite_micro.python.tflite_micro import runtime

ARENA_BYTES = 64_000_000  # more than any file here takes


def main() -> None:
    args = arguments()
    interpreter = runtime.Interpreter.from_file(str(args.model), arena_size=ARENA_BYTES)
    decoder = LevelsDecoder(args.model)
    _, height, width, _ = (int(side) for side in interpreter.get_input_details(0)["shape"])
    found = {}
    for name, image in read_pictures(args.pictures):
        pixels = cv2.resize(image, (width, height))[None]
        interpreter.set_input((pixels.astype(np.int16) - 128).astype(np.int8), 0)
        interpreter.invoke()
        outputs = [interpreter.get_output(place) for place in range(len(decoder.outputs))]
        found[name] = rows_of_tensors(decoder.decode(outputs), decoder.labels, image.shape[:2])
    write(args.out, version("tflite-micro"), found)


if __name__ == "__main__":
    main()
