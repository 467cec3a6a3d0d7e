"""All advice for a data set."""

from __future__ import annotations

from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.advice import detections, network, training
from edge_retina.doctor.data.checks.anchors import AnchorStudy
from edge_retina.doctor.data.checks.objects import ObjectStatistics, measure_objects
from edge_retina.doctor.data.survey import Survey


def advise(
    survey: Survey, objects: ObjectStatistics, anchors: AnchorStudy | None
) -> tuple[Advice, ...]:
    """Return advice for a data set; none where it holds no object.

    Args:
        survey: the data set.
        objects: measured at the config's input size.
        anchors: studied there, at the config's levels; None where there is no object.
    """
    if anchors is None:
        return ()
    size = network.input_size(survey, objects)
    at_size = measure_objects(survey, tuple(size.value))
    study, levels = network.levels(survey, at_size, anchors)
    return (
        *training.splits(survey),
        *training.skip_invalid(survey),
        size,
        *levels,
        *network.anchors(study, at_size),
        network.zoom(at_size),
        *network.mosaic(at_size),
        *training.schedule(survey),
        *detections.max_detections(survey, objects),
        *detections.nms_iou(survey, objects),
    )
