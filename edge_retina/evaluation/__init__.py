"""How good is a detector: COCO metrics of any predictor, and pictures to look at."""
