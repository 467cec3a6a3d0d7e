"""The output forms by name, in the order in which a file is tried."""

from __future__ import annotations

from collections.abc import Mapping

from edge_retina.runtime.formats import end_to_end, mediapipe, ssd_raw, task_library, yolov8
from edge_retina.runtime.formats.output_format import OutputFormat

FORMATS: Mapping[str, OutputFormat] = {
    item.name: item
    for item in (
        task_library.FORMAT,
        mediapipe.FORMAT,
        end_to_end.FORMAT,
        yolov8.FORMAT,
        ssd_raw.FORMAT,
    )
}
