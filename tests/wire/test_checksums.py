"""Checksums as tshark sees them, and where they cannot be told."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from otmon.stream.defrag import Defragmenter
from otmon.wire.checksums import RIGHT, UNSURE, WRONG, verify
from tests.hostile.kit import Session, fragments
from tests.hostile.packets import AUTHENTICATION, DESTINATION, EMPTY, HOP, ROUTING, extended
from tests.protocols.segments import CAPTURES, packets

OWN = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))
OTHERS = sorted(path for path in CAPTURES.rglob("*.pcap") if path.stat().st_size < 300_000)
ENDS = [("10.0.2.9", "10.0.1.9"), ("fd00:2::9", "fd00:1::9")]


def said(packet: bytes) -> int:
    return int(verify(np.frombuffer(packet, np.uint8), 0, len(packet)))


@pytest.mark.parametrize("ends", ENDS, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 12, 1400])
def test_one_wrong_bit_is_found(ends: tuple[str, str], size: int) -> None:
    packet = Session(*ends).send(bytes(range(256))[:size] * (1 + size // 256))[14:]
    assert said(packet) == RIGHT
    head = 20 if packet[0] >> 4 == 4 else 40
    for at in [*range(8 if head == 40 else 12, head), *range(head, min(len(packet), head + 60))]:
        if at == head + 12:
            continue  # the offset of the data
        assert said(packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :]) == WRONG, at


def test_what_is_not_all_there_is_not_told() -> None:
    packet = Session(*ENDS[0]).send(b"twelve bytes")[14:]
    assert {said(packet[:n]) for n in range(len(packet))} == {UNSURE}
    assert said(packet + b"\0") == UNSURE
    assert said(packet[:2] + b"\0\0" + packet[4:]) == UNSURE, "segmentation offload"


@pytest.mark.parametrize(
    "headers", [[(HOP, EMPTY)], [(ROUTING, EMPTY), (DESTINATION, EMPTY)], [(AUTHENTICATION, b"\4" + bytes(22))]]
)
def test_behind_extension_headers(headers: list[tuple[int, bytes]]) -> None:
    packet = extended(headers)[14:]
    assert said(packet) == RIGHT
    assert said(packet[:-1] + bytes([packet[-1] ^ 1])) == WRONG


@pytest.mark.parametrize("ends", ENDS, ids=["ipv4", "ipv6"])
def test_put_together_from_fragments(ends: tuple[str, str]) -> None:
    whole, made = Session(*ends).send(bytes(300)), Defragmenter()
    for part in fragments(whole, 64):
        buf = np.frombuffer(part, np.uint8)
        packet = made.offer(buf, 14, len(part), 4 if "." in ends[0] else 6, 0, 0)
    assert said(packet.tobytes()) == RIGHT


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("path", OWN[:3] + OTHERS[:12], ids=lambda path: path.stem)
def test_as_tshark(path: Path) -> None:
    checked = [part for layer in ("ip", "tcp") for part in ("-o", f"{layer}.check_checksum:TRUE")]
    fields = [part for name in ("frame.number", "ip.checksum.status", "tcp.checksum.status") for part in ("-e", name)]
    command = ["tshark", "-r", str(path), "-Y", "ip and tcp", *checked, "-T", "fields", *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    theirs = {int(n): rest for n, *rest in (line.split("\t") for line in done.stdout.splitlines())}
    compared = 0
    for number, (link, frame) in enumerate(packets(path.read_bytes()), 1):
        if link != 1 or frame[12:14] != b"\x08\x00" or number not in theirs:
            continue
        total = int.from_bytes(frame[16:18], "big")
        ip, tcp = theirs[number]
        if said(frame[14 : 14 + total]) == UNSURE or "2" in ip + tcp or "," in ip + tcp:
            continue  # 2: unverified
        assert (said(frame[14 : 14 + total]) == RIGHT) == (ip == tcp == "1"), number
        compared += 1
    if not compared:
        pytest.skip("no whole TCP packet over untagged Ethernet and IPv4")
