"""Canonical S7 PDUs of a capture: a plain TCP reassembly for tests, written without the engine."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from otmon.limits import MAX_PDU_BYTES
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import OUT_SIZE, OUT_WORDS, UNWRAP_BUILT, UNWRAP_MORE, UNWRAP_WHOLE
from tests.protocols.segments import CAPTURES, packets

FILES = {
    name: CAPTURES / path
    for name, path in {
        "snap7": "cisagov__icsnpp-s7comm/snap7.pcap",
        "s7ident": "cisagov__icsnpp-s7comm/s7ident.pcap",
        "plus_v3": "cisagov__icsnpp-s7comm/s7comm_plus.pcap",
        "plus_v2": "ITI__ICS-Security-Tools/S7-1200-Uploading-OB1-TIAV12.pcap",
        "plus_modbus": "zeek__zeek/modbusBig.pcap",
        "bench": "ITI__ICS-Security-Tools/s7comm_varservice_libnodavedemo_bench.pcap",
        "clock": "ITI__ICS-Security-Tools/s7comm_reading_setting_plc_time.pcap",
        "wincc": "gymgit__s7-pcaps/wincc_s400_production.pcapng",
        "download": "gymgit__s7-pcaps/step7_s300_download.pcapng",
        "stop": "gymgit__s7-pcaps/snap7_s300_stop.pcapng",
    }.items()
}


class Pdu(NamedTuple):
    frame: int
    """Of its last byte."""
    flow: tuple[bytes, bytes, int, int]
    data: bytes


def tcp(path: Path) -> Iterator[tuple[int, tuple[bytes, bytes, int, int], int, bytes]]:
    """(frame, (source, destination, ports), sequence number, payload) over Ethernet or Linux cooked capture."""
    for frame, (link, packet) in enumerate(packets(path.read_bytes()), 1):
        header = {1: 14, 113: 16}[link]
        if packet[header - 2 : header] != b"\x08\x00":
            continue
        packet = packet[header:]
        inner = packet[4 * (packet[0] & 15) : int.from_bytes(packet[2:4], "big")]
        if packet[9] != 6 or len(inner) < 20:
            continue
        source, destination, sequence = struct.unpack_from(">HHI", inner)
        payload = inner[4 * (inner[12] >> 4) :]
        if payload:
            yield frame, (packet[12:16], packet[16:20], source, destination), sequence, payload


def units(path: Path, port: int = 102) -> Iterator[Pdu]:
    """Whole TPKTs in the order of their last bytes; a direction starts again behind a gap."""
    streams: dict[tuple[bytes, bytes, int, int], tuple[int, bytes]] = {}
    for frame, flow, sequence, payload in tcp(path):
        if port not in flow[2:]:
            continue
        expected, held = streams.get(flow, (sequence, b""))
        ahead = (sequence - expected) & 0xFFFFFFFF
        if ahead >= 1 << 31:
            payload = payload[(1 << 32) - ahead :]
        elif ahead:
            held, expected = b"", sequence
        held += payload
        expected = (expected + len(payload)) & 0xFFFFFFFF
        while held:
            length = S7COMM.frame(np.frombuffer(held, np.uint8), 0, len(held))
            if length < 0:
                held = b""
            if length <= 0 or length > len(held):
                break
            yield Pdu(frame, flow, held[:length])
            held = held[length:]
        streams[flow] = expected, held


def pdus(path: Path, port: int = 102) -> Iterator[Pdu]:
    """Canonical PDUs."""
    assembly: dict[tuple[bytes, bytes, int, int], tuple[np.ndarray, int]] = {}
    for unit in units(path, port):
        asm, fill = assembly.get(unit.flow) or (np.zeros(MAX_PDU_BYTES, np.uint8), 0)
        status, a, b = S7COMM.unwrap(np.frombuffer(unit.data, np.uint8), 0, len(unit.data), asm, fill)
        assembly[unit.flow] = asm, b if status == UNWRAP_MORE else fill if status == UNWRAP_WHOLE else 0
        if status & 15 == UNWRAP_WHOLE:
            yield unit._replace(data=unit.data[a:b])
        elif status & 15 == UNWRAP_BUILT:
            yield unit._replace(data=asm[a:b].tobytes())


def key(pdu: bytes, from_client: int = -1) -> tuple[int, np.ndarray]:
    """(number of words, out)."""
    out = np.full(OUT_SIZE, -7, np.int64)
    return S7COMM.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), from_client, out), out


def words(pdu: bytes, from_client: int = -1) -> list[int]:
    count, out = key(pdu, from_client)
    return out[OUT_WORDS : OUT_WORDS + count].tolist()


def cotp(user_data: bytes) -> bytes:
    """The canonical PDU of user data."""
    return b"\x02\xf0\x80" + user_data


def s7(rosctr: int, param: bytes, data: bytes = b"", reference: int = 7, error: int = 0) -> bytes:
    """A canonical S7comm PDU."""
    head = struct.pack(">BBHHHH", 0x32, rosctr, 0, reference, len(param), len(data))
    return cotp(head + (struct.pack(">H", error) if rosctr in (2, 3) else b"") + param + data)


def any_item(transport: int, count: int, block: int, area: int, address: int) -> bytes:
    """An S7ANY item; `address` in bits."""
    return struct.pack(">BBBBHHB", 0x12, 10, 0x10, transport, count, block, area) + address.to_bytes(3, "big")
