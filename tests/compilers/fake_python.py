"""A program that answers like a Python with ethos-u-vela and tflite-micro in it.

Its answers are those of ethos-u-vela 5.2.0 and tflite-micro 0.dev20261023182759, so that the tests
need neither. What the real ones do is tested in test_real_compilers.py.
"""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.runtime.foreign_model import ForeignModel, conv_options

# Columns of Vela's table that are read here, with the figures of a network at 256 px
SUMMARY = {
    "experiment": "default",
    "accelerator_configuration": "Ethos_U55_128",
    "system_config": "Ethos_U55_Deep_Embedded",
    "memory_mode": "Shared_Sram",
    "core_clock": "200000000.0",
    "inference_time": "0.025067175",
    "sram_memory_used": "1025.984375",
    "dram_memory_used": "0.0",
    "on_chip_flash_memory_used": "0.0",
    "off_chip_flash_memory_used": "688.578125",
}
ALLOCATIONS = """
[RecordingMicroAllocator] Arena allocation total 251168 bytes
[RecordingMicroAllocator] Arena allocation head 138240 bytes
[RecordingMicroAllocator] Arena allocation tail 112928 bytes
[RecordingMicroAllocator] 'TfLiteEvalTensor data' used 7680 bytes with alignment overhead
"""
_PROGRAM = """#!{python}
import json, sys
from pathlib import Path
answers = json.loads({answers!r})
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")

def stop(code, out="", error=""):
    sys.stdout.write(out)
    sys.stderr.write(error)
    sys.exit(code)

if arguments[0] == "-c" and "metadata" in arguments[1]:
    if arguments[2] in answers["versions"]:
        stop(0, answers["versions"][arguments[2]] + "\\n")
    stop(1, error="Traceback\\nimportlib.metadata.PackageNotFoundError: No package metadata\\n")
if arguments[0] == "-c" and len(arguments) == 2:
    stop(0)
if arguments[-1] == "--version":
    if "ethos-u55-128" in arguments:
        stop(0, "5.2.0\\n")
    stop(2, error="usage: vela\\nvela: error: argument --accelerator-config: invalid choice: "
         "'ethos-u77' (choose from 'ethos-u55-32', 'ethos-u55-128')\\n")
if "--list-configs" in arguments:
    stop(0, "Configurations defined in vela.ini:\\n   System_Config.Ethos_U55_Deep_Embedded\\n"
         "   System_Config.Ethos_U55_High_End_Embedded\\n   Memory_Mode.Shared_Sram\\n")
if answers["fails"]:
    stop(*answers["fails"])
if arguments[1] == "ethosu.vela":
    out = Path(arguments[arguments.index("--output-dir") + 1])
    out.mkdir()
    (out / "x_summary_y.csv").write_text(answers["summary"])
    (out / "x_vela.tflite").write_bytes(bytes.fromhex(answers["compiled"]))
    stop(0)
import numpy as np
model, arena, source, target, count = arguments[2:]
with np.load(source) as stored:
    pixels = stored["arr_0"]
assert pixels.dtype == np.int8
flat = pixels.reshape(len(pixels), 1, 192).astype(np.int16) + answers["off"]
np.savez(target, *[flat] * int(count))
stop(0, error=answers["allocations"])
"""


def write_fake(
    directory: Path,
    *,
    versions: dict[str, str] | None = None,
    compiled: bytes = b"",
    summary: dict[str, str] | None = None,
    allocations: str = ALLOCATIONS,
    off: int = 0,
    fails: tuple[int, str, str] | None = None,
) -> Path:
    """Write the program; it keeps the arguments of each call in calls.jsonl beside it."""
    figures = SUMMARY if summary is None else summary
    answers = {
        "versions": {"ethos-u-vela": "5.2.0", "tflite-micro": "0.dev20261023182759"}
        if versions is None
        else versions,
        "compiled": compiled.hex(),
        "summary": ",".join(figures) + "\n" + ",".join(figures.values()) + "\n",
        "allocations": allocations,
        "off": off,
        "fails": fails,
    }
    path = directory / "python"
    path.write_text(
        _PROGRAM.format(
            python=sys.executable,
            answers=json.dumps(answers),
            log=str(directory / "calls.jsonl"),
        )
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def network(*parts: str) -> bytes:
    """Return a file of a 3x3 convolution ("wide", 6,912 MACs) and one of 1x1 ("narrow", 1,024).

    Args:
        parts: of the two; "ethos-u" in their place is what Vela puts there.
    """
    model = ForeignModel()
    places = [_feature_map(model, "picture", 3)]
    for part in parts:
        places.append(_feature_map(model, part, 4))
        if part == "ethos-u":
            model.operator("ethos-u", [places[-2]], [places[-1]])
            continue
        shape = {"wide": (4, 3, 3, 3), "narrow": (4, 1, 1, 4)}[part]
        ones, zeros = np.ones(shape), np.zeros(4)
        kernel = model.tensor(f"{part} kernel", shape, values=ones, dtype=np.int8, scales=(0.5,))
        bias = model.tensor(f"{part} bias", (4,), values=zeros, dtype=np.int32, scales=(0.25,))
        model.operator("CONV_2D", [places[-2], kernel, bias], [places[-1]], conv_options())
    return model.content(places[:1], places[-1:])


def flat_picture() -> bytes:
    """Return an int8 file whose output is its input."""
    model = ForeignModel()
    picture, flat = (
        model.tensor(name, shape, dtype=np.int8, scales=(0.5,))
        for name, shape in (("picture", (1, 8, 8, 3)), ("flat", (1, 192)))
    )
    options = schema.ReshapeOptionsT()
    options.newShape = [1, 192]
    model.operator("RESHAPE", [picture], [flat], options, version=1)
    return model.content([picture], [flat])


def _feature_map(model: ForeignModel, name: str, channels: int) -> int:
    return model.tensor(name, (1, 8, 8, channels), dtype=np.int8, scales=(0.5,))
