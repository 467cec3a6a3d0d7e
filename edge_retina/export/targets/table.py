"""The targets of `edge-retina export --target`. To add one, write its file and its line here."""

from __future__ import annotations

from edge_retina.export.targets import cpu, edgetpu, ethos_u, gpu, micro, npu
from edge_retina.export.targets.target import Target

TARGETS: dict[str, Target] = {
    one.TARGET.name: one.TARGET for one in (cpu, gpu, npu, edgetpu, ethos_u, micro)
}
DEFAULT_TARGET = cpu.TARGET.name
