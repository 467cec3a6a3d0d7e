from __future__ import annotations

import re

from edge_retina.doctor.int8.diagnosis import diagnose_quantization
from edge_retina.doctor.int8.page import render_quantization_page
from tests.doctor.data.report.test_page import read
from tests.doctor.int8.test_diagnosis import diagnosis_of, layer


def test_the_page_holds_everything_and_refers_to_nothing() -> None:
    bad = layer("cut", kernel="cut_pw", saturated=0.5, own_snr_db=3.0, op_equal=0.9991)
    found = diagnosis_of(bad, ablation={"cut_pw": 0.75, "sound1": -0.002})
    page = render_quantization_page(found, name="cells & more")
    assert read(page).found == []
    assert "http" not in page
    assert "<h1>cells &amp; more: where int8 loses accuracy</h1>" in page
    assert "int8 by ptq, examined on 4 real pictures." in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Findings",
        "int8 error by layer",
        "One layer in float, all others in int8",
        "Recipe that keeps the worst layer in float",
    ]
    assert 'id="saturated-range"' in page
    assert re.search(r"cut_pw</td><td>75.0%</td>", page)
    assert "<pre>[[layers]]\nmatch = &#34;cut_pw&#34;" in page
    assert "99.91%" in page  # the worst layer of the file


def test_without_ablation_and_file() -> None:
    page = render_quantization_page(diagnosis_of(), name="cells")
    assert read(page).found == []
    assert "No problems found." in page
    assert "One layer in float" not in page
    assert "file equals simulation" not in page


def test_no_layers() -> None:
    found = diagnose_quantization([], method="qat", pictures=0)
    page = render_quantization_page(found, name="cells")
    read(page)
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Findings"]


def test_layer_names_never_become_markup() -> None:
    evil = "<script>alert(1)</script>"
    found = diagnosis_of(layer(evil, kernel=evil, saturated=0.5), ablation={evil: 0.5})
    page = render_quantization_page(found, name=evil)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5
