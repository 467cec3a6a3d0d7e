"""Boxes of a whole data set that lie beside their objects."""

from __future__ import annotations

from edge_retina.datasets.subset import spread
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.edges import edge_offset
from edge_retina.doctor.findings import Case, Finding, Kind

_MOST_PICTURES = 150

DISPLACED = Kind(
    "displaced-boxes",
    "warning",
    "Directions in which the training boxes are displaced",
    "a detector learns the displacement, and validation boxes that are displaced alike hide it "
    "from the mAP",
    "look at some boxes, and at how they were made or converted: corners taken for centres, an "
    "offset of a crop, a rescaled image",
)


def check_displacement(survey: Survey) -> list[Finding]:
    """Compare the boxes of up to 150 training pictures with the edges in them."""
    offset = edge_offset(spread(survey.sound(survey.training), _MOST_PICTURES))
    place = f"{offset.objects} objects of the training split"
    return DISPLACED.found([Case(place, item.text) for item in offset.displacements()])
