"""The benchmark's captures are what they claim to be: tshark reads them, and the seed alone decides."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.make import RECIPES, make

FRAMES = 6_000


@pytest.mark.parametrize("name", ["mixed", "many", "novel", "alerts"])
def test_tshark_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    path = make(name, tmp_path, FRAMES)
    checks = [part for layer in ("ip", "tcp", "udp") for part in ("-o", f"{layer}.check_checksum:TRUE")]
    fields = (
        "_ws.malformed",
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "dnp.hdr.CRC.status",
        "dnp.data_chunk.CRC.status",
    )
    command = ["tshark", "-n", "-r", str(path), *checks, "-T", "fields", "-e", "frame.protocols"]
    command += [part for field in fields for part in ("-e", field)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == FRAMES
    seen: Counter[str] = Counter()
    for line in lines:
        protocols, malformed, *sums = line.split("\t")
        # A segment that overtook another, or follows a lost one, may be read as something else.
        seen.update(set(protocols.split(":")))
        seen["broken"] += bool(malformed)
        assert all(status in ("", "1") for one in sums for status in one.split(",")), line
    assert seen["broken"] <= (0 if name in ("novel", "alerts") else FRAMES // 500)
    expected = {"modbus"} if name == "alerts" else {"modbus", "dnp3", "vlan", "ipv6", "cotp"}
    assert expected <= {protocol for protocol, count in seen.items() if count > 50}


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    made = []
    for number in ("1", "2"):
        command = [
            sys.executable,
            "-m",
            "benchmarks.make",
            "mixed",
            "--frames",
            "2000",
            "--out",
            str(tmp_path / number),
        ]
        root = Path(__file__).parents[2]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": number}, cwd=root, capture_output=True)
        made.append((tmp_path / number / "mixed.pcap").read_bytes())
    assert made[0] == made[1]
    assert made[0] != make("mixed", tmp_path, 2000, seed=2).read_bytes()


def test_no_request_of_novel_comes_twice(tmp_path: Path) -> None:
    data = make("novel", tmp_path, FRAMES).read_bytes()
    requests: Counter[bytes] = Counter()
    at = 24
    while at < len(data):
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        tag = 4 if frame[12:14] == b"\x81\x00" else 0
        ip = frame[14 + tag :]
        if ip[0] != 0x45 or ip[22:24] != b"\x01\xf6":
            continue
        payload = ip[40 : int.from_bytes(ip[2:4], "big")]
        if payload:
            requests[ip[12:20] + payload[6:]] += 1
    assert len(requests) > 500
    assert set(requests.values()) == {1}


def test_recipes_are_as_large_as_promised() -> None:
    assert min(RECIPES[name].frames for name in ("mixed", "many")) >= 1_000_000
    assert RECIPES["novel"].frames >= 200_000
