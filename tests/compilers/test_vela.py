from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_retina.compilers import vela
from edge_retina.compilers.other_python import OtherPython
from edge_retina.errors import CompilerError
from tests.compilers.fake_python import SUMMARY, network, write_fake

DEEP = "ethos-u55-128,Ethos_U55_Deep_Embedded,Shared_Sram"


def model(directory: Path, *parts: str) -> Path:
    path = directory / "net.tflite"
    path.write_bytes(network(*parts))
    return path


def test_a_file_that_goes_to_the_npu_as_a_whole(tmp_path: Path) -> None:
    python = OtherPython(write_fake(tmp_path, compiled=network("ethos-u")))
    report = vela.examine(model(tmp_path, "wide", "narrow"), DEEP, python, "5.2.0")
    assert (report.operators, report.operators_total, report.macs_share) == (2, 2, 1.0)
    assert report.left == ()
    assert report.estimated_ms == pytest.approx(25.067175)
    # KiB in Vela's table; memories without a byte in them are left out
    assert report.memory_bytes == {"SRAM": 1050608, "off-chip flash": 705104}
    assert report.settings == {
        "system": "Ethos_U55_Deep_Embedded",
        "memory": "Shared_Sram",
        "clock": "200 MHz",
    }
    assert report.title == f"vela:{DEEP}"
    assert (report.package, report.version, report.refused) == ("ethos-u-vela", "5.2.0", "")


def test_what_is_left_to_the_cpu_is_counted_by_operators_and_by_macs(tmp_path: Path) -> None:
    python = OtherPython(write_fake(tmp_path, compiled=network("ethos-u", "narrow")))
    report = vela.examine(model(tmp_path, "wide", "narrow"), DEEP, python, "5.2.0")
    assert (report.operators, report.operators_total) == (1, 2)
    assert report.macs_share == pytest.approx(6912 / 7936)
    assert report.left == ("CONV_2D",)


def test_nothing_on_the_npu_has_no_time(tmp_path: Path) -> None:
    path = model(tmp_path, "wide", "narrow")
    python = OtherPython(write_fake(tmp_path, compiled=path.read_bytes()))
    report = vela.examine(path, DEEP, python, "5.2.0")
    assert (report.operators, report.macs_share, report.estimated_ms) == (0, 0.0, None)


def test_vela_is_called_for_the_system_that_was_asked_for(tmp_path: Path) -> None:
    python = OtherPython(write_fake(tmp_path, compiled=network("ethos-u")))
    path = model(tmp_path, "wide")
    vela.examine(path, DEEP, python, "5.2.0")
    vela.examine(path, "ethos-u65-256", python, "5.2.0")
    calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    wanted = [
        ("ethos-u55-128", "Ethos_U55_Deep_Embedded", "Shared_Sram"),
        ("ethos-u65-256", "Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    ]
    for call, (accelerator, system, memory) in zip(calls, wanted, strict=True):
        assert call[:2] == ["-m", "ethosu.vela"]
        options = dict(zip(call[2:-1:2], call[3:-1:2], strict=True))
        assert options["--accelerator-config"] == accelerator
        assert options["--config"] == "Arm/vela.ini"
        assert (options["--system-config"], options["--memory-mode"]) == (system, memory)
        assert call[-1] == str(path)


@pytest.mark.parametrize(
    "fails, refused",
    [
        (
            (1, "", "Traceback\nRuntimeError: Compilation failed: No networks defined\n"),
            "Compilation failed: No networks defined",
        ),
        ((1, "Error: the network is odd\n", ""), "the network is odd"),
        ((3, "", ""), "it stopped without a word, exit code 3"),
    ],
)
def test_why_vela_refuses_a_file(tmp_path: Path, fails: tuple[int, str, str], refused: str) -> None:
    python = OtherPython(write_fake(tmp_path, fails=fails))
    report = vela.examine(model(tmp_path, "wide"), DEEP, python, "5.2.0")
    assert report.refused == refused
    assert (report.operators, report.operators_total, report.estimated_ms) == (0, 1, None)


def test_a_table_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    summary = {key: value for key, value in SUMMARY.items() if key != "inference_time"}
    python = OtherPython(write_fake(tmp_path, compiled=network("ethos-u"), summary=summary))
    with pytest.raises(
        CompilerError, match=r"ethos-u-vela 9\.0 wrote .*'inference_time'\); .* 5\.2"
    ):
        vela.examine(model(tmp_path, "wide"), DEEP, python, "9.0")


@pytest.mark.parametrize(
    "configuration, says",
    [
        ("", "--compiler vela: expected vela:ACCELERATOR"),
        ("ethos-u55-128,", "expected vela:ACCELERATOR"),
        ("ethos-u55-128,Ethos_U55_Deep_Embedded", "expected vela:ACCELERATOR"),
        ("ethos-u77", "vela:ethos-u77: invalid choice: 'ethos-u77' (choose from 'ethos-u55-32'"),
        (
            "ethos-u55-128,Foo,Shared_Sram",
            "no System_Config 'Foo', allowed: Ethos_U55_Deep_Embedded, Ethos_U55_High_End_Embedded",
        ),
        (
            "ethos-u55-128,Ethos_U55_Deep_Embedded,Foo",
            "no Memory_Mode 'Foo', allowed: Shared_Sram (ethos-u-vela 5.2.0)",
        ),
        ("ethos-u55-128,Ethos_U65_High_End,Shared_Sram", "one that begins with Ethos_U55_"),
    ],
)
def test_a_configuration_that_vela_does_not_have(
    tmp_path: Path, configuration: str, says: str
) -> None:
    with pytest.raises(CompilerError) as caught:
        vela.check(configuration, OtherPython(write_fake(tmp_path)))
    assert says in str(caught.value)


@pytest.mark.parametrize("configuration", ["ethos-u55-128", DEEP])
def test_a_configuration_that_vela_has(tmp_path: Path, configuration: str) -> None:
    assert vela.check(configuration, OtherPython(write_fake(tmp_path))) == "5.2.0"
