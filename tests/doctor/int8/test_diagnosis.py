from __future__ import annotations

from typing import Any

import pytest

from edge_retina.doctor.int8.diagnosis import (
    QuantizationDiagnosis,
    diagnose_quantization,
    recipe_rule,
)
from edge_retina.int8.layer_error import LayerError

SOUND: dict[str, Any] = {
    "kernel": "",
    "low": 0.0,
    "high": 5.1,
    "steps": 255,
    "snr_db": 30.0,
    "own_snr_db": 40.0,
    "channel_snr_db": 38.0,
    "weight_snr_db": 45.0,
    "cosine": 0.999,
    "range_use": 0.9,
    "saturated": 0.0,
    "channel_spread": 3.0,
    "rmse_steps": 0.3,
    "tflite_snr_db": None,
    "within_step": None,
    "op_equal": None,
}


def layer(name: str, **changes: Any) -> LayerError:
    """A layer with nothing wrong but `changes`."""
    return LayerError(name=name, **{**SOUND, **changes})


SOUND_LAYERS = [layer(f"sound{number}") for number in range(20)]


def diagnosis_of(*layers: LayerError, **options: Any) -> QuantizationDiagnosis:
    return diagnose_quantization(
        [*SOUND_LAYERS, *layers], **{"method": "ptq", "pictures": 4, **options}
    )


def blamed(diagnosis: QuantizationDiagnosis) -> dict[str, list[str]]:
    return {item.code: [case.file for case in item.cases] for item in diagnosis.findings}


@pytest.mark.parametrize(
    "changes, code, name",
    [
        ({"saturated": 0.006}, "saturated-range", "bad"),
        ({"saturated": 0.004}, "", ""),
        # a poor kernel only where its layer is poor, by itself or in most of its channels
        ({"weight_snr_db": 10.0, "kernel": "conv"}, "", ""),
        ({"weight_snr_db": 10.0, "kernel": "conv", "own_snr_db": 19.0}, "coarse-weights", "conv"),
        ({"weight_snr_db": 0.0, "kernel": "conv", "channel_snr_db": 9.0}, "coarse-weights", "conv"),
        # one large channel, under which the others suffer
        ({"channel_spread": 200.0}, "", ""),
        ({"channel_spread": 200.0, "channel_snr_db": -3.0}, "outlier-channel", "bad"),
        ({"channel_spread": 200.0, "own_snr_db": 19.0}, "outlier-channel", "bad"),
        ({"range_use": 0.1}, "", ""),
        ({"range_use": 0.1, "own_snr_db": 15.0}, "wide-range", "bad"),
        ({"own_snr_db": 15.0, "weight_snr_db": None}, "noisy-layer", "bad"),
        # what the layers before lost is not this one's fault
        ({"snr_db": 2.0, "cosine": 0.5}, "", ""),
        ({"op_equal": 0.9995}, "", ""),
        ({"op_equal": 0.9985}, "file-differs", "bad"),
    ],
)
def test_what_is_blamed_for_what(changes: dict[str, Any], code: str, name: str) -> None:
    assert blamed(diagnosis_of(layer("bad", **changes))) == ({code: [name]} if code else {})


def test_a_layer_is_blamed_for_one_thing_the_nearest_cause() -> None:
    everything = {
        "saturated": 0.5,
        "own_snr_db": 1.0,
        "channel_snr_db": 1.0,
        "weight_snr_db": 1.0,
        "channel_spread": 99.0,
        "range_use": 0.01,
    }
    order = ("saturated-range", "coarse-weights", "outlier-channel", "wide-range", "noisy-layer")
    mends = ({}, {"saturated": 0}, {"weight_snr_db": 45.0}, {"channel_spread": 1}, {"range_use": 1})
    for code, mended in zip(order, mends, strict=True):
        everything.update(mended)
        assert list(blamed(diagnosis_of(layer("bad", **everything)))) == [code]


def test_many_ranges_that_are_a_little_too_small_are_the_pictures_fault() -> None:
    few = [layer(f"cut{number}", saturated=0.002) for number in range(2)]
    assert blamed(diagnosis_of(*few)) == {}
    many = [layer(f"cut{number}", saturated=0.002 + number / 100) for number in range(3)]
    (finding,) = diagnosis_of(*many).findings
    assert (finding.code, finding.severity, finding.count) == ("calibration-pictures", "error", 3)
    assert [case.file for case in finding.cases] == ["cut2", "cut1", "cut0"]
    assert "quantize.calibration_set" in finding.remedy


def test_errors_come_before_warnings_and_the_worst_layer_first() -> None:
    found = diagnosis_of(
        layer("noisy", own_snr_db=12.0),
        layer("noisier", own_snr_db=10.0),
        layer("coarse", own_snr_db=15.0, weight_snr_db=3.0, kernel="coarse"),
        layer("other", op_equal=0.5),
    )
    assert list(blamed(found).items()) == [
        ("coarse-weights", ["coarse"]),
        ("noisy-layer", ["noisier", "noisy"]),
        ("file-differs", ["other"]),
    ]


def test_nothing_that_was_not_compared_is_silent() -> None:
    found = diagnosis_of(unmatched=("p4_merge", "int8/odd"))
    (finding,) = found.findings
    assert (finding.code, finding.count) == ("unmatched-tensors", 2)
    assert [case.file for case in finding.cases] == ["p4_merge", "int8/odd"]


def test_the_ten_layers_nearest_to_being_poor() -> None:
    layers = [layer(f"layer{number}", own_snr_db=30.0 + number) for number in range(12)]
    hidden = layer("hidden", own_snr_db=50.0, channel_snr_db=12.0)
    found = diagnose_quantization([*layers, hidden], method="qat", pictures=1)
    names = [item.name for item in found.ranked]
    assert names == ["hidden", *[f"layer{number}" for number in range(9)]]


def test_no_layers() -> None:
    found = diagnose_quantization([], method="ptq", pictures=0)
    assert (found.findings, found.ranked) == ((), [])


def test_the_recipe_lines_name_convolution_and_relu() -> None:
    rule = '[[layers]]\nmatch = "{}"\nweights = "float"\nactivations = "float"'
    fused = layer("p3_smooth_relu", kernel="p3_smooth_pw")
    assert recipe_rule(fused) == f"{rule.format('p3_smooth_pw')}\n{rule.format('p3_smooth_relu')}"
    assert recipe_rule(layer("p4_lateral", kernel="p4_lateral")) == rule.format("p4_lateral")
    assert recipe_rule(layer("block_2_add")) == rule.format("block_2_add")


def test_the_document() -> None:
    found = diagnosis_of(layer("cut", saturated=0.5), ablation={"cut": 0.75, "sound0": -0.01})
    tree = found.to_dict()
    assert next(iter(tree)) == "schema_version"
    assert (tree["schema_version"], tree["method"], tree["pictures"]) == (1, "ptq", 4)
    assert tree["ablation"] == {"cut": 0.75, "sound0": -0.01}
    assert tree["layers"][-1] == {"name": "cut", **SOUND, "saturated": 0.5}
    assert tree["findings"][0]["code"] == "saturated-range"
    assert len(tree["ranked"]) == 10
