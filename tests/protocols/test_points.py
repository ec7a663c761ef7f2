"""Values of points, protocol by protocol."""

import struct
from typing import Any

import pytest

from otmon.model import Target
from otmon.protocols.dnp3 import DNP3
from otmon.protocols.modbus import MODBUS
from otmon.protocols.s7comm import S7COMM
from tests.protocols.dnp3_corpus import request as dnp3_request
from tests.protocols.dnp3_corpus import response as dnp3_response


def modbus(pdu: str, answer: str | None = None) -> list[tuple[Any, ...]]:
    def adu(text: str) -> bytes:
        data = bytes.fromhex(text)
        return struct.pack(">HHHB", 7, 0, len(data) + 1, 1) + data

    request = adu(pdu)
    message = MODBUS.decode(request, True, None) if answer is None else MODBUS.decode(adu(answer), False, request)
    return [(v.access, v.target.space, v.target.start, v.value) for v in MODBUS.points(message)]


@pytest.mark.parametrize(
    ("request_", "answer", "access", "space", "start", "values"),
    [
        ("01 0013 000A", "01 02 CD6B", "read", "coil", 19, [1, 0, 1, 1, 0, 0, 1, 1, 1, 1]),
        ("02 0000 0001", "02 01 01", "read", "discrete_input", 0, [1]),
        ("03 006B 0003", "03 06 022B 0000 0064", "read", "holding_register", 107, [555, 0, 100]),
        ("04 0008 0001", "04 02 000A", "read", "input_register", 8, [10]),
        ("04 FFFF 0002", "04 04 000A 000B", "read", "input_register", 65535, [10]),
        ("03 006B 0001", "83 02", "", "", 0, []),
        ("03 006B 0001", None, "", "", 0, []),
        ("05 00AC FF00", None, "write", "coil", 172, [1]),
        ("05 00AC FF00", "05 00AC FF00", "", "", 0, []),
        ("06 0001 0003", None, "write", "holding_register", 1, [3]),
        ("0F 0013 000A 02 CD01", None, "write", "coil", 19, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]),
        ("10 0001 0002 04 000A 0102", None, "write", "holding_register", 1, [10, 258]),
        ("16 0004 00F2 0025", None, "", "", 0, []),
        ("16 0004 0000 0025", None, "write", "holding_register", 4, [0x25]),
        ("17 0003 0002 000E 0001 02 00FF", None, "write", "holding_register", 14, [255]),
        ("17 0003 0002 000E 0001 02 00FF", "17 04 00FE 0ACD", "read", "holding_register", 3, [254, 2765]),
        ("2B 0E 01 00", None, "", "", 0, []),
    ],
)
def test_modbus(request_: str, answer: str | None, access: str, space: str, start: int, values: list[int]) -> None:
    assert modbus(request_, answer) == [(access, space, place, value) for place, value in enumerate(values, start)]


def dnp3(pdu: bytes, from_client: bool = False) -> list[tuple[Any, ...]]:
    return [(v.access, *v.target[:3], v.value) for v in DNP3.points(DNP3.decode(pdu, from_client, None))]


def test_dnp3() -> None:
    packed = bytes.fromhex("010100 0309 2a")
    assert dnp3(dnp3_response(packed)) == [("read", "g1", i, i, v) for i, v in enumerate([0, 1, 0, 1, 0, 1, 0], 3)]
    event = bytes.fromhex("02021701 05 81 000000000000")
    assert dnp3(dnp3_response(event)) == [("read", "g1", 5, 5, 1)], "an event is of the point that changed"
    analog = bytes.fromhex("1e0100 0202 01 fbffffff 280300 0000 01") + struct.pack("<f", float("nan"))
    assert dnp3(dnp3_response(analog)) == [("read", "g30", 2, 2, -5), ("read", "g40", 0, 0, "nan")]
    counter = bytes.fromhex("140100 0101 01 0a000000 320101 000000000000")
    assert dnp3(dnp3_response(counter, code=130)) == [("read", "g20", 1, 1, 10)]
    control = bytes.fromhex("0c011701 05 03 01 64000000 64000000 00 290217 01 07 f4ff 00")
    for code, points in ((3, []), (4, [("write", "g12", 5, 5, "latch_on"), ("write", "g41", 7, 7, -12.0)])):
        assert dnp3(dnp3_request(code, control), True) == points
    assert dnp3(dnp3_response(control)) == [], "an echo"


def s7(asked: bytes, data: bytes, write: bool) -> list[tuple[Any, ...]]:
    """One item of DB10 from byte 4: what a request writes, or a response shows."""

    def pdu(rosctr: int, param: bytes, content: bytes) -> bytes:
        head = struct.pack(">BBHHHH", 0x32, rosctr, 0, 9, len(param), len(content)) + bytes(2 if rosctr == 3 else 0)
        return b"\x02\xf0\x80" + head + param + content

    item = b"\x12\x0a\x10" + asked
    request = pdu(1, bytes([5 if write else 4, 1]) + item, (b"\0" + data) if write else b"")
    message = S7COMM.decode(request, True, None)
    if not write:
        message = S7COMM.decode(pdu(3, b"\x04\x01", b"\xff" + data), False, request)
    return [(v.access, v.target, v.value) for v in S7COMM.points(message)]


def item(transport: int, count: int, bit: int = 0) -> bytes:
    return struct.pack(">BHHB", transport, count, 10, 0x84) + (4 * 8 + bit).to_bytes(3, "big")


def held(transport: int, content: bytes, bits: bool = True) -> bytes:
    return struct.pack(">BH", transport, 8 * len(content) if bits else len(content)) + content


def at(start: int, end: int, name: str | None = None) -> Target:
    return Target("DB10", start, end, name)


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
@pytest.mark.parametrize(
    ("asked", "data", "points"),
    [
        (item(1, 1, 5), b"\x03\x00\x01\x01", [(at(4, 4, "bit 5"), 1)]),
        (item(2, 1), held(4, b"\x2a"), [(at(4, 4), 42)]),
        (item(4, 2), held(4, b"\xff\xfe\x00\x01"), [(at(4, 5), 65534), (at(6, 7), 1)]),
        (item(5, 1), held(4, b"\xff\xfe"), [(at(4, 5), -2)]),
        (item(6, 1), held(4, b"\x80\0\0\1"), [(at(4, 7), 0x80000001)]),
        (item(7, 1), held(4, b"\xff\xff\xff\xff"), [(at(4, 7), -1)]),
        (item(8, 1), held(7, struct.pack(">f", 21.5), False), [(at(4, 7), 21.5)]),
        (item(8, 1), held(7, b"\x7f\xc0\0\0", False), [(at(4, 7), "7fc00000")]),
        (item(2, 3), held(4, b"abc"), [(at(4, 6), "616263")]),
        (item(2, 70), held(4, bytes(70)), [(at(4, 67), "00" * 64), (at(68, 73), "00" * 6)]),
        (item(4, 2), held(4, b"\0\1"), []),
    ],
)
def test_s7(asked: bytes, data: bytes, write: bool, points: list[tuple[Target, Any]]) -> None:
    access = "write" if write else "read"
    assert s7(asked, data, write) == [(access, *point) for point in points]
