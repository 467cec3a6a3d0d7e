"""From a folder of labelled images to an int8 object detector that runs on a phone.

Importing this package is cheap: it loads neither TensorFlow nor OpenCV.
"""

import os

__version__ = "0.1.0"

# A few hundred bytes of compressed black can expand to gigabytes. This is Pillow's limit: half a
# gigabyte of RGB. The largest cameras of today produce 150 million pixels.
MAX_IMAGE_PIXELS = 178_956_970
# OpenCV reads its limit on import, and this package imports it only after this line. Its default of
# 2**30 pixels lets a small file allocate 3 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))
