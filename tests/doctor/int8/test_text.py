from __future__ import annotations

from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, diagnose_quantization
from edge_retina.doctor.int8.text import quantization_blocks
from edge_retina.report.plain_text import plain_text
from tests.doctor.int8.test_diagnosis import diagnosis_of, layer


def text_of(diagnosis: QuantizationDiagnosis) -> str:
    return plain_text(*quantization_blocks(diagnosis))


def test_findings_then_figures_then_what_helps() -> None:
    bad = layer(
        "p4_smooth_dw",
        kernel="p4_smooth_dw",
        own_snr_db=37.24,
        channel_snr_db=-3.11,
        snr_db=33.0,
        channel_spread=230.7,
        weight_snr_db=None,
        tflite_snr_db=31.26,
        low=-300.0,
        range_use=0.941,
        saturated=0.00123,
    )
    blocks = text_of(diagnosis_of(bad)).split("\n\n")
    assert blocks[0] == "int8 by ptq, 21 quantised outputs on 4 pictures"
    finding = blocks[1].splitlines()
    assert finding[0] == (
        "ERROR outlier-channel: Layers in which one channel is far larger than the others (1)"
    )
    assert "p4_smooth_dw: the largest channel is 231 times the median one; 37 dB" in finding[1]
    head, columns, first, *rest = blocks[2].splitlines()
    assert head == "Layers that lose most by themselves (signal-to-noise ratio in dB)"
    assert columns.split() == [
        *("layer", "alone", "channel", "network", "file", "weights", "range", "used", "cut", "off")
    ]
    assert " ".join(first.split()) == "p4_smooth_dw 37.2 -3.1 33.0 31.3 – -300..5.1 94% 0.12%"
    assert len({len(line) for line in (columns, first, *rest)}) == 1
    assert len(rest) == 9
    assert blocks[3].splitlines() == [
        "Recipe that keeps the worst layer in float:",
        "[[layers]]",
        'match = "p4_smooth_dw"',
        'weights = "float"',
        'activations = "float"',
    ]
    assert len(blocks) == 4


def test_a_healthy_model() -> None:
    assert "\n\nNo layer stands out.\n\n" in text_of(diagnosis_of())


def test_the_ten_largest_of_an_ablation() -> None:
    gains = {f"layer{number}": 0.5 - number / 100 for number in range(12)}
    (block,) = [
        block
        for block in text_of(diagnosis_of(ablation=gains)).split("\n\n")
        if block.startswith("The detector's error that goes away")
    ]
    lines = [line.split() for line in block.splitlines()[2:]]
    assert lines[0] == ["layer0", "50.0%"]
    assert lines[-1] == ["layer9", "41.0%"]
    assert len(lines) == 10


def test_no_layers() -> None:
    text = text_of(diagnose_quantization([], method="ptq", pictures=0))
    assert text.startswith("int8 by ptq, 0 quantised outputs on 0 pictures")
    assert "recipe" not in text
