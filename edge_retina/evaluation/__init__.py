"""Detector quality: COCO metrics of any predictor, and images with its detections drawn."""
