"""LiteRT's `CompiledModel`, which new apps are told to use instead of the interpreter.

After OUT it may be told `gpu` or `gpu+cpu`. See docs/clients.md for a GPU in software.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import version

import cv2
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from levels_decoder import LevelsDecoder
from protocol import arguments, read_pictures, rows_of_tensors, write

SIGNATURE = "serving_default"
NMS_OUTPUTS = ("boxes", "classes", "scores", "count")
ACCELERATORS = {
    None: HardwareAccelerator.CPU,
    "gpu": HardwareAccelerator.GPU,
    "gpu+cpu": HardwareAccelerator.GPU | HardwareAccelerator.CPU,
}


def main() -> None:
    args = arguments("accelerators?")
    model = CompiledModel.from_file(str(args.model), ACCELERATORS[args.accelerators])
    labels = zipfile.ZipFile(args.model).read("labels.txt").decode().splitlines()
    details = model.get_input_tensor_details(SIGNATURE)["image"]
    _, height, width, _ = details["shape"]
    shapes = {
        name: tensor["shape"] for name, tensor in model.get_output_tensor_details(SIGNATURE).items()
    }
    decoder = None if "boxes" in shapes else LevelsDecoder(args.model)
    names = NMS_OUTPUTS if decoder is None else [output["name"] for output in decoder.outputs]
    (source,) = model.create_input_buffers(0)
    targets = {name: model.create_output_buffer_by_name(SIGNATURE, name) for name in shapes}
    found = {}
    for name, image in read_pictures(args.pictures):
        tensor = cv2.resize(image, (width, height))[None]
        if "float" in str(details["dtype"]).lower():
            tensor = (tensor.astype(np.float32) - 128) / 128
        source.write(tensor)
        model.run_by_name(SIGNATURE, {"image": source}, targets)
        values = [
            targets[output]
            .read(int(np.prod(shapes[output])), np.float32)
            .reshape(shapes[output])[0]
            for output in names
        ]
        if decoder is not None:
            values = decoder.decode(values)
        found[name] = rows_of_tensors(values, labels, image.shape[:2])
    write(args.out, version("ai-edge-litert"), found)


if __name__ == "__main__":
    main()
