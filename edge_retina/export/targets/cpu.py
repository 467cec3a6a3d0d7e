"""CPUs: the whole detector in one file, as LiteRT and MediaPipe Tasks run it."""

from edge_retina.export.targets.target import NMS, Target

TARGET = Target(
    name="cpu",
    runs_on="CPUs of phones, boards and browsers; MediaPipe Tasks",
    form=NMS,
    precision="",
    input_dtype="",
)
