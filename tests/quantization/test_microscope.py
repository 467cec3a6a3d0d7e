"""What is planted in a healthy model, the microscope finds, in that layer and under that name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, diagnose_quantization
from edge_retina.int8.layer_error import LayerError
from edge_retina.runtime.image import normalize
from tests.quantization.conftest import SCORE_THRESHOLD

pytestmark = pytest.mark.tf

PICTURES = 8


@pytest.fixture(scope="module")
def pictures(blurred_pictures: Callable[[int, int], Any]) -> np.ndarray:
    return blurred_pictures(PICTURES, 7)


@pytest.fixture
def model(healthy: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """`healthy`, to be made ill."""
    yield healthy
    healthy.restore()


@pytest.fixture(scope="module")
def look(pictures: np.ndarray) -> Callable[..., QuantizationDiagnosis]:
    from edge_retina.quantization.microscope import compare_layers

    def diagnose(deploy: Any, quantized: Any, file: Path | None = None) -> QuantizationDiagnosis:
        seen = compare_layers(
            deploy, quantized, pictures, score_threshold=SCORE_THRESHOLD, file=file
        )
        unmatched = (*seen.unmatched_layers, *seen.unmatched_tensors)
        return diagnose_quantization(
            seen.layers, method="ptq", pictures=len(pictures), unmatched=unmatched
        )

    return diagnose


def blamed(diagnosis: QuantizationDiagnosis) -> dict[str, set[str]]:
    """Return the names of layers by the code of the finding."""
    return {item.code: {case.file for case in item.cases} for item in diagnosis.findings}


def named(diagnosis: QuantizationDiagnosis, name: str) -> LayerError:
    return next(layer for layer in diagnosis.layers if layer.name == name)


@pytest.fixture(scope="module")
def healthy_look(
    healthy: SimpleNamespace, healthy_file: Path, look: Callable[..., QuantizationDiagnosis]
) -> QuantizationDiagnosis:
    healthy.restore()
    return look(healthy.deploy, healthy.quantized, healthy_file)


def test_a_healthy_model_has_no_findings(healthy_look: QuantizationDiagnosis) -> None:
    assert blamed(healthy_look) == {}
    assert min(layer.own_snr_db for layer in healthy_look.layers) > 25
    assert min(layer.channel_snr_db for layer in healthy_look.layers) > 30


def test_every_range_has_its_layer_and_every_tensor_of_the_file_too(
    healthy: SimpleNamespace, healthy_look: QuantizationDiagnosis
) -> None:
    assert [layer.name for layer in healthy_look.layers] == list(healthy.ranges)
    kernels = {layer.kernel for layer in healthy_look.layers if layer.kernel}
    assert {f"{name}/kernel" for name in kernels} == {
        name for name in healthy.weights if name.endswith("/kernel")
    }


def test_the_file_computes_what_is_simulated_layer_by_layer(
    healthy_look: QuantizationDiagnosis,
) -> None:
    """With rounded biases, on XNNPACK; what differs is a rounding at exactly one half."""
    equal = {layer.name: layer.op_equal for layer in healthy_look.layers}
    assert min(equal.values()) >= 0.999, min(equal, key=equal.__getitem__)
    assert np.mean(list(equal.values())) > 0.9999


def test_the_graphs_that_are_looked_at_stay_as_they_are(
    healthy: SimpleNamespace, healthy_look: QuantizationDiagnosis
) -> None:
    """One more user of a convolution, and it would no longer count as fused with its ReLU."""
    from edge_retina.model.keras_internals import call_count
    from edge_retina.quantization.fusion import quantized_outputs

    assert len(healthy_look.layers) == len(quantized_outputs(healthy.deploy))
    assert all(call_count(layer) == 1 for layer in healthy.deploy.layers)


# A depthwise kernel that goes straight into a pointwise one, in the pyramid and in a head.
PLANTED, BEHIND, CHANNEL, FACTOR = "p4_smooth_dw", "p4_smooth_pw", 3, 200


@pytest.fixture(scope="module")
def outlier(make_retinanet: Callable[..., Any]) -> Any:
    """A deploy graph that computes the same with one channel of one layer 200 times as large."""
    from edge_retina.model.deploy import build_deploy_graph

    deploy = build_deploy_graph(make_retinanet()[0])
    plant_outlier(deploy)
    return deploy


def plant_outlier(deploy: Any) -> None:
    first, second = deploy.get_layer(PLANTED), deploy.get_layer(BEHIND)
    kernel, bias = first.get_weights()
    kernel[:, :, CHANNEL] *= FACTOR
    bias[CHANNEL] *= FACTOR
    first.set_weights([kernel, bias])
    kernel, bias = second.get_weights()
    kernel[:, :, CHANNEL] /= FACTOR
    second.set_weights([kernel, bias])


def test_the_outlier_changes_nothing_in_float(
    healthy: SimpleNamespace, outlier: Any, pictures: np.ndarray
) -> None:
    images = normalize(pictures)
    for expected, found in zip(healthy.deploy(images), outlier(images), strict=True):
        expected = expected.numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_outlier_channel_is_named_until_it_is_equalised(
    model: SimpleNamespace,
    make_retinanet: Callable[..., Any],
    outlier: Any,
    calibrate: Callable[..., None],
    look: Callable[..., QuantizationDiagnosis],
) -> None:
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.equalization import equalize

    calibrate(model.quantized, outlier)
    diagnosis = look(outlier, model.quantized)
    assert blamed(diagnosis)["outlier-channel"] == {PLANTED}
    layer = named(diagnosis, PLANTED)
    assert layer.channel_spread > 100
    assert layer.own_snr_db > 30  # the large channel itself is fine and hides the others
    assert layer.channel_snr_db < 5
    # The next kernel lost that channel's weights; nothing else is to blame.
    assert set().union(*blamed(diagnosis).values()) <= {PLANTED, "p4_smooth_relu", BEHIND}
    assert PLANTED in [item.name for item in diagnosis.ranked[:2]]

    mended = build_deploy_graph(make_retinanet()[0])
    plant_outlier(mended)
    equalize(mended)
    calibrate(model.quantized, mended)
    assert blamed(look(mended, model.quantized)) == {}


def test_one_scale_for_a_depthwise_kernel_is_named(
    repository: Path,
    outlier: Any,
    calibrate: Callable[..., None],
    look: Callable[..., QuantizationDiagnosis],
) -> None:
    from edge_retina.int8.recipe import load_recipe
    from edge_retina.quantization.wrapping import build_quantized_model

    recipe = load_recipe("per_tensor_depthwise")
    quantized = build_quantized_model(outlier, recipe)
    calibrate(quantized, outlier)
    diagnosis = look(outlier, quantized)
    assert PLANTED in blamed(diagnosis)["coarse-weights"]
    assert named(diagnosis, PLANTED).weight_snr_db < 3


@pytest.mark.parametrize("grey", [0, 128], ids=["black", "grey"])
def test_blank_calibration_pictures_are_suspected(
    model: SimpleNamespace,
    calibrate: Callable[..., None],
    look: Callable[..., QuantizationDiagnosis],
    grey: int,
) -> None:
    calibrate(model.quantized, model.deploy, np.full((8, 64, 64, 3), grey, np.uint8))
    diagnosis = look(model.deploy, model.quantized)
    assert set(blamed(diagnosis)) == {"calibration-pictures"}
    (finding,) = diagnosis.findings
    assert finding.count > 0.3 * len(diagnosis.layers)


def cut_range(model: SimpleNamespace, name: str) -> None:
    low, high = model.ranges[name]
    model.quantized.set_activation_ranges(model.ranges | {name: (low / 10, high / 10)})


@pytest.mark.parametrize("name", ["block_5_add", "cls_p4_out_pw"])
def test_a_range_that_cuts_off_is_named_alone(
    model: SimpleNamespace, look: Callable[..., QuantizationDiagnosis], name: str
) -> None:
    cut_range(model, name)
    assert blamed(look(model.deploy, model.quantized)) == {"saturated-range": {name}}


def test_a_range_that_is_far_too_wide_is_named_alone(
    model: SimpleNamespace, look: Callable[..., QuantizationDiagnosis]
) -> None:
    low, high = model.ranges["p3_smooth_dw"]
    wide = {"p3_smooth_dw": (100 * low, 100 * high)}
    model.quantized.set_activation_ranges(model.ranges | wide)
    assert blamed(look(model.deploy, model.quantized)) == {"wide-range": {"p3_smooth_dw"}}


def test_a_file_of_other_weights_and_ranges_is_named(
    model: SimpleNamespace, healthy_file: Path, look: Callable[..., QuantizationDiagnosis]
) -> None:
    """The simulation is changed in two places after the file was made."""
    low, high = model.ranges["block_5_add"]
    kernel = model.weights["p3_smooth_pw/kernel"]
    model.quantized.set_weights(model.weights | {"p3_smooth_pw/kernel": kernel * 1.05})
    model.quantized.set_activation_ranges(model.ranges | {"block_5_add": (low, 1.05 * high)})
    diagnosis = look(model.deploy, model.quantized, healthy_file)
    assert blamed(diagnosis)["file-differs"] == {"block_5_add", "p3_smooth_relu"}


def test_what_has_no_counterpart_is_told(
    model: SimpleNamespace, healthy_file: Path, tmp_path: Path, pictures: np.ndarray
) -> None:
    """A tensor of the file that bears another name, on both sides."""
    from edge_retina.quantization.microscope import compare_layers

    content = healthy_file.read_bytes()
    assert b"quant_p4_merge/" in content
    renamed = tmp_path / "renamed.tflite"
    renamed.write_bytes(content.replace(b"quant_p4_merge/", b"quant_p4_other/"))
    seen = compare_layers(
        model.deploy,
        model.quantized,
        pictures[:1],
        score_threshold=SCORE_THRESHOLD,
        file=renamed,
    )
    assert seen.unmatched_layers == ("p4_merge",)
    assert seen.unmatched_tensors == ("p4_other",)
    missing = [layer.name for layer in seen.layers if layer.tflite_snr_db is None]
    assert missing == ["p4_merge"]
    assert all(layer.op_equal > 0.99 for layer in seen.layers if layer.op_equal is not None)


def test_ablation_ranks_the_layer_that_cuts_off_first(
    model: SimpleNamespace, pictures: np.ndarray
) -> None:
    from edge_retina.quantization.ablation import ablate_layers

    cut_range(model, "p4_smooth_relu")
    before = model.quantized.activation_ranges()
    gains = ablate_layers(
        model.deploy, model.quantized, [normalize(pictures)], score_threshold=SCORE_THRESHOLD
    )
    first, second = list(gains)[:2]
    assert first == "p4_smooth_pw"  # convolution and ReLU6 are one
    assert gains[first] > 0.7
    assert gains[second] < 0.1
    assert list(gains.values()) == sorted(gains.values(), reverse=True)
    units = {name for name in model.ranges if not name.endswith("relu")}
    fused = {name for name in model.ranges if name.endswith("relu")}
    assert units <= set(gains)
    assert len(gains) == len(units) + len(fused)
    assert model.quantized.activation_ranges() == before
