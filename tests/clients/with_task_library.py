"""The Task Library (tflite-support), which apps from before MediaPipe Tasks have."""

from __future__ import annotations

from importlib.metadata import version

from protocol import SCORE, arguments, read_pictures, rows_of_task, write
from tflite_support.task import core, processor, vision


def main() -> None:
    args = arguments()
    options = vision.ObjectDetectorOptions(
        base_options=core.BaseOptions(file_name=str(args.model)),
        detection_options=processor.DetectionOptions(score_threshold=SCORE),
    )
    detector = vision.ObjectDetector.create_from_options(options)
    found = {}
    for name, pixels in read_pictures(args.pictures):
        image = vision.TensorImage.create_from_array(pixels)
        found[name] = rows_of_task(detector.detect(image).detections)
    write(args.out, version("tflite-support"), found)


if __name__ == "__main__":
    main()
