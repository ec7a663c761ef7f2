"""`otmon second-opinion`: exit codes, errors in one line, and what is said of a difference."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from otmon.cli import run
from otmon.opinion import show, tshark
from otmon.opinion.compare import Comparison

OWN = Path(__file__).parents[2] / "captures"
SMALL = OWN / "dnp3_dnp3py.pcap"


def packet(frame: int, **layers: Any) -> dict[str, Any]:
    return {"_source": {"layers": {"frame": {"frame.number": str(frame)}, **layers}}}


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, packets: list[Any], code: int = 0, says: str = "") -> Path:
    """A tshark that prints these packets; its arguments are kept."""
    (folder / "out.json").write_text(json.dumps(packets, indent=2) + "\n")
    script = folder / "tshark"
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "TShark (Wireshark) 9.9 (Git v9.9)."; exit 0; fi\n'
        f'echo "$@" >> {folder}/asked\necho "Running as user \\"root\\"." >&2\n{says and f"echo {says!r} >&2"}\n'
        f"cat {folder}/out.json\nexit {code}\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder / "asked"


def test_two_that_agree_are_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    assert run(["second-opinion", str(SMALL), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["differ"], found["only_otmon"], found["only_tshark"]) == (0, 0, 0)
    assert found["agree"] == sum(row["agree"] for row in found["fields"]) > 500
    assert all(row["reason"] for row in found["not_compared"])
    assert {row["tshark"] for row in found["fields"]} >= {"message", "dnp3.al.func", "dnp3.al.point_index"}


def test_a_difference_is_shown_with_both_values_and_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, [])
    assert run(["second-opinion", str(SMALL), "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["fields"]
    assert (row["tshark"], row["only_otmon"], len(row["first"])) == ("message", 18, 10)
    frame = row["first"][0]["frame"]

    layer = {"dnp3.ctl": "0xc4", "dnp3.src": "9", "dnp3.al.func": "7", "dnp3.al.new": "1"}
    fake(tmp_path, monkeypatch, [packet(frame, dnp3=layer), packet(10_000, dnp3=layer)])
    assert run(["second-opinion", str(SMALL)]) == 1
    out = capsys.readouterr().out
    assert "otmon beside TShark (Wireshark) 9.9\n" in out
    assert re.search(r"^ message +1 +0 +17 +1 +the whole message *$", out, re.MULTILINE)
    assert re.search(r"^ +\d+ +dnp3 message +\w+ +nothing ", out, re.MULTILINE)
    assert re.search(rf"^ +{frame} +dnp3\.src +\d+ +9 ", out, re.MULTILINE)
    assert "Not known to the table of fields: dnp3.al.new, 1 values." in out


def test_without_tshark_nothing_is_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run(["second-opinion", str(SMALL)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "otmon: error: tshark is not installed; on Debian or Ubuntu: apt install tshark\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-"], "name a file"),
        (["nowhere.pcap"], "no such file"),
        ([], "Missing argument 'CAPTURE...'"),
    ],
)
def test_usage_is_exit_code_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["second-opinion", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_damaged_capture_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, [], 2, "the file was cut short")
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(SMALL.read_bytes()[:-5])
    assert run(["second-opinion", str(cut), "--json"]) == 3
    said = capsys.readouterr()
    assert said.err.count("\n") == 2
    assert f"{cut}: the file was cut short\n" in said.err
    assert json.loads(said.out)["only_otmon"] > 0

    noise = tmp_path / "noise.pcap"
    noise.write_bytes(b"no capture at all")
    assert run(["second-opinion", str(noise)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_tshark_is_told_where_a_protocol_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = [("modbus", "tcp", 503), ("modbus rtu", "tcp", 4001), ("s7comm", "tcp", 102), ("dnp3", "udp", 20001)]
    options = tshark.decode_as([*servers, *servers])
    ports = ["-d", "udp.port==20001,dnp3", "-d", "tcp.port==503,mbtcp", "-d", "tcp.port==4001,mbrtu"]
    # Modbus alone tells a request from a response by what its preferences say.
    assert options == [*ports, "-o", "mbtcp.tcp.port:502,503", "-o", "mbrtu.tcp.port:4001"]
    asked = fake(tmp_path, monkeypatch, [])
    run(["second-opinion", str(SMALL)])
    assert "-d" not in asked.read_text().split(), "where it looks by itself it is told nothing"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", [80, 200])
def test_tables_fit_the_terminal(width: int) -> None:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    found, reading = Comparison(3), tshark.Reading(OWN / "s7_snap7.pcap")
    list(found.run("s7_snap7.pcap", reading, []))
    out = Console(width=width, color_system=None)
    with out.capture() as captured:
        show.show(out, found, "TShark")
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert any("in otmon's record" in line for line in lines)
