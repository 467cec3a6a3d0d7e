from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.errors import DatasetError

Write = Callable[..., Path]
VOC = 'layout = "voc"\nimages = "photos"\nannotations = "boxes"\n'
YOLO = 'layout = "yolo"\nimages = "photos"\nannotations = "boxes"\n'
OBJECT = "<object><name>{}</name><bndbox><xmin>6</xmin><ymin>4</ymin><xmax>30</xmax><ymax>20</ymax>"


@pytest.fixture
def odd(tmp_path: Path, picture: Write) -> Path:
    """Pictures of 40 x 60 in `photos/`, and each form of annotation in a directory of its own."""
    for name in ("day/a", "day/b", "night/c"):
        picture(tmp_path / "photos" / f"{name}.jpg")
    for directory in ("boxes", "lists"):
        (tmp_path / directory).mkdir()
    return tmp_path


def write(root: Path, text: str) -> Path:
    path = root / "dataset.toml"
    path.write_text(text)
    return path


def write_voc(root: Path, **labels: str) -> None:
    for name, label in labels.items():
        path = root / "boxes" / f"{name.replace('_', '/')}.xml"
        path.parent.mkdir(exist_ok=True)
        item = f"{OBJECT.format(label)}</bndbox></object>"
        path.write_text(f"<annotation><filename>wrong.jpg</filename>{item}</annotation>")


def write_coco(path: Path, *names: str) -> None:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    annotations = [{"id": 1, "image_id": 0, "category_id": 7, "bbox": [6, 4, 24, 16]}]
    categories = [{"id": 7, "name": "cat"}]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def ids(root: Path) -> dict[str, list[str]]:
    splits = load_dataset(root).splits
    return {name: [example.image_id for example in split] for name, split in splits.items()}


def test_voc_with_lists(odd: Path):
    write_voc(odd, day_a="dog", day_b="cat", night_c="dog")
    (odd / "lists" / "one").write_text("day/a\nnight/c\n")
    (odd / "lists" / "two").write_text("day/b\n")
    path = write(
        odd,
        f'{VOC}labels = ["dog", "cat"]\n[splits]\ntrain = "lists/one"\nvalid = "lists/two"\n',
    )
    assert ids(odd) == ids(path) == {"train": ["day/a.jpg", "night/c.jpg"], "val": ["day/b.jpg"]}
    dataset = load_dataset(odd)
    assert (dataset.layout, dataset.labels, dataset.root) == ("voc", ("dog", "cat"), odd)
    (example,) = dataset.split("val")
    np.testing.assert_array_equal(example.boxes_px, [[4, 6, 20, 30]])
    assert example.classes.tolist() == [1]


def test_voc_with_directories(odd: Path):
    write_voc(odd, day_a="dog", day_b="cat", night_c="dog")
    write(odd, f'{VOC}[splits]\ntrain = "boxes/day"\ntest = "boxes/night"\n')
    assert ids(odd) == {"train": ["day/a.jpg", "day/b.jpg"], "test": ["night/c.jpg"]}
    assert load_dataset(odd).labels == ("cat", "dog")


def test_without_splits_names_are_hashed(odd: Path):
    write_voc(odd, day_a="dog", day_b="cat", night_c="dog")
    write(odd, VOC)
    found = ids(odd)
    assert list(found) == ["train", "val", "test"]
    assert {name for names in found.values() for name in names} == {
        "day/a.jpg",
        "day/b.jpg",
        "night/c.jpg",
    }


@pytest.mark.parametrize("split", ["photos/day", "lists/day.txt"])
def test_yolo(odd: Path, split: str):
    (odd / "boxes" / "day").mkdir()
    (odd / "boxes" / "day" / "a.txt").write_text("1 0.3 0.3 0.4 0.4\n")
    (odd / "lists" / "day.txt").write_text("day/a.jpg\nday/b.jpg\n")
    (odd / "names").write_text("dog\ncat\n")
    write(odd, f'{YOLO}labels = "names"\n[splits]\ntrain = "{split}"\n')
    assert ids(odd) == {"train": ["day/a.jpg", "day/b.jpg"]}
    first, second = load_dataset(odd).split("train")
    np.testing.assert_allclose(first.boxes_px, [[4, 6, 20, 30]], atol=1e-5)
    assert (first.classes.tolist(), second.classes.tolist()) == ([1], [])


def test_coco_with_splits(odd: Path):
    write_coco(odd / "lists" / "x.json", "day/a.jpg", "day/b.jpg")
    write_coco(odd / "lists" / "y.json", "night/c.jpg")
    write(
        odd,
        'layout = "coco"\nimages = "photos"\n'
        '[splits]\ntrain = "lists/x.json"\ntest = "lists/y.json"\n',
    )
    assert ids(odd) == {"train": ["day/a.jpg", "day/b.jpg"], "test": ["night/c.jpg"]}


@pytest.mark.parametrize("annotations", ["lists", "lists/val.json"])
def test_coco_without_splits_goes_by_file_names(odd: Path, annotations: str):
    write_coco(odd / "lists" / "val.json", "night/c.jpg")
    write(odd, f'layout = "coco"\nimages = "photos"\nannotations = "{annotations}"\n')
    assert ids(odd) == {"val": ["night/c.jpg"]}


def test_csv(odd: Path):
    (odd / "lists" / "x.csv").write_text("day/a.jpg,6,4,30,20,dog\nday/b.jpg,,,,,\n")
    (odd / "lists" / "y.csv").write_text("night/c.jpg,6,4,30,20,cat\n")
    write(
        odd,
        'layout = "csv"\nimages = "photos"\nlabels = ["dog", "cat"]\n'
        '[splits]\nmine = "lists/x.csv"\nother = "lists/y.csv"\n',
    )
    assert ids(odd) == {"mine": ["day/a.jpg", "day/b.jpg"], "other": ["night/c.jpg"]}
    assert load_dataset(odd).split("other")[0].classes.tolist() == [1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("layout = [", ": not valid TOML: "),
        ("annotations = 'boxes'\n", ": 'layout' is missing"),
        ("layout = 'vocs'\n", ", layout: got 'vocs'; did you mean 'voc'?"),
        ("layout = 'voc'\nimage = 'photos'\n", ": unknown key 'image'; did you mean 'images'?"),
        ("layout = 'voc'\n", ": no 'annotations'; name the file or directory that holds them"),
        (
            "layout = 'voc'\nannotations = 'boxes'\nimages = 'fotos'\n",
            ", images: no such file or directory 'fotos' beside dataset.toml",
        ),
        (
            "layout = 'voc'\nannotations = '../boxes'\n",
            ", annotations: path '../boxes' leads out of the data set; use a path inside it",
        ),
        (
            "layout = 'voc'\nannotations = '/etc'\n",
            ", annotations: path '/etc' is absolute; use a path relative to the data set",
        ),
        (
            "layout = 'voc'\nannotations = 3\n",
            ": annotations must be a string, got 3",
        ),
        (
            "layout = 'yolo'\nannotations = 'boxes'\n",
            ", labels: missing; YOLO files have numbers only, so name the classes",
        ),
        (
            "layout = 'coco'\nannotations = 'boxes'\nlabels = ['a']\n",
            ", labels: not allowed for coco, whose files name the classes",
        ),
        (
            "layout = 'voc'\nannotations = 'boxes'\nlabels = ['a', 'a']\n",
            ", labels: class 'a' is duplicated; names must differ",
        ),
        (
            "layout = 'voc'\nannotations = 'boxes'\nlabels = [1]\n",
            ", labels: got [1], expected a list of names, or a file",
        ),
        (
            "layout = 'voc'\nannotations = 'boxes'\nsplits = 'x'\n",
            ": splits must be an object, got 'x'",
        ),
        (
            "layout = 'voc'\nannotations = 'boxes'\n[splits]\nval = 'lists'\nvalid = 'boxes'\n",
            ", splits: a second entry for split 'val'",
        ),
        (
            "layout = 'voc'\nannotations = 'boxes'\n[splits]\n'a/b' = 'lists'\n",
            ", splits: name 'a/b' can't be part of a file name; use letters, digits, - and _",
        ),
        (
            "layout = 'csv'\n[splits]\ntrain = 'lists'\n",
            ", splits.train: got 'lists', expected an annotation file of its own",
        ),
        ("layout = 'csv'\nannotations = 'lists'\n", ", annotations: no *.csv in "),
        ("layout = 'voc'\nannotations = 'boxes'\n", ", annotations: no *.xml in "),
        (
            "layout = 'yolo'\nimages = 'photos'\nannotations = 'boxes'\nlabels = ['a']\n"
            "[splits]\ntrain = 'boxes'\n",
            ", splits.train: ",
        ),
    ],
)
def test_what_is_wrong_is_said(odd: Path, text: str, message: str):
    path = write(odd, text)
    with pytest.raises(DatasetError) as error:
        load_dataset(odd)
    assert str(error.value).startswith(f"{path}{message}")


def test_a_link_that_leads_out_is_refused(odd: Path):
    outside = odd.parent / f"{odd.name}-outside"
    outside.mkdir()
    (odd / "link").symlink_to(outside)
    write(odd, "layout = 'voc'\nannotations = 'link'\n")
    with pytest.raises(DatasetError, match=r"link: symbolic link leads out of the data set"):
        load_dataset(odd)


def test_the_file_goes_before_what_the_directory_looks_like(odd: Path, coco_json: Write):
    coco_json(odd, [("z.jpg", [(1, [1, 2, 3, 4])])])
    write_voc(odd, day_a="dog", day_b="cat", night_c="dog")
    write(odd, VOC)
    assert load_dataset(odd).layout == "voc"
