"""The forms in which other frameworks' detectors give their results, one file each."""
