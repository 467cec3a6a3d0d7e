"""Labels that detectors disagree with which never saw them."""
