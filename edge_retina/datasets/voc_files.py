"""Where a Pascal VOC data set keeps its XML files, images and split lists."""

from __future__ import annotations

import posixpath
from pathlib import Path

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_files import (
    below,
    list_files,
    list_images,
    read_text,
    relative_path,
    subdirectories,
)
from edge_retina.datasets.layout import DatasetFile
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError

_LISTS = Path("ImageSets", "Main")


def xml_files(root: Path, boundary: Boundary) -> dict[Path, Path]:
    """Return XML files, sorted, each with the directory that names in split lists begin at."""
    for name in ("Annotations", "annotations"):
        found = _xml_below(root / name, boundary)
        if found:
            return dict.fromkeys(found, root / name)
    beside = dict.fromkeys(sorted(root.glob("*.xml")), root)
    return beside or {
        path: path.parent
        for directory in subdirectories(root)
        if split_name(directory.name) in SPLITS
        for path in sorted(directory.glob("*.xml"))
    }


def described_files(described: DatasetFile, boundary: Boundary) -> dict[Path, Path]:
    """Return the same for a data set that has a `dataset.toml`.

    Raises:
        DatasetError: there is no XML file where it says.
    """
    base = described.annotations or described.root
    files = _xml_below(base, boundary)
    if not files:
        raise DatasetError(f"{described.path}, annotations: no *.xml in {base}")
    return dict.fromkeys(files, base)


def split_lists(root: Path, boundary: Boundary) -> list[Path]:
    """Return the lists of `ImageSets/Main` that are splits, sorted."""
    return [
        path
        for path in sorted((root / _LISTS).glob("*.txt"))
        if not _is_class_list(boundary.check(path))
    ]


class Images:
    """The images of a data set, found by the name of their XML file or by what it states."""

    def __init__(self, root: Path, described: DatasetFile | None, boundary: Boundary) -> None:
        self.base = described.images if described is not None else root
        found = list_images(self.base, boundary=boundary)
        self._by_stem = {posixpath.splitext(below(path, self.base))[0]: path for path in found}
        self._directories = ("",) if described is not None else ("JPEGImages/", "images/", None, "")
        self.looked_in = (
            "JPEGImages/, images/ or beside the XML" if described is None else str(self.base)
        )

    def find(self, path: Path, name: str, stated: str) -> Path | None:
        """Find an image by the XML's own name, as the devkit does, else by its `filename`.

        The own name goes first because `filename` is often left over from before a renaming.
        """
        stems = [name]
        if stated:
            relative = relative_path(stated, where=f"{path}, filename")
            stems += [relative.with_suffix("").as_posix(), relative.as_posix()]
        for stem in stems:
            for directory in self._directories:
                if directory is None:
                    directory = posixpath.dirname(below(path, self.base)) + "/"
                image_path = self._by_stem.get((directory + stem).lstrip("/"))
                if image_path is not None:
                    return image_path
        return None


def _xml_below(directory: Path, boundary: Boundary) -> list[Path]:
    return list_files(directory, (".xml",), boundary=boundary)


def _is_class_list(path: Path) -> bool:
    """Whether a list is of the form `dog_train.txt`: an image and 1, 0 or -1 a line."""
    first = next((line.split() for line in read_text(path).splitlines() if line.strip()), [])
    return len(first) > 1 and first[-1] in ("1", "0", "-1")
