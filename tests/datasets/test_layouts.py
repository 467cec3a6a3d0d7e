"""A format that is added to the table works everywhere: nothing else lists the formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_retina.cli.convert import command
from edge_retina.datasets import Dataset, load_dataset
from edge_retina.datasets.annotation import AnnotatedSplits, ImageAnnotation, ObjectAnnotation
from edge_retina.datasets.layout import AnnotationFiles, Layout, root_of
from edge_retina.datasets.layouts import LAYOUTS
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.writers import copy_image
from edge_retina.errors import DatasetError

Write = Callable[..., Path]


def detect_toy(given: Path) -> AnnotationFiles | None:
    if given.is_file():
        return AnnotationFiles(root_of(given), {given: given.read_text()})
    files = {path: path.read_text() for path in sorted(given.glob("*.toy"))}
    return AnnotationFiles(given, files) if files else None


def read_toy(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Lines of: image name, class, xmin, ymin, xmax, ymax."""
    base = found.root if found.described is None else found.described.images
    files = found.files
    if found.described is not None:
        files = {path: path.read_text() for path in found.described.annotation_files(".toy")}
    splits = {}
    for path, text in files.items():
        images = []
        for number, line in enumerate(text.splitlines(), 1):
            name, label, *sides = line.split()
            x1, y1, x2, y2 = (float(side) for side in sides)
            item = ObjectAnnotation(f"line {number}", label, (y1, x1, y2, x2))
            images.append(ImageAnnotation(name, base / name, f"{path}, {name}", (item,)))
        splits[path.stem] = images
    return AnnotatedSplits(("cat",), splits)


def write_toy(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    for split, examples in dataset.splits.items():
        lines = []
        for example in examples:
            copy_image(example, directory / example.image_id)
            ymin, xmin, ymax, xmax = example.boxes_px[0]
            lines.append(f"{example.image_id} cat {xmin} {ymin} {xmax} {ymax}\n")
        (directory / f"{split}.toy").write_text("".join(lines))
    return ("everything but one box an image",)


TOY = Layout(
    name="toy",
    title="Toy",
    files="*.toy",
    suffixes=(".toy",),
    detect=detect_toy,
    read=read_toy,
    write=write_toy,
    file_per_image=False,
    labels="never",
)


@pytest.fixture
def toy(tmp_path: Path, picture: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of one image in a format that the table doesn't have as it is shipped."""
    monkeypatch.setitem(LAYOUTS, TOY.name, TOY)
    picture(tmp_path / "toys" / "a.jpg")
    (tmp_path / "toys" / "train.toy").write_text("a.jpg cat 1 2 30 20\n")
    return tmp_path / "toys"


def assert_is_toy(dataset: Dataset) -> None:
    assert dataset.layout == "toy"
    (example,) = dataset.split("train")
    assert (example.image_id, example.boxes_px.tolist()) == ("a.jpg", [[2, 1, 20, 30]])


def test_it_is_detected_and_read(toy: Path):
    assert_is_toy(load_dataset(toy))
    assert_is_toy(load_dataset(toy / "train.toy"))


def test_it_is_written_and_converted(toy: Path, tmp_path: Path):
    lost = write_dataset(load_dataset(toy), tmp_path / "out", layout="toy")
    assert lost == ("everything but one box an image",)
    assert_is_toy(load_dataset(tmp_path / "out"))
    for layout in LAYOUTS:
        write_dataset(load_dataset(toy), tmp_path / layout, layout=layout)
        assert load_dataset(tmp_path / layout).layout == layout


def test_it_can_be_described(toy: Path, tmp_path: Path):
    (tmp_path / "dataset.toml").write_text(
        'layout = "toy"\nimages = "toys"\n[splits]\ntrain = "toys/train.toy"\n'
    )
    assert_is_toy(load_dataset(tmp_path))
    (tmp_path / "dataset.toml").write_text(
        'layout = "toy"\nlabels = ["cat"]\n[splits]\ntrain = "toys/train.toy"\n'
    )
    with pytest.raises(DatasetError, match="not allowed for toy, whose files name the classes"):
        load_dataset(tmp_path)


def test_messages_list_it(toy: Path, tmp_path: Path, picture: Write):
    image = picture(tmp_path / "other" / "b.jpg")
    with pytest.raises(DatasetError, match=r"layout; expected one of .*, Toy \(\*\.toy\), or a"):
        load_dataset(tmp_path / "other")
    with pytest.raises(DatasetError, match=r"annotation file; expected .*, \.toy \(Toy\), or"):
        load_dataset(image)
    with pytest.raises(DatasetError, match="allowed: coco, csv, tfrecord, toy, voc, yolo"):
        write_dataset(load_dataset(toy), tmp_path / "out", layout="?")
    (tmp_path / "other" / "dataset.toml").write_text('layout = "tyo"\n')
    with pytest.raises(DatasetError, match="got 'tyo'; did you mean 'toy'"):
        load_dataset(tmp_path / "other")


def test_every_layout_can_be_converted_to():
    (option,) = (item for item in command.params if item.name == "layout")
    assert list(option.type.choices) == list(LAYOUTS)


def test_names_and_suffixes_are_unambiguous():
    assert [layout.name for layout in LAYOUTS.values()] == list(LAYOUTS)
    suffixes = [suffix for layout in LAYOUTS.values() for suffix in layout.suffixes]
    assert len(set(suffixes)) == len(suffixes)
