"""From a folder of labelled pictures to an int8 object detector that runs on a phone.

Importing this package is cheap: no TensorFlow, no OpenCV. Sub-packages are imported when used.
"""

import os

__version__ = "0.1.0"

# A few hundred bytes of compressed black can unfold into gigabytes. Pillow's limit is the same, and
# its reason: half a gigabyte of RGB; the largest cameras of today make 150 million pixels.
MAX_IMAGE_PIXELS = 178_956_970
# OpenCV reads its limit when it is loaded, which modules of this package do after this line. Its
# own, 2**30 pixels, lets a small file ask for 3 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))
