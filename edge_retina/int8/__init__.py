"""The TensorFlow-free parts of int8: recipes, calibration sets, ranges, layer errors."""
