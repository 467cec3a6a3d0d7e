"""Where the mAP is lost: error kinds, slices of the objects, confusions, calibration, curves."""
