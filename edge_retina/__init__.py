"""From a folder of labelled pictures to an int8 object detector that runs on a phone.

Importing this package is cheap: no TensorFlow, no OpenCV. Sub-packages are imported when used.
"""

__version__ = "0.1.0"
