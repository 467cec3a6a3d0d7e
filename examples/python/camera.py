"""Find objects in what a camera sees: python camera.py cells_int8.tflite --source 0.

Prints a line a second: frames in that second, milliseconds of a detection, and what the last frame
shows. A video file can stand in for the camera. --save writes every frame with its boxes.
"""

import argparse
import time

import cv2

from edge_retina.evaluation.drawing import draw_detections
from edge_retina.runtime.detector import TFLiteDetector

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", help="int8 .tflite file")
parser.add_argument("--source", default="0", help="number of the camera, or a video file")
parser.add_argument("--score", type=float, default=0.3, help="lowest score to show")
parser.add_argument("--threads", type=int, default=4)
parser.add_argument("--save", help="directory for the frames, which must exist")
options = parser.parse_args()

source = int(options.source) if options.source.isdigit() else options.source
capture = cv2.VideoCapture(source)
if not capture.isOpened():
    raise SystemExit(f"{options.source}: no camera and no video can be opened there")
capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not one from a second ago
detector = TFLiteDetector(options.model, num_threads=options.threads)

frames, busy, number, since = 0, 0.0, 0, time.monotonic()
while True:
    is_read, frame_bgr = capture.read()
    if is_read:
        image = cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB)
        started = time.monotonic()
        found = detector.predict(image).above(options.score)
        busy += time.monotonic() - started
        frames, number = frames + 1, number + 1
        if options.save:
            drawn = draw_detections(image, found, detector.labels, score_threshold=options.score)
            cv2.imwrite(f"{options.save}/{number:06}.jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    passed = time.monotonic() - since
    if frames and (passed >= 1 or not is_read):
        names = [detector.labels[index] for index in found.classes]
        counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        print(f"{frames / passed:.1f} frames/s, {1000 * busy / frames:.1f} ms: {counts or '-'}")
        frames, busy, since = 0, 0.0, time.monotonic()
    if not is_read:
        break
