"""PDUs that no capture shows, made for it, beside tshark: every field has a row, and every row agrees."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from otmon.opinion.table import TABLE
from tests.hostile.kit import Session, write_pcap
from tests.oracles.beside_tshark import beside
from tests.protocols import dnp3_corpus
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import any_item, s7
from tests.protocols.test_dnp3_objects import command, sized
from tests.protocols.test_s7comm_tshark import STAMP, test_job, userdata

Sent = tuple[bool, bytes]


def agrees(path: Path, port: int, sent: Iterable[Sent], fields: Sequence[str]) -> None:
    """No difference, nothing without a row, and these rows have values."""
    session = Session("10.0.0.1", "10.0.0.2", server_port=port)
    frames = [*session.handshake(), *(session.send(data, from_client) for from_client, data in sent)]
    found = beside(path.name, write_pcap(path, frames))
    assert found.differences == []
    assert found.counts.unknown == {}
    counts = {field: count.agree for rows in found.counts.counts.values() for field, count in rows.items()}
    assert [field for field in fields if not counts.get(field)] == []


def test_modbus_event_log_and_objects_of_vendors(tmp_path: Path) -> None:
    objects = b"".join(
        bytes([n, len(text)]) + text for n, text in ((0, b"ACME"), (6, b"Pump"), (7, b"\0\1"), (128, b"S1"))
    )
    sent = [
        (True, adu(12, b"", transaction=1)),
        (False, adu(12, bytes.fromhex("0c 0000 0108 0121 82f2457f0400"), transaction=1)),
        (True, adu(43, b"\x0e\3\0", transaction=2)),
        (False, adu(43, b"\x0e\3\x83\0\0\4" + objects, transaction=2)),
    ]
    fields = ("modbus.event", "modbus.object_str_value", "modbus.object_value")
    agrees(tmp_path / "modbus.pcap", 502, sent, fields)


def _dnp3(asked: Iterable[tuple[int, bytes, bytes]]) -> list[Sent]:
    """(function, objects of the request, objects of the response)."""
    sent = []
    for n, (code, request, response) in enumerate(asked):
        head, answer = bytes([0xC0 | n & 15, code]), bytes([0xC0 | n & 15, 129, 0, 0])
        back = {"control": 0x44, "destination": 1, "source": 10}
        sent += [(True, frame) for frame in dnp3_corpus.frames(head + request, n)]
        sent += [(False, frame) for frame in dnp3_corpus.frames(answer + response, n, **back)]
    return sent


def test_dnp3_files_attributes_and_texts(tmp_path: Path) -> None:
    def status(code: int, text: bytes = b"") -> bytes:
        return sized(70, 4, struct.pack("<IIHHB", 9, 77, 1024, 3, code) + text)

    def attribute(variation: int, kind: int, value: bytes) -> bytes:
        return bytes([0, variation, 0, 0, 0, kind, len(value)]) + value

    attributes = [(252, 1, b"ACME"), (204, 4, struct.pack("<d", 16.5)), (205, 4, struct.pack("<f", 48.25))]
    attributes += [(240, 2, (n + 2048 % 256**n).to_bytes(n, "little")) for n in (1, 2, 4)]
    attributes += [(217, 3, (-n).to_bytes(n, "little", signed=True)) for n in (1, 2, 4)]
    sent = _dnp3(
        [
            *((25, sized(70, 3, command(b"/cfg/boot.xml", mode, 77)), status(0)) for mode in range(4)),
            (
                2,
                sized(70, 5, struct.pack("<II", 9, 1 << 31 | 3) + b"x" * 100),
                sized(70, 6, struct.pack("<IIB", 9, 3, 0)),
            ),
            (26, status(0), status(3, b"gone")),
            (1, b"\0\xfe\0\0\0", b"".join(attribute(*one) for one in attributes)),
            (1, b"\x22\0\6", b"\x22\1\0\1\2\7\0\xff\xff\x22\2\7\1\xff\xff\xff\xff\x22\3\7\1\0\0\x20\x41"),
            (1, b"\x0d\0\6", b"\x0d\1\x17\2\1\x80\2\5\x2b\2\x28\1\0\7\0\6\xfb\xff"),
            (1, b"\x6e\0\6", b"\x6e\3\0\1\2abc\0\1\2"),
        ]
    )
    wanted = (
        "dnp3.al.file",
        "dnp3.al.da.",
        "dnp3.al.octet_string",
        "dnp3.al.bocs",
        "dnp3.al.ana.int",
        "dnp3.al.ana.float",
        "dnp3.al.ctrlstatus",
    )
    fields = [row.theirs for row in TABLE["dnp3"] if row.theirs.startswith(wanted)]
    assert len(fields) > 15
    agrees(tmp_path / "dnp3.pcap", 20000, sent, fields)


def _list(szl_id: int, index: int, *records: bytes) -> bytes:
    head = struct.pack(">HHHH", szl_id, index, len(records[0]), len(records))
    return userdata(8, 4, 1, head + b"".join(records))


def test_s7_items_pushes_and_lists(tmp_path: Path) -> None:
    nck = bytes([0x12, 8, 0x82, 0x41, 0, 10, 0, 1, 0x10, 2])
    drive = bytes([0x12, 10, 0xA2, 1, 0, 2, 0, 3, 0, 4, 0, 5])
    in_block = bytes([0x12, 18, 0xB2, 0xFF, 0x8A, 0x0E, 0, 7]) + b"\x12\x34\x56\x78\x20\0\0\1\x40\0\0\2"
    in_memory = bytes([0x12, 14, 0xB2, 0xFF, 0, 0, 0, 0x52]) + b"\x12\x34\x56\x78\x20\0\0\x09"
    entry = bytes.fromhex("4302ff680000123400005678") + STAMP
    mode = bytes.fromhex("4302ff080000000014040003") + STAMP
    times = struct.pack(">HBBBBHHH", 9, 7, 2, 5, 0, 1, 2, 8) + bytes(26)
    pushed = bytes([0, 1, 0x12, 4, 0x11, 0, 2, 0])
    sent = [
        (True, s7(1, b"\4\5" + any_item(4, 1, 1, 0x84, 0) + nck + drive + in_block + in_memory)),
        (True, s7(1, b"\4\4" + any_item(4, 1, 1, 0x84, 0) * 4, reference=9)),
        (False, s7(3, b"\4\4", bytes.fromhex("05000000 ff0400101234 05000000 0a000000"), reference=9)),
        (False, s7(7, pushed, b"\xff\0\0\0")),
        (False, userdata(0, 4, 3, entry)),
        (True, userdata(4, 4, 1, b"\0\xa0\0\0")),
        (False, _list(0xA0, 0, entry, b"\xa1" + entry[1:])),
        (False, _list(0x424, 0, mode)),
        (False, _list(0x74, 0, b"\0\1\1\0", b"\1\5\0\1")),
        (False, _list(0x131, 9, times)),
        (False, userdata(8, 4, 11, b"\x09\1\xff")),
        (True, test_job(2, b"\0\2\1\2\0\0\0\5\x70\3\0\7\0\4")),
        (True, userdata(4, 6, 1, bytes.fromhex("12061300000000070004deadbeef"))),
    ]
    wanted = (
        "nck.",
        "driveesany.",
        "tiap.",
        "param.modetrans",
        "diag_msg",
        "xy74",
        "0131.0009",
        "varstat.req.",
        "pbc.",
    )
    fields = [row.theirs for row in TABLE["s7comm"] if any(name in row.theirs for name in wanted)]
    assert len(fields) > 50
    units = [(way, b"\3\0" + struct.pack(">H", len(pdu) + 4) + pdu) for way, pdu in sent]
    agrees(tmp_path / "s7.pcap", 102, units, fields)
