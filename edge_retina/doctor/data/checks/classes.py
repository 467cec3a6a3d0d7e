"""Checks of class names, and of how many objects each class has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.image_files import read_text
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind
from edge_retina.errors import DatasetError
from edge_retina.yaml_text import parse_yaml

# Above this the rarest class is usually the one that fails; BCCD's platelets have 11.5.
_IMBALANCE = 10.0
# Fewer boxes than this can be memorised but not generalised from, and AP over a tenth of them, as a
# test split holds, is noise.
_FEW_BOXES = 20
_CLASS_LISTS = ("*.yaml", "*.yml", "*.yaml.*", "*.names", "classes.txt", "labels.txt")

IMBALANCE = Kind(
    "class-imbalance",
    "warning",
    "Classes with at least ten times fewer boxes than another",
    "a rare class gives few positive anchors against the same background, so its scores stay low",
    "label more pictures of the rare class; loss.focal_alpha can't help, because it weighs objects "
    "against background, not one class against another",
)
ONE_BOX = Kind(
    "class-with-one-box",
    "warning",
    "Classes with a single box",
    "usually a typo; it takes up an output of the network and can't be learned",
    "rename it to the class that is meant, or delete it",
)
FEW_BOXES = Kind(
    "class-with-few-boxes",
    "note",
    f"Classes with fewer than {_FEW_BOXES} boxes",
    "too few to learn from, and their AP is noise",
    "label more, merge them into another class, or leave them out",
)
UNUSED = Kind(
    "class-without-boxes",
    "note",
    "Classes in the list without any box",
    "each takes up an output of the network at every anchor for nothing",
    "remove them from the class list",
)
NOT_TRAINED = Kind(
    "class-absent-from-training",
    "warning",
    "Classes that are evaluated but not in the training split",
    "they can't be detected, so their AP of 0 lowers the mean",
    "move pictures of them into the training split",
)
NOT_TESTED = Kind(
    "class-absent-from-split",
    "note",
    "Trained classes that are missing from a validation or test split",
    "their accuracy is unknown; the mean AP leaves them out",
    "move pictures of them there",
)
NAMES = Kind(
    "similar-class-names",
    "warning",
    "Class names that differ only by case, spaces or punctuation",
    "probably one class split in two, each half trained as background of the other",
    "use one spelling",
)
ID_GAPS = Kind(
    "class-id-gaps",
    "note",
    "Gaps in the class ids",
    "the model numbers classes from 0 without gaps, in the order of the ids; code that takes its "
    "class index for an id of the file would be wrong",
    "use label names, never ids",
)
OTHER_LIST = Kind(
    "other-class-list",
    "note",
    "Other class lists beside the data that disagree",
    "a tool that reads such a list would give boxes the wrong names",
    "delete the wrong one",
)


def check_classes(survey: Survey) -> list[Finding]:
    """Return all findings about classes."""
    counts = box_counts(survey)
    return [
        *_balance(counts),
        *_rare(counts),
        *_splits(survey, counts),
        *_similar_names(survey.labels),
        *_id_gaps(survey),
        *_other_lists(survey),
    ]


def box_counts(survey: Survey) -> dict[str, int]:
    """Return the number of boxes of each label, as in the files; ignored ones left out."""
    table = survey.objects
    counted = ~(table.crowd | table.difficult) & (table.classes >= 0)
    counts = np.bincount(table.classes[counted], minlength=len(survey.labels))
    return {label: int(count) for label, count in zip(survey.labels, counts, strict=True)}


def _balance(counts: dict[str, int]) -> list[Finding]:
    common = {label: count for label, count in counts.items() if count >= _FEW_BOXES}
    if not common:
        return []
    most = max(common, key=common.__getitem__)
    rare = [label for label, count in common.items() if common[most] / count >= _IMBALANCE]
    return IMBALANCE.found(
        [Case(label, f"{common[label]} boxes against {common[most]} of {most}") for label in rare]
    )


def _rare(counts: dict[str, int]) -> list[Finding]:
    few = {label: count for label, count in counts.items() if 1 < count < _FEW_BOXES}
    return [
        *ONE_BOX.found([Case(label, "1 box") for label, count in counts.items() if count == 1]),
        *FEW_BOXES.found([Case(label, f"{count} boxes") for label, count in few.items()]),
        *UNUSED.found([Case(label, "no box") for label, count in counts.items() if not count]),
    ]


def _splits(survey: Survey, counts: dict[str, int]) -> list[Finding]:
    present = {
        name: {survey.labels[index] for index in np.unique(ExampleTable.of(items).classes)}
        for name, items in survey.measured_splits.items()
    }
    trained = present.pop(survey.config.data.train_split, None)
    if trained is None or not present:
        return []
    untrained = [
        Case(label, f"in {', '.join(name for name in present if label in present[name])} only")
        for label in survey.labels
        if label not in trained and any(label in of_split for of_split in present.values())
    ]
    untested = [
        Case(label, f"none in {', '.join(n for n in present if label not in present[n])}")
        for label in survey.labels
        if label in trained and counts[label] > 1
        if any(label not in of_split for of_split in present.values())
    ]
    return NOT_TRAINED.found(untrained) + NOT_TESTED.found(untested)


def bare_name(label: str) -> str:
    """Return a class name without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", label.casefold()) or label


def _similar_names(labels: tuple[str, ...]) -> list[Finding]:
    first: dict[str, str] = {}
    cases = []
    for label in labels:
        bare = bare_name(label)
        if bare in first:
            cases.append(Case(label, f"also '{first[bare]}'"))
        first.setdefault(bare, label)
    return NAMES.found(cases)


def _id_gaps(survey: Survey) -> list[Finding]:
    ids = survey.class_ids
    if not ids:
        return []
    first = min(ids[0], 1)
    missing = ids[-1] - first + 1 - len(ids)
    if not missing:
        return []
    # Not all of them: an id may be any number of 64 bits.
    known = set(ids)
    gaps = itertools.islice((n for n in itertools.count(first) if n not in known), min(missing, 12))
    shown = ", ".join(map(str, gaps)) + (" ..." if missing > 12 else "")
    case = Case("categories", f"{len(ids)} ids within {ids[0]}..{ids[-1]}; without {shown}")
    return ID_GAPS.found([case], count=missing)


def _other_lists(survey: Survey) -> list[Finding]:
    cases = []
    for path in sorted({path for pattern in _CLASS_LISTS for path in survey.root.glob(pattern)}):
        names = _names_in(path, Boundary(survey.root))
        if names and names != survey.labels:
            shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            cases.append(Case(survey.name_of(path), f"says {shown}"))
    return OTHER_LIST.found(cases)


def _names_in(path: Path, boundary: Boundary) -> tuple[str, ...]:
    """Return the class names in a file of whichever form; empty where there are none."""
    try:
        text = read_text(path, boundary=boundary)
    except DatasetError:
        return ()  # a file that is not read by anything here and that nobody can read
    if ".y" not in path.name:
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    return tuple(_yaml_names(text))


def _yaml_names(text: str) -> Iterator[str]:
    try:
        tree = parse_yaml(text)
    except ValueError:
        return  # not a class list
    names = tree.get("names") if isinstance(tree, dict) else None
    if isinstance(names, dict):
        names = list(names.values())
    if isinstance(names, list):
        yield from (str(name).strip() for name in names)
