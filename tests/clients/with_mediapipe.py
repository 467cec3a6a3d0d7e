"""MediaPipe Tasks' `ObjectDetector`; called with `image` or `video` after OUT."""

from __future__ import annotations

from importlib.metadata import version

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
from protocol import SCORE, arguments, read_pictures, rows_of_task, write

FRAME_MS = 33


def main() -> None:
    args = arguments("mode")
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(args.model)),
        running_mode=vision.RunningMode[args.mode.upper()],
        score_threshold=SCORE,
    )
    found = {}
    with vision.ObjectDetector.create_from_options(options) as detector:
        for index, (name, pixels) in enumerate(read_pictures(args.pictures)):
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels)
            if args.mode == "video":
                result = detector.detect_for_video(image, index * FRAME_MS)
            else:
                result = detector.detect(image)
            found[name] = rows_of_task(result.detections)
    write(args.out, version("mediapipe"), found)


if __name__ == "__main__":
    main()
