"""What is wrong with a data set or an int8 model, and what to change."""
