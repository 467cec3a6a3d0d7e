"""Box geometry in NumPy. Boxes are (ymin, xmin, ymax, xmax); shapes are (height, width)."""
