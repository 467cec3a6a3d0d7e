"""What is wrong with a data set, and what to change: checks, findings, advice, a page."""
