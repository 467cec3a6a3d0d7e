"""Which TFRecord files a data set has, which of them are missing, and what split each one is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_files import subdirectories
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.datasets.tfrecord_file import compressed
from edge_retina.errors import DatasetError
from edge_retina.stored_files import SHARD_SUFFIX

SUFFIXES = (".tfrecord", ".tfrecords", ".record")
# train-00003-of-00016.tfrecord, or coco_val.record-00003-of-00010
_SHARD = re.compile(
    rf"(?P<stem>.+?)(?:-(?P<number>\d{{1,9}})-of-(?P<count>\d{{1,9}}))?(?P<suffix>{SHARD_SUFFIX})",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"-(\d+)-of-(\d+)(?!.*-of-)")
_BEHIND = re.compile(r"-(\d{1,9})-of-(\d{1,9})$")


@dataclass(frozen=True)
class Shard:
    """A TFRecord file.

    Attributes:
        path: where it is.
        stem: its name without shard numbers and suffix.
        number: its place in a numbered series, from 0 on; 0 if it belongs to none.
        count: how many files the series has; 0 if it belongs to none.
        behind: the numbers stand behind the suffix instead of before it.
    """

    path: Path
    stem: str
    number: int = 0
    count: int = 0
    behind: bool = False

    @property
    def series(self) -> tuple[Path, str, int, bool, str]:
        """What all files of a series share."""
        suffix = _BEHIND.sub("", self.path.suffix).lower()
        return self.path.parent, self.stem, self.count, self.behind, suffix

    def sibling(self, number: int) -> str:
        """Return the name of another file of its series, as wide as its own."""
        return _NUMBERS.sub(
            lambda found: f"-{number:0{len(found[1])}d}-of-{found[2]}", self.path.name
        )


def shard_of(path: Path) -> Shard | None:
    """Return what a file's name says; None if it is not that of a TFRecord file."""
    found = _SHARD.fullmatch(path.name)
    if found is None:
        return None
    behind = _BEHIND.search(found["suffix"])
    number, count = behind.groups() if behind else (found["number"], found["count"])
    if number is None:
        return Shard(path, found["stem"])
    return Shard(path, found["stem"], int(number), int(count), behind is not None)


def find_shards(directory: Path, boundary: Boundary) -> list[Shard]:
    """Return the TFRecord files of a directory and of those in it, in order.

    Raises:
        DatasetError: one leads out of the data set, or is compressed.
    """
    shards = []
    for place in (directory, *subdirectories(directory)):
        for path in place.glob("*"):
            _refuse_gzip(path)
            shard = shard_of(path)
            if shard is not None and not path.name.startswith(".") and not path.is_dir():
                boundary.check(path)
                shards.append(shard)
    return in_order(shards)


def series_of(path: Path, boundary: Boundary) -> list[Shard]:
    """Return all files of the series that a TFRecord file belongs to; itself, if to none.

    Raises:
        DatasetError: it is no TFRecord file, or another of the series leads out of the data set.
    """
    _refuse_gzip(path)
    shard = shard_of(path)
    if shard is None:
        raise DatasetError(f"{path}: not a TFRecord file; expected {' or '.join(SUFFIXES)}")
    if not shard.count:
        return [shard]
    others = (found for name in path.parent.glob("*") if (found := shard_of(name)) is not None)
    same = [other for other in others if other.series == shard.series]
    for other in same:
        boundary.check(other.path)
    return in_order(same)


def in_order(shards: Iterable[Shard]) -> list[Shard]:
    """Return shards by directory, name and number."""
    return sorted(shards, key=lambda item: (item.path.parent, item.stem, item.number, item.path))


def missing_shards(shards: Sequence[Shard]) -> list[tuple[Path, str]]:
    """Return for each series that isn't whole its first missing file, and what is missing in words.

    However many files a name promises, no more are looked for than there are.
    """
    series: dict[object, list[Shard]] = {}
    for shard in shards:
        if shard.count:
            series.setdefault(shard.series, []).append(shard)
    lines = []
    for members in series.values():
        there = {shard.number for shard in members}
        first = members[0]
        if len(there) < first.count:
            absent = next(number for number in range(first.count) if number not in there)
            path = first.path.parent / first.sibling(absent)
            what = f"is missing: {len(there)} of {first.count} files of its series are there"
            lines.append((path, what))
    return lines


def split_names(shards: Sequence[Shard], root: Path) -> list[str]:
    """Return the split of each shard.

    The file's name counts if it is that of a split ("train"), then its directory's, then the last
    or the first word of the file's name ("coco_val"), unless other files have that very name.
    Else the file's name is the split's.
    """
    certain = [_certain_split(shard, root) for shard in shards]
    names = []
    for shard, split in zip(shards, certain, strict=True):
        words = [split_name(word) for word in re.split(r"[-_. ]+", shard.stem)]
        likely = next((word for word in (words[-1], words[0]) if word in SPLITS), None)
        if split is None and likely is not None and likely not in certain:
            split = likely
        names.append(split or split_name(shard.stem))
    return names


def _certain_split(shard: Shard, root: Path) -> str | None:
    parents = shard.path.relative_to(root).parts[:-1]
    candidates = (split_name(text) for text in (shard.stem, *reversed(parents)))
    return next((name for name in candidates if name in SPLITS), None)


def _refuse_gzip(path: Path) -> None:
    if path.suffix.lower() == ".gz" and shard_of(path.with_suffix("")) is not None:
        raise compressed(path)
