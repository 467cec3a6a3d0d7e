"""Exports a model to .tflite files with decoding and NMS inside."""
