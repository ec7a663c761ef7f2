"""What the kit writes, Wireshark reads without a complaint."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hostile.kit import RST, SYN, Session, fragments, write_pcap

READ = bytes.fromhex("000100000006 01 03 0000 0002")
VALUES = bytes.fromhex("000100000007 01 03 04 0001 0002")
CHECKED = [f"{layer}.check_checksum:TRUE" for layer in ("ip", "tcp", "udp")]


def tshark(path: Path, *fields: str) -> list[list[str]]:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    options = [part for option in CHECKED for part in ("-o", option)]
    wanted = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-r", path, *options, "-T", "fields", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("ends", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_connection(tmp_path: Path, ends: tuple[str, str]) -> None:
    session = Session(*ends)
    session.seq = [2**32 - 5, 5000]  # wraps within the first request
    frames = [*session.handshake(), session.send(READ, vlan=(7, 9)), session.send(VALUES, from_client=False, ttl=30)]
    frames += [*session.send_cut(READ, [8, 11]), *fragments(session.send(VALUES, from_client=False), 16)]
    frames += [*session.close(), session.send(flags=RST)]
    rows = tshark(
        write_pcap(tmp_path / "a.pcap", frames),
        "modbus.func_code",
        "_ws.expert.message",
        "ip.checksum.status",
        "tcp.checksum.status",
        "vlan.id",
        "frame.time_epoch",
    )
    assert len(rows) == len(frames)
    # tshark takes no ADU for Modbus whose first segment is shorter than its header: hence cut at 8.
    assert [row[0] for row in rows].count("3") == 4
    complaints = {message for row in rows for message in row[1].split(",") if message}
    assert not [text for text in complaints if "onnection" not in text], complaints
    assert {row[2] for row in rows} == ({"1"} if "." in ends[0] else {""})
    assert [row[3] for row in rows].count("1") == len(frames) - 2  # all but the first fragments
    assert rows[3][4] == "7,9"
    assert rows[1][5] == "1700000000.001000000"


def test_what_is_set_is_on_the_wire(tmp_path: Path) -> None:
    session, udp = Session("10.0.0.1", "10.0.0.2"), Session("10.0.0.1", "10.0.0.2", 5000, 502, udp=True)
    before = list(session.seq)
    frames = [session.send(b"x", seq=77, ack=88, ip_id=99, ttl=5, flags=SYN, macs=(b"\x02" * 6, b"\x04" * 6))]
    assert session.seq == before
    frames += [udp.send(READ), udp.send(VALUES, from_client=False), udp.send(b"odd")]
    fields = (
        "tcp.seq_raw",
        "ip.id",
        "ip.ttl",
        "eth.src",
        "eth.dst",
        "udp.checksum.status",
        "udp.dstport",
        "udp.length",
    )
    rows = tshark(write_pcap(tmp_path / "b.pcap", frames), *fields)
    assert rows[0] == ["77", "0x0063", "5", "02:02:02:02:02:02", "04:04:04:04:04:04", "", "", ""]
    assert [row[5:] for row in rows[1:]] == [["1", "502", "20"], ["1", "5000", "21"], ["1", "502", "11"]]


def test_two_families_are_refused() -> None:
    with pytest.raises(ValueError, match="families"):
        Session("10.0.0.1", "fd00::2")
