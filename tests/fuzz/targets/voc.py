"""The Pascal VOC reader: an annotation, or a list of pictures."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets.data_set import check_data_set

_XML = (CORPUS / "voc" / "a.xml").read_bytes()


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs, with what goes with it, and read the data set."""
    files = {"Annotations/a.xml": _XML, "ImageSets/Main/train.txt": b"a\\n"}
    place = "Annotations/a.xml" if name.endswith(".xml") else "ImageSets/Main/train.txt"
    check_data_set(directory, {**files, place: content})


TARGET = Target("voc", check, share=0.2)
