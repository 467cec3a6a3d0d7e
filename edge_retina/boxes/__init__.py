"""Box geometry in numpy. Boxes are ymin, xmin, ymax, xmax; a shape is height, width."""
