"""What installs.py does with an installed package: the commands that a device needs.

The pictures are made here, so that nothing but the standard library is needed, and what is found on
them is known by hand.
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from systems import StepError

SIDE = 100  # of the pictures, in pixels
_OBJECT = (10, 20, 50, 60)
# (label, score, ymin, xmin, ymax, xmax) on a white picture, by the formula of
# tests/golden/make_tiny_detector.py: m = (255 - 128) / 128, and the first score is 0.5 + 0.25 m.
WHITE = (("square", 0.748046875, 10, 20, 50, 60), ("disc", 0.25, 0, 0, SIDE, SIDE))


def try_commands(program: Callable[..., str], model: Path, data: Path) -> str:
    """Run the commands on `model`, the tiny uint8 detector, and on the data set in `data`.

    Args:
        program: runs edge-retina with its arguments, and returns what it prints.
        model: the detector.
        data: written by `write_data`; pictures with boxes drawn go beside it.

    Returns:
        The names of the commands.

    Raises:
        StepError: one of them answers something else.
    """
    drawn = data.with_name("drawn")
    shutil.rmtree(drawn, ignore_errors=True)
    show = ("--out", drawn, "--score", "0", "--json", "-")
    expect(program("--version"), "edge-retina, version")
    expect(program("inspect", model), "serving_default_image:0")
    expect(program("doctor", data), "4 pictures (train 3, val 1), 4 objects, 1 class")
    check_predictions(program("predict", model, data / "255.png", *show))
    return "--version, inspect, doctor, predict"


def expect(answer: str, text: str) -> None:
    """Raise a StepError if `text` is not in the answer."""
    if text not in answer:
        raise StepError(f"expected {text!r}, got: {answer[:200]}")


def check_predictions(answer: str) -> None:
    """Compare the JSON of `predict` on the white picture with `WHITE`.

    Raises:
        StepError: labels, scores or boxes differ, or it is another JSON.
    """
    try:
        (picture,) = json.loads(answer)["predictions"]
        found = [(item["label"], item["score"], *item["box_px"]) for item in picture["detections"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(f"predict answers {answer[:200]!r}: {error}") from None
    same = len(found) == len(WHITE) and all(
        row[0] == known[0]
        and all(abs(value - right) < 1e-3 for value, right in zip(row[1:], known[1:], strict=True))
        for row, known in zip(found, WHITE, strict=True)
    )
    if not same:
        raise StepError(f"predict finds {found}, not {WHITE}")


def write_data(directory: Path) -> None:
    """Write a data set of four pictures, each with an object, as CSV; 255.png is white."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for split, greys in (("train", (255, 200, 100)), ("val", (0,))):
        lines = []
        for grey in greys:
            write_png(directory / f"{grey}.png", grey)
            lines.append(f"{grey}.png,{','.join(map(str, _OBJECT))},square\n")
        (directory / f"{split}.csv").write_text("".join(lines), encoding="utf-8")


def write_png(path: Path, grey: int) -> None:
    """Write a picture of one grey level, SIDE pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    lines = zlib.compress((b"\0" + bytes([grey]) * SIDE) * SIDE)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", lines), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
