"""Losses of the box head, one a file; `choices.BOX_LOSSES` lists them.

Each is a function of the positive anchors' boxes (`MatchedBoxes`, N rows) and the `LossConfig`, and
returns the loss of each row (N,). To add one, write its file here and its line there.
"""
