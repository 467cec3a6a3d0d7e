"""From the float model to an int8-ready one: calibration of ranges, PTQ, QAT."""
