"""A tunnel whose outer packets are fragmented hides nothing: what is put together is looked into again."""

import struct
from pathlib import Path

from otmon.engine import analyze
from tests.hostile.kit import Session, fragments, write_pcap

WRITE = bytes.fromhex("0001000000060106002d0384")


def in_gre(frame: bytes) -> bytes:
    """The frame's IPv4 packet in GRE (RFC 2784) between two routers."""
    inner = b"\x00\x00\x08\x00" + frame[14:]
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(inner), 7, 0, 64, 47, 0, b"\x0a\x09\0\1", b"\x0a\x09\0\2")
    return frame[:12] + b"\x08\x00" + header + inner


def test_a_write_in_a_fragmented_tunnel_is_seen(tmp_path: Path) -> None:
    session = Session("10.0.0.1", "10.0.0.2")
    frames = [in_gre(frame) for frame in session.handshake()]
    write = in_gre(session.send(WRITE))
    pieces = fragments(write, 48)
    assert len(pieces) > 1
    write_pcap(tmp_path / "a.pcap", [*frames, *pieces])
    part = analyze([str(tmp_path / "a.pcap")]).part
    assert [op.key.function for op in part.operations if op.key.protocol == "modbus"] == ["write_single_register"]
    assert part.frames["fragment"] == len(pieces)
    assert part.lost_datagrams == 0
