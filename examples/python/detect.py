"""Find objects in a picture: python detect.py cells_int8.tflite photo.jpg."""

import sys

from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image

detector = TFLiteDetector(sys.argv[1], num_threads=4)
image = load_image(sys.argv[2])
found = detector.predict(image).above(0.3)
boxes_px = found.boxes_px(image.shape[:2])
for box, index, score in zip(boxes_px, found.classes, found.scores, strict=True):
    print(f"{detector.labels[index]} {score:.2f} ymin xmin ymax xmax in pixels: {box.round()}")
