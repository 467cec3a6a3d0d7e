"""The targets by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    anchors,
    benchmark_results,
    checkpoints,
    coco,
    config,
    csv_files,
    dataset_toml,
    images,
    labels,
    manifest,
    metadata,
    op_table,
    run_files,
    tflite,
    tfrecord,
    voc,
    yolo,
)

TARGETS: Mapping[str, Target] = {
    item.name: item
    for item in (
        coco.TARGET,
        csv_files.TARGET,
        voc.TARGET,
        yolo.TARGET,
        tfrecord.TARGET,
        dataset_toml.TARGET,
        images.TARGET,
        tflite.TARGET,
        metadata.TARGET,
        labels.TARGET,
        anchors.TARGET,
        manifest.TARGET,
        config.TARGET,
        run_files.TARGET,
        benchmark_results.TARGET,
        op_table.TARGET,
        checkpoints.TARGET,
    )
}
