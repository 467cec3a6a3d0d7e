"""Losses of the class head, one a file; `choices.CLASS_LOSSES` lists them.

Each is a function of

    cls_logits   (B, A, K)
    cls_targets  (B, A) int32: the class of a positive anchor; negative for background and ignored
    iou          a function without arguments that returns (B, A): the IoU of the box at each
                 positive anchor with its object, 0 elsewhere, without a gradient; the boxes are
                 decoded only if it is called
    settings     the `LossConfig`

and returns the loss of every (anchor, class), unreduced (B, A, K); ignored anchors are masked by
the caller. To add one, write its file here and its line there.
"""
