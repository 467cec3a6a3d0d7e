"""`edge-retina tune`: a search for settings that is not fooled by noise."""
