"""What a reader found in annotation files, before it is checked against the pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge_retina.errors import DatasetError

logger = logging.getLogger(__name__)

MEND = "fix the file or pass --skip-invalid (data.skip_invalid = true)"
_LONGEST = 1000  # characters of a message
UNSPLIT = ""  # the split name of pictures that their data set gives no split


@dataclass(frozen=True, slots=True)  # slots: a data set may have millions of them
class ObjectAnnotation:
    """One object as it stands in the file.

    Attributes:
        name: how to find it in the file, e.g. "object 3" or "line 7".
        label: its class name.
        yxyx: ymin xmin ymax xmax in pixels, or in fractions if the picture says `normalized`.
        crowd: a region of many objects.
        difficult: a single object that is too hard to ask for (Pascal VOC's flag).
    """

    name: str
    label: str
    yxyx: tuple[float, float, float, float]
    crowd: bool = False
    difficult: bool = False


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """One picture as it stands in the file.

    Attributes:
        image_id: see `schema.Example`.
        path: where the picture should be.
        source: the annotation file (and the place in it), for messages.
        objects: its objects, in the order of the file.
        size_hw: the (height, width) that the file states, or None.
        normalized: boxes are fractions of the picture's sides instead of pixels.
    """

    image_id: str
    path: Path
    source: str
    objects: tuple[ObjectAnnotation, ...]
    size_hw: tuple[int, int] | None = None
    normalized: bool = False


@dataclass(frozen=True)
class AnnotatedSplits:
    """What a reader returns.

    Attributes:
        labels: class names in order.
        splits: pictures by split name.
        class_ids: the number that the files give each label, where the layout has numbers of its
            own (COCO); else empty.
    """

    labels: tuple[str, ...]
    splits: dict[str, list[ImageAnnotation]]
    class_ids: tuple[int, ...] = ()


@dataclass
class Problems:
    """Invalid things met while reading: left out and noted, or an error at the end.

    All are gathered before the error is raised, so that it can say how many there are.
    """

    skip_invalid: bool
    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """Note that the thing at `where` is invalid and was left out (or clipped)."""
        self.found.append(_printable(f"{where}: {what}"))

    def gather(self, others: Iterable[Problems]) -> None:
        """Take over what others found, in their order; each thread notes into its own."""
        for other in others:
            self.found += other.found

    def finish(self) -> tuple[str, ...]:
        """Return what was left out.

        Raises:
            DatasetError: there is something and invalid things must not be skipped.
        """
        if not self.found:
            return ()
        if not self.skip_invalid:
            more = len(self.found) - 1
            rest = (
                f" ({more} more problem{'s' if more > 1 else ''} in this data set)" if more else ""
            )
            raise DatasetError(f"{self.found[0]}; {MEND}{rest}")
        for line in self.found:
            logger.debug("left out: %s", line)
        logger.warning("%d invalid things were skipped; first: %s", len(self.found), self.found[0])
        return tuple(self.found)


def _printable(message: str) -> str:
    """Return a message that any terminal takes, whatever an annotation file made it quote."""
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}…"
    return message.encode("utf-8", "backslashreplace").decode()


def parse_number(text: object) -> float | None:
    """Return `text` as a finite float, or None when it isn't one."""
    try:
        value = float(text)  # type: ignore[arg-type]  # anything a JSON or XML field can hold
    except (TypeError, ValueError, OverflowError):
        return None
    return value if abs(value) < 1e9 else None  # also false for nan and inf


def parse_size(height: object, width: object) -> tuple[int, int] | None:
    """Return (height, width) in pixels, or None where the file states none.

    0 counts as none: some labelling tools write it when they could not read the picture.
    """
    sides = parse_number(height), parse_number(width)
    if sides[0] is None or sides[1] is None or min(sides[0], sides[1]) < 1:
        return None
    return int(sides[0]), int(sides[1])
