from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.errors import DatasetError

MEND = "; fix the file or pass --skip-invalid (data.skip_invalid = true)"
Write = Callable[..., Path]


def write_list(root: Path, split: str, *names: str) -> None:
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def only(root: Path, *, skip_invalid: bool = True):
    """The data set's one picture, in whatever split."""
    dataset = load_dataset(root, skip_invalid=skip_invalid)
    (example,) = [item for split in dataset.splits.values() for item in split]
    return dataset, example


def test_boxes_are_yxyx_as_they_stand(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("dog", 1, 2, 30, 40), ("cat", 10.5, 0, 60, 20.25))
    dataset, example = only(tmp_path, skip_invalid=False)
    assert (dataset.layout, dataset.labels, dataset.name) == ("voc", ("cat", "dog"), tmp_path.name)
    assert (example.image_id, example.image_hw) == ("a.jpg", (40, 60))
    np.testing.assert_array_equal(example.boxes_px, [[2, 1, 40, 30], [0, 10.5, 20.25, 60]])
    assert example.boxes_px.dtype == np.float32
    assert example.classes.tolist() == [1, 0]
    assert example.classes.dtype == np.int32
    assert example.crowd.tolist() == [False, False]


@pytest.mark.parametrize(
    "flag, difficult",
    [
        ("", False),
        ("<difficult>0</difficult>", False),
        ("<difficult>1</difficult>", True),
        ("<difficult> true\n</difficult>", True),
        ("<difficult/>", False),
        ("<difficult>Unspecified</difficult>", False),
    ],
)
def test_difficult_objects_are_ignored(tmp_path: Path, voc_xml: Write, flag: str, difficult: bool):
    path = voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), ("dog", 1, 2, 30, 40))
    path.write_text(path.read_text().replace("<name>dog</name>", f"<name>dog</name>{flag}"))
    _, example = only(tmp_path, skip_invalid=False)
    assert example.difficult.tolist() == [False, difficult]
    assert example.ignored.tolist() == [False, difficult]
    assert not example.crowd.any()


def test_lists_are_splits_and_class_lists_are_not(tmp_path: Path, voc_xml: Write):
    for name in "abc":
        voc_xml(tmp_path, name, ("cat", 1, 1, 9, 9))
    write_list(tmp_path, "train", "a", "b")
    write_list(tmp_path, "val", "c")
    write_list(tmp_path, "trainval", "a", "b", "c")
    write_list(tmp_path, "cat_train", "a  1", "b -1")
    dataset = load_dataset(tmp_path)
    ids = {name: [item.image_id for item in split] for name, split in dataset.splits.items()}
    assert ids == {
        "train": ["a.jpg", "b.jpg"],
        "val": ["c.jpg"],
        "trainval": ["a.jpg", "b.jpg", "c.jpg"],
    }
    assert dataset.splits["train"][0] == dataset.splits["trainval"][0]
    assert np.shares_memory(*(dataset.splits[x][0].boxes_px for x in ("train", "trainval")))


def test_pictures_without_objects_are_kept(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    voc_xml(tmp_path, "b")
    write_list(tmp_path, "train", "a", "b")
    empty = load_dataset(tmp_path).split("train")[1]
    assert empty.boxes_px.shape == (0, 4)
    assert empty.classes.shape == empty.crowd.shape == (0,)


def test_label_file_fixes_the_order(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    (tmp_path / "labels.txt").write_text("dog\ncat\nfish\n")
    dataset, example = only(tmp_path)
    assert dataset.labels == ("dog", "cat", "fish")
    assert example.classes.tolist() == [1]


@pytest.mark.parametrize("directories", [("annotations", "images"), (".", "."), ("val", "val")])
def test_other_places(tmp_path: Path, voc_xml: Write, picture: Write, directories: tuple[str, str]):
    (tmp_path / "JPEGImages").mkdir()
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), directory=directories[0])
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    picture(tmp_path / directories[1] / "a.PNG")
    dataset, example = only(tmp_path)
    assert example.path.name == "a.PNG"
    if directories[0] == "val":
        assert set(dataset.splits) == {"val"}


def test_the_files_own_name_goes_before_the_filename_in_it(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), filename="other.jpg")
    assert only(tmp_path)[1].image_id == "a.jpg"


def test_the_filename_is_used_where_the_names_differ(
    tmp_path: Path, voc_xml: Write, picture: Write
):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), filename="other.jpg")
    (tmp_path / "JPEGImages" / "a.jpg").rename(tmp_path / "JPEGImages" / "other.jpg")
    assert only(tmp_path)[1].image_id == "other.jpg"


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_a_size_that_is_not_stated_is_read_from_the_picture(
    tmp_path: Path, voc_xml: Write, size: tuple[int, int] | None
):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), size=size)
    assert only(tmp_path, skip_invalid=False)[1].image_hw == (40, 60)


@pytest.mark.parametrize(
    "objects, message, left",
    [
        (
            [("cat", 1, 1, 9, 9), ("cat", 20, 5, 20, 9)],
            "Annotations/a.xml, object 2: xmax (20) <= xmin (20)",
            1,
        ),
        ([("cat", 5, 30, 9, 9.5)], "Annotations/a.xml, object 1: ymax (9.5) <= ymin (30)", 0),
        (
            [("cat", "12a", 5, 20, 9)],
            "Annotations/a.xml, object 1: xmin is '12a', expected a number",
            0,
        ),
        (
            [("cat", "nan", 5, 20, 9)],
            "Annotations/a.xml, object 1: xmin is 'nan', expected a number",
            0,
        ),
        (
            [("cat", -5, 5, 20, 9)],
            "Annotations/a.xml, object 1: box xmin -5 ymin 5 xmax 20 ymax 9 sticks out of the "
            "60x40 image",
            1,
        ),
        (
            [("cat", 70, 5, 80, 9)],
            "Annotations/a.xml, object 1: box xmin 70 ymin 5 xmax 80 ymax 9 lies outside the "
            "60x40 image",
            0,
        ),
        (
            [("cta", 1, 5, 20, 9)],
            "Annotations/a.xml, object 1: class 'cta' is not in the list; did you mean 'cat'?",
            0,
        ),
        ([("", 1, 5, 20, 9)], "Annotations/a.xml, object 1: has no class name", 0),
    ],
)
def test_invalid_objects(
    tmp_path: Path, voc_xml: Write, objects: list[tuple[object, ...]], message: str, left: int
):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    voc_xml(tmp_path, "a", *objects)
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == f"{tmp_path}/{message}{MEND}"

    dataset, example = only(tmp_path)
    assert dataset.skipped == (f"{tmp_path}/{message}",)
    assert len(example.boxes_px) == len(example.classes) == len(example.crowd) == left


def test_sticking_out_is_cut_off_when_invalid_is_skipped(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", -5, 5, 70, 9))
    np.testing.assert_array_equal(only(tmp_path)[1].boxes_px, [[5, 0, 9, 60]])


def test_sticking_out_by_a_pixel_is_rounding(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", -1, -0.5, 61, 40.5))
    _, example = only(tmp_path, skip_invalid=False)
    np.testing.assert_array_equal(example.boxes_px, [[0, 0, 40, 60]])


def test_all_problems_are_counted(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 9, 1, 1, 9), ("cat", 9, 1, 1, 9), ("cat", 9, 1, 1, 9))
    with pytest.raises(DatasetError, match=r"object 1: .* \(2 more problems in this data set\)$"):
        load_dataset(tmp_path)


def test_wrong_size(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), size=(64, 48))
    voc_xml(tmp_path, "b", ("cat", 1, 1, 9, 9))
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    message = f"{tmp_path}/Annotations/a.xml: size is stated as 64x48, but a.jpg has 60x40"
    assert str(error.value) == message + MEND
    dataset, example = only(tmp_path)
    assert example.image_id == "b.jpg"
    assert dataset.skipped == (message,)


@pytest.mark.parametrize("orientation, box", [(6, [1, 8, 9, 40]), (8, [51, 0, 59, 32])])
def test_boxes_drawn_before_the_exif_rotation_are_rotated(
    tmp_path: Path, voc_xml: Write, picture: Write, orientation: int, box: list[int]
):
    picture(tmp_path / "JPEGImages" / "a.jpg", (40, 60), exif=orientation)
    voc_xml(tmp_path, "a", ("cat", 1, 0, 9, 32), size=(60, 40))
    _, example = only(tmp_path, skip_invalid=False)
    assert example.image_hw == (60, 40)
    np.testing.assert_array_equal(example.boxes_px, [box])


def test_boxes_drawn_on_the_upright_picture_stay(tmp_path: Path, voc_xml: Write, picture: Write):
    picture(tmp_path / "JPEGImages" / "a.jpg", (40, 60), exif=6)
    voc_xml(tmp_path, "a", ("cat", 1, 0, 9, 32), size=(40, 60))
    _, example = only(tmp_path, skip_invalid=False)
    assert example.image_hw == (60, 40)
    np.testing.assert_array_equal(example.boxes_px, [[0, 1, 32, 9]])


def test_malformed_xml(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9)).write_text("<annotation><object>")
    voc_xml(tmp_path, "b", ("cat", 1, 1, 9, 9))
    with pytest.raises(DatasetError, match=r"Annotations/a\.xml: malformed XML \(no element found"):
        load_dataset(tmp_path)
    assert only(tmp_path)[1].image_id == "b.jpg"


def test_missing_picture(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    voc_xml(tmp_path, "b", ("cat", 1, 1, 9, 9))
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    message = "a.xml: no image 'a.jpg' in JPEGImages/, images/ or beside the XML; fix the file"
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert message in str(error.value)
    assert only(tmp_path)[1].image_id == "b.jpg"


def test_missing_annotation_of_a_listed_picture(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    write_list(tmp_path, "train", "a", "b")
    with pytest.raises(DatasetError, match=r"Main/train\.txt, line 2: no annotation 'b\.xml'"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 1


def test_picture_listed_twice(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9))
    write_list(tmp_path, "train", "a", "a")
    with pytest.raises(
        DatasetError, match=r"a\.xml: image 'a\.jpg' is listed twice in split 'train'"
    ):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 1


@pytest.mark.parametrize(
    "filename, message",
    [
        ("../../secret.jpg", "path '../../secret.jpg' leads out of the data set"),
        ("x/../../secret.jpg", "path 'x/../../secret.jpg' leads out of the data set"),
        ("..\\secret.jpg", "path '..\\secret.jpg' leads out of the data set"),
        ("/etc/secret.jpg", "path '/etc/secret.jpg' is absolute"),
        ("C:\\secret.jpg", "path 'C:\\secret.jpg' is absolute"),
    ],
)
@pytest.mark.parametrize("skip_invalid", [False, True])
def test_paths_that_lead_elsewhere_are_refused(
    tmp_path: Path, voc_xml: Write, filename: str, message: str, skip_invalid: bool
):
    voc_xml(tmp_path, "a", ("cat", 1, 1, 9, 9), filename=filename)
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path, skip_invalid=skip_invalid)
    assert f"Annotations/a.xml, filename: {message}" in str(error.value)


def test_bccd(shared_data: Path):
    with pytest.raises(
        DatasetError, match=r"BloodImage_00343\.xml, object 4: xmax \(181\) <= xmin"
    ):
        load_dataset(shared_data / "bccd")
    dataset = load_dataset(shared_data / "bccd", skip_invalid=True)
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 205, "val": 87, "test": 72, "trainval": 292}
    assert dataset.labels == ("Platelets", "RBC", "WBC")
    assert len(dataset.skipped) == 2
    everything = dataset.splits["trainval"] + dataset.splits["test"]
    counts = np.bincount(np.concatenate([item.classes for item in everything]))
    assert counts.sum() == 4888 - 2
    assert counts[2] == 372


def test_raccoon(shared_data: Path):
    dataset = load_dataset(shared_data / "raccoon")
    everything = [item for split in dataset.splits.values() for item in split]
    assert (dataset.layout, dataset.labels) == ("voc", ("raccoon",))
    assert len(everything) == 200
    assert sum(len(item.classes) for item in everything) == 217


def test_mediapipe_voc(shared_data: Path):
    dataset = load_dataset(shared_data / "mediapipe_min" / "pascal_voc_data")
    assert dataset.labels == ("android", "pig_android")
    assert sum(len(split) for split in dataset.splits.values()) == 4
