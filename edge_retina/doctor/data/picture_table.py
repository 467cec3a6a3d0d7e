"""What was seen of each picture of a data set, in columns: there may be millions of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_header import ImageHeader
from edge_retina.datasets.text_column import TextColumn, hashes_of
from edge_retina.datasets.threads import each_in_threads
from edge_retina.doctor.data.file_format import FileFormat
from edge_retina.doctor.data.picture_file import THUMBNAIL_SIDE, PictureFile, look_at_picture

_NONE = -1
_SHA256 = 32  # bytes


class PictureTable(Mapping[Path, PictureFile]):
    """Pictures by file, in the order that they were looked at; one takes some 350 bytes.

    Attributes:
        paths: N files.
        looks: (N,) uint64, see `PictureFile`.
        thumbnails: (N, 16, 16) uint8; 0 where there is trouble.
        digests: (N, 32) uint8, the SHA-256 of each file; 0 where there is none.
        raw_hw: (N, 2) int32; -1 where there is trouble.
        orientations: (N,) int8.
        troubled: pictures that can't be used, by row.
        odd: headers with an invalid orientation, by row.
    """

    def __init__(self, paths: TextColumn) -> None:
        """Take the files, each once; `append` takes what was seen of them, in their order."""
        self.paths = paths
        hashes = hashes_of(paths, len(paths))
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._order]
        self.looks = np.zeros(len(paths), np.uint64)
        self.thumbnails = np.zeros((len(paths), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
        self.digests = np.zeros((len(paths), _SHA256), np.uint8)
        self.raw_hw = np.full((len(paths), 2), _NONE, np.int32)
        self.orientations = np.ones(len(paths), np.int8)
        self._formats: dict[FileFormat, int] = {}
        self._known_formats: list[FileFormat] = []
        self._format = np.full(len(paths), _NONE, np.int32)
        self.troubled: dict[int, PictureFile] = {}
        self.odd: dict[int, ImageHeader] = {}

    def put(self, row: int, seen: PictureFile) -> None:
        """Note what was seen of a file."""
        if seen.format is not None:
            number = self._formats.setdefault(seen.format, len(self._formats))
            if number == len(self._known_formats):
                self._known_formats.append(seen.format)
            self._format[row] = number
        if seen.sha256:
            self.digests[row] = np.frombuffer(bytes.fromhex(seen.sha256), np.uint8)
        if seen.header is None or seen.thumbnail is None:
            self.troubled[row] = seen
            return
        self.looks[row] = seen.look
        self.thumbnails[row] = seen.thumbnail
        self.raw_hw[row] = seen.header.raw_hw
        self.orientations[row] = seen.header.orientation
        if seen.header.invalid_orientation is not None:
            self.odd[row] = seen.header

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self.paths)

    def __getitem__(self, path: Path) -> PictureFile:
        return self.picture(self._row(str(path)))

    def find(self, path: str) -> int | None:
        """Return the row of a file; None if it isn't there."""
        start = int(np.searchsorted(self._hashes, hash(path)))
        while start < len(self) and self._hashes[start] == hash(path):
            row = int(self._order[start])
            if self.paths[row] == path:
                return row
            start += 1
        return None

    def rows_of(self, paths: Iterable[str], count: int) -> np.ndarray:
        """Return the rows of some files, (count,) int32.

        Raises:
            KeyError: one isn't there.
        """
        return np.fromiter(map(self._row, paths), np.int32, count)

    def _row(self, path: str) -> int:
        row = self.find(path)
        if row is None:
            raise KeyError(path)
        return row

    def header(self, row: int) -> ImageHeader | None:
        """Return size and orientation; None if there is trouble."""
        if row in self.troubled:
            return None
        if row in self.odd:
            return self.odd[row]
        height, width = self.raw_hw[row].tolist()
        return ImageHeader((height, width), int(self.orientations[row]))

    def format(self, row: int) -> FileFormat | None:
        """Return the format of a file; None if it is unknown."""
        return None if self._format[row] == _NONE else self._known_formats[self._format[row]]

    @property
    def has_format(self) -> np.ndarray:
        """(N,) bool, the format is known."""
        return self._format != _NONE

    def picture(self, row: int) -> PictureFile:
        """Return all that was seen of a file."""
        if row in self.troubled:
            return self.troubled[row]
        return PictureFile(
            Path(self.paths[row]),
            format=self.format(row),
            header=self.header(row),
            sha256=self.digests[row].tobytes().hex(),
            look=int(self.looks[row]),
            thumbnail=self.thumbnails[row],
        )


def look_at_pictures(paths: TextColumn, root: Path) -> PictureTable:
    """Look at every file once, several at a time; links that lead out of `root` are refused.

    Args:
        paths: files, each once.
        root: of the data set.
    """
    table, boundary = PictureTable(paths), Boundary(root)
    looks = each_in_threads(
        lambda row: look_at_picture(Path(paths[row]), boundary),
        range(len(paths)),
        threads=os.cpu_count() or 2,  # decoding is work for the processor
        batch=8,  # large pictures take long: all threads should have some to the end
    )
    for row, seen in enumerate(looks):
        table.put(row, seen)
    return table
