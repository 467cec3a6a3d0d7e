"""The YOLO reader: data.yaml, a label file, a list of pictures, or the class names."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets.data_set import check_data_set

_YAML = (CORPUS / "yolo" / "data.yaml").read_bytes()


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs, with what goes with it, and read the data set."""
    files = {"data.yaml": _YAML, "labels/a.txt": b"0 0.3 0.3 0.4 0.4\\n"}
    places = {
        "labels.txt": "labels/a.txt",
        "images.txt": "images.txt",
        "classes.txt": "classes.txt",
    }
    if name == "images.txt":
        files["data.yaml"] = _YAML.replace(b"train: images", b"train: images.txt")
    check_data_set(directory, {**files, places.get(name, "data.yaml"): content})


TARGET = Target("yolo", check, share=0.2)
