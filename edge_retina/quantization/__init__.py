"""From a float model to an int8-ready one: range calibration, PTQ, QAT."""
