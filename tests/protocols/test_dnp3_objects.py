"""DNP3 objects that few devices send: what each field says, what the operation is on, and beside Wireshark."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otmon.model import Malformed, Message, Target
from otmon.protocols.dnp3 import DNP3
from otmon.wire.contract import OUT_STATUS, STATUS_ACCEPTED, STATUS_PARTIAL, STATUS_REJECTED
from tests.hostile.kit import Session, write_pcap
from tests.protocols.dnp3_corpus import canonical, frames, request, response, said
from tests.protocols.test_dnp3_fuzz import check


def decoded(pdu: bytes) -> Message:
    message = check(pdu)
    assert message is not None
    return message


def sized(group: int, variation: int, *objects: bytes) -> bytes:
    return bytes([group, variation, 0x5B, len(objects)]) + b"".join(
        len(raw).to_bytes(2, "little") + raw for raw in objects
    )


def command(name: bytes, mode: int = 1, size: int = 0) -> bytes:
    return struct.pack("<HH6sHIIHHH", 26, len(name), b"\1\0\0\0\0\1", 0o644, 7, size, mode, 1024, 3) + name


def descriptor(name: bytes, kind: int = 1) -> bytes:
    return struct.pack("<HHHI6sHH", 20, len(name), kind, 4096, b"\2\0\0\0\0\1", 0o755, 3) + name


def first_point(message: Message, header: int = 0) -> dict[str, Any]:
    point: dict[str, Any] = message.body["objects"][header]["points"][0]
    return point


@pytest.mark.parametrize(
    ("code", "objects", "targets"),
    [
        (25, sized(70, 3, command(b"/cfg/boot.xml")), [Target("g70", name="/cfg/boot.xml")]),
        (27, sized(70, 3, command(b"a"), command(b"b")), [Target("g70", name="a"), Target("g70", name="b")]),
        (28, sized(70, 7, descriptor(b"logs")), [Target("g70", name="logs")]),
        (31, sized(70, 8, b"new.cfg"), [Target("g70", name="new.cfg")]),
        (25, sized(70, 3, command(b"\x1b[2J")), [Target("g70", name="\\x1b[2J")]),
        (25, sized(70, 3, command(b"x" * 255)), [Target("g70", name="x" * 127 + "…")]),
        (25, sized(70, 3, command(b"x" * 256)), [Target("g70")]),
        (25, sized(70, 3, command(b"")), [Target("g70")]),
        (25, sized(70, 3, command(b"name")[:25]), [Target("g70")]),
        (25, sized(70, 3, command(b"name")) [:-1], [Target("unparsed")]),
        (26, sized(70, 4, struct.pack("<IIHHB", 9, 0, 0, 3, 0)), [Target("g70")]),
        (1, sized(70, 5, struct.pack("<II", 9, 0)), [Target("g70")]),
        (25, b"\x46\x03\x5b\x00", [Target("g70")]),
        (25, sized(70, 3, *[command(b"y" * 250)] * 7), [Target("g70", name="y" * 127 + "…"), Target("unparsed")]),
        (1, b"\x00\xfc\x00\x00\x00\x00\xfe\x00\x00\x00", [
            Target("g0", 0, 0, "manufacturer"), Target("g0", 0, 0, "all_attributes")]),
        (1, b"\x00\xfc\x00\x01\x01", [Target("g0", 1, 1, "variation_252")]),
        (1, b"\x78\x03\x07\x01" + b"\5\0\0\0\1\0" + b"\x3c\x02\x06" + sized(120, 9, bytes(16)), [
            Target("g120"), Target("g60", name="class 1")]),
        (1, b"\x1e\x01\x03\x10\x20\x1e\x02\x00\x00\x01", [Target("unparsed")]),
    ],
)  # fmt: skip
def test_what_an_operation_is_on(code: int, objects: bytes, targets: list[Target]) -> None:
    assert [op.target for op in decoded(request(code, objects)).ops] == targets


def test_files_in_full() -> None:
    opened = first_point(decoded(request(25, sized(70, 3, command(b"/a", 2, 99)))))
    assert opened == {
        "bytes": 28,
        "created_ms": 1 + (1 << 40),
        "permissions": 0o644,
        "permissions_text": "rw-r--r--",
        "authentication_key": 7,
        "size": 99,
        "mode": 2,
        "mode_name": "write",
        "max_block": 1024,
        "request_id": 3,
        "file": "/a",
    }
    told = first_point(decoded(response(sized(70, 7, descriptor(b"dir", 0)))))
    assert (told["type_name"], told["size"], told["file"], told["permissions_text"]) == (
        "directory",
        4096,
        "dir",
        "rwxr-xr-x",
    )


@pytest.mark.parametrize(
    ("objects", "status"),
    [
        (sized(70, 4, struct.pack("<IIHHB", 9, 5, 1024, 3, 0)), STATUS_ACCEPTED),
        (sized(70, 4, struct.pack("<IIHHB", 0, 0, 0, 3, 3)), STATUS_REJECTED),
        (sized(70, 6, struct.pack("<IIB", 9, 1, 0), struct.pack("<IIB", 9, 2, 16)), STATUS_PARTIAL),
        (sized(70, 6, b"\1")[:-1], STATUS_ACCEPTED),
    ],
)
def test_a_refused_file_is_a_refused_request(objects: bytes, status: int) -> None:
    pdu = response(objects)
    assert said(pdu)[1 + OUT_STATUS] == status
    assert ("file_refused" in decoded(pdu).flags) == (status != STATUS_ACCEPTED)


def test_relative_times_count_from_the_last_common_time() -> None:
    def at(variation: int, ms: int) -> bytes:
        return bytes([51, variation, 7, 1]) + ms.to_bytes(6, "little")

    event = b"\x02\x03\x17\x01\x05\x81\x10\x27"
    message = decoded(response(event + at(1, 10**12) + event + at(2, 5) + event))
    assert message.flags == ("relative_time_alone",)
    points = [header["points"][0] for header in message.body["objects"]]
    assert [point.get("time_ms") for point in points] == [None, 10**12, 10**12 + 10_000, 5, 10_005]
    assert [point["synchronized"] for point in (points[1], points[3])] == [True, False]
    assert points[0]["relative_ms"] == 10_000


def test_attributes_of_every_type() -> None:
    values = {
        252: (1, b"Acme"),
        240: (2, b"\x00\x08"),
        203: (3, b"\xff\xff"),
        204: (4, struct.pack("<f", 16.5)),
        200: (5, b"\xde\xad"),
        198: (7, (10**12).to_bytes(6, "little")),
        255: (254, bytes([252, 0, 246, 1])),
    }
    objects = b"".join(bytes([0, v, 0, 0, 0, kind, len(raw)]) + raw for v, (kind, raw) in values.items())
    message = decoded(response(objects))
    shown = {header["attribute"]: header["points"][0] for header in message.body["objects"]}
    assert {name: point["value"] for name, point in shown.items() if name != "list_of_attributes"} == {
        "manufacturer": "Acme",
        "max_transmit_fragment": 2048,
        "altitude": -1,
        "longitude": 16.5,
        "configuration_signature": "dead",
        "configuration_build_date": 10**12,
    }
    assert shown["list_of_attributes"]["value"] == [
        {"variation": 252, "name": "manufacturer", "writable": False},
        {"variation": 246, "name": "id_code", "writable": True},
    ]
    long = b"\x00\xff\x00\x00\x00\xff\x02" + bytes([250, 0]) * 129
    (header,) = decoded(response(long)).body["objects"]
    assert len(header["points"][0]["value"]) == 129


def test_identity_names_device_plant_and_subset() -> None:
    texts = {208: b"grid 7", 244: b"City", 249: b"2:2009", 197: b"r12"}
    objects = b"".join(bytes([0, v, 0, 0, 0, 1, len(text)]) + text for v, text in texts.items())
    facts = {name: value for name, value, _ in DNP3.identity(decoded(response(objects + b"\0\xd1\0\0\0\2\1\5")))}
    assert facts == {
        "system": "grid 7",
        "owner": "City",
        "subset": "2:2009",
        "configuration_version": "r12",
        "secure_authentication": "5",
    }


@pytest.mark.parametrize(
    "header",
    [b"\0\xfa\0\0\1", b"\0\xfa\x17\2\0", b"\0\xfa\x17\2\3"],
    ids=["sets 0 and 1", "own set first", "a user's sets"],
)
def test_attributes_of_a_users_own_set_do_not_say_what_the_device_is(header: bytes) -> None:
    """Only set 0 is the standard's: in another one variation 250 is whatever its owner says."""
    indexed = header[2] == 0x17
    others = b"\1" if indexed else b""
    message = decoded(response(header + b"\1\4Mod0" + others + b"\1\4Mod1"))
    first, second = message.body["objects"][0]["points"]
    own = first["index"] == 0
    assert first["attribute"] == ("product_name_and_model" if own else "variation_250")
    assert second["attribute"] == "variation_250"
    assert list(DNP3.identity(message)) == ([("model", "Mod0", 0.9)] if own else [])


def test_a_list_names_attributes_of_its_own_set() -> None:
    message = decoded(response(b"\0\xff\0\1\1\xfe\2\xfa\0"))
    assert first_point(message)["value"] == [{"variation": 250, "name": "variation_250", "writable": False}]


def element(code: int, kind: int, longest: int, value: bytes) -> bytes:
    return bytes([3 + len(value), code, kind, longest]) + value


@pytest.mark.parametrize(("variation", "name"), [((87, 1), "data_set"), ((88, 1), "time_ms"), ((86, 3), "index")])
@pytest.mark.parametrize("size", [8, 9, 120])
def test_a_number_of_a_data_set_is_never_more_than_json_carries(
    variation: tuple[int, int], name: str, size: int
) -> None:
    wide = b"\x1e" * (name == "index") + b"\xff" * size
    raw = (b"" if name == "data_set" else b"\1\5") + bytes([len(wide)]) + wide + b"\1\1" * (name == "data_set")
    pdu = response(sized(*variation, raw))
    check(pdu)
    point = first_point(decoded(pdu))
    value = point["elements"][0][name] if name == "index" else point[name]
    assert value == (2**64 - 1 if size == 8 else "ff" * min(size, 64))


def test_data_sets() -> None:
    uuid = bytes(range(16))
    described = element(1, 0, 0, b"\5") + element(2, 0, 0, uuid) + element(4, 0, 0, b"pump") + element(5, 4, 4, b"rpm")
    point = first_point(decoded(response(sized(85, 1, described))))
    assert [(e["descriptor_name"], e["type_name"], e["value"]) for e in point["elements"]] == [
        ("id", "none", 5),
        ("uuid", "none", uuid.hex()),
        ("name", "none", "pump"),
        ("data_element", "float", "rpm"),
    ]
    point = first_point(decoded(response(sized(87, 1, b"\1\5\6" + (10**12).to_bytes(6, "little") + b"\2\1\2\1\7"))))
    assert point == {"bytes": 14, "data_set": 5, "time_ms": 10**12, "elements": ["0102", "07"]}
    point = first_point(decoded(response(sized(86, 3, b"\1\5\2\x1e\x07"))))
    assert point == {"bytes": 5, "data_set": 5, "elements": [{"group": 30, "index": 7}]}
    point = first_point(decoded(response(b"\x56\x02\x17\x01\x05\x1d")))
    assert point["characteristics"] == ["readable", "static", "event", "defined_by_master"]
    point = first_point(decoded(response(sized(83, 1, b"ACME" + struct.pack("<HH", 9, 2) + b"\1\2"))))
    assert point == {"bytes": 10, "vendor_code": "ACME", "object_id": 9, "data_bytes": 2, "data": "0102"}
    for broken in (b"\x09\1", b"\2\1\2"):
        assert decoded(response(sized(85, 1, broken))).flags == ("object_too_small",)


def test_numbers_of_other_kinds() -> None:
    message = decoded(
        response(
            b"\x65\x01\x07\x01\x34\x12"
            b"\x65\x02\x07\x01\x78\x56\x34\x12"
            b"\x64\x01\x07\x01" + struct.pack("<f", 2.5) +
            b"\x64\x03\x07\x01" + bytes(7) + b"\xc8\x05\x40"
            b"\x66\x01\x07\x01\xfe"
            b"\x50\x01\x00\x04\x07\x09"
            b"\x04\x01\x17\x01\x03\x81"
            b"\x32\x04\x17\x01\x00" + (10**12).to_bytes(6, "little") + b"\x0f\0\0\0\x03"
        )
    )  # fmt: skip
    assert message.flags == ()
    bcd, bcd8, single, extended, small, iin, double, interval = message.body["objects"]
    assert [header["points"][0]["value"] for header in (bcd, bcd8, single, extended, small)] == [
        1234,
        12345678,
        2.5,
        100.0,
        254,
    ]
    assert iin["indications"] == {"need_time": 1, "local_control": 0, "device_trouble": 0, "device_restart": 1}
    assert double["points"] == [{"index": 3, "flags": ["online"], "value": 2, "state": "on"}]
    assert interval["points"][0]["interval_units_name"] == "minutes"


def test_security_objects_and_statistics() -> None:
    objects = {
        1: struct.pack("<IHBB", 4, 1, 4, 1) + bytes(4),
        5: struct.pack("<IHBBBH", 4, 1, 2, 2, 4, 4) + bytes(4),
        7: struct.pack("<IHHB6s", 4, 1, 0, 7, bytes(6)) + b"no",
        8: b"\x44\1" + bytes(9),
        10: struct.pack("<BBIHHHHH", 3, 1, 8, 1, 30, 4, 0, 2) + b"anna" + b"\1\2",
        11: struct.pack("<BHH", 4, 3, 2) + b"bob" + b"\1\2",
        12: struct.pack("<IHH", 8, 1, 2) + b"\1\2",
        13: struct.pack("<IHH", 8, 1, 2) + b"\1\2",
        14: bytes(8),
        15: bytes(8),
    }
    points = {v: first_point(decoded(request(32, sized(120, v, raw)))) for v, raw in objects.items()}
    assert (points[1]["mac_algorithm_name"], points[1]["reason_name"]) == ("hmac_sha256_16", "critical")
    assert (points[5]["key_status_name"], points[5]["wrap_algorithm_name"]) == ("not_initialised", "aes_256")
    assert (points[7]["error_code_name"], points[7]["error_text"]) == ("authorization_failed", "no")
    assert points[8]["certificate_type_name"] == "id_certificate"
    assert (points[10]["user_name"], points[10]["operation_name"], points[10]["role_name"]) == (
        "anna",
        "add",
        "operator",
    )
    assert points[11]["user_name"] == "bob"
    assert points[12]["challenge"] == points[13]["update_key"] == "0102"
    counted = decoded(response(b"\x79\x01\x28\x01\x00\x02\x00\x01" + struct.pack("<HI", 0, 9)))
    assert first_point(counted)["statistic"] == "authentication_failures"


@pytest.mark.parametrize(
    ("link", "flags", "name"),
    [
        ({"destination": 0xFFFD}, {"broadcast"}, "broadcast_unconfirmed"),
        ({"destination": 0xFFFE}, {"broadcast"}, "broadcast_confirmed"),
        ({"destination": 0xFFFF}, {"broadcast"}, "broadcast_confirm_optional"),
        ({"destination": 0xFFFC}, {"self_address"}, "self_address"),
        ({"destination": 0xFFF0}, {"reserved_address"}, None),
        ({"source": 0xFFFF}, {"reserved_address"}, None),
        ({"control": 0xD4}, {"frame_count_mismatch"}, None),
        ({"control": 0xC3}, {"frame_count_mismatch"}, None),
        ({"control": 0xF3}, set(), None),
    ],
)
def test_link_addresses_and_frame_count(link: dict[str, int], flags: set[str], name: str | None) -> None:
    message = decoded(request(1, **link))
    assert set(message.flags) == flags
    assert message.body["link"].get("destination_name") == name


@pytest.mark.parametrize("code", [129, 130, 131, 200])
def test_of_a_short_response_the_function_is_known(code: int) -> None:
    with pytest.raises(Malformed) as raised:
        DNP3.decode(canonical(bytes([0xC0, code, 0]), 0x44), False, None)
    read = raised.value.read
    assert read is not None
    assert (read.function_code, read.body["application"]["sequence"]) == (code, 0)


FIELDS = {
    "dnp3.al.file_name": "file",
    "dnp3.al.file.mode": "mode",
    "dnp3.al.file.size": "size",
    "dnp3.al.file.maxblock": "max_block",
    "dnp3.al.file.reqID": "request_id",
    "dnp3.al.file.auth": "authentication_key",
    "dnp3.al.file.handle": "handle",
    "dnp3.al.file.status": "status",
    "dnp3.al.file.blocknum": "block",
    "dnp3.al.file.data": "data",
}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_files_beside_wireshark(tmp_path: Path) -> None:
    fragments = [
        (25, sized(70, 3, command(b"/cfg/boot.xml", 2, 77))),
        (129, sized(70, 4, struct.pack("<IIHHB", 9, 5, 1024, 3, 0))),
        (2, sized(70, 5, struct.pack("<II", 9, 3) + b"data")),
        (129, sized(70, 6, struct.pack("<IIB", 9, 3, 2))),
        (129, sized(70, 4, struct.pack("<IIHHB", 0, 0, 0, 3, 1))),
    ]
    session = Session("10.0.0.1", "10.0.0.2", server_port=20000)
    sent, points = session.handshake(), []
    for number, (code, objects) in enumerate(fragments):
        answer = code == 129
        link = {"control": 0x44, "destination": 1, "source": 10} if answer else {}
        head = bytes([0xC0 | number, code]) + bytes(2 * answer)
        sent += [session.send(unit, not answer) for unit in frames(head + objects, number, **link)]
        points.append(first_point(decoded(response(objects) if answer else request(code, objects))))
    path = write_pcap(tmp_path / "files.pcap", sent)
    words = ["tshark", "-r", str(path), "-Y", "dnp3", "-T", "fields", *(w for f in FIELDS for w in ("-e", f))]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    for line, point in zip(lines, points, strict=True):
        for (field, name), theirs in zip(FIELDS.items(), line.split("\t"), strict=True):
            if theirs:
                mine = point[name]
                number = int(theirs, 0) if theirs.startswith("0x") or theirs.isdigit() else theirs
                assert number == mine or theirs.replace(":", "") == str(mine), (field, theirs, mine)
    assert sum(1 for line in lines for value in line.split("\t") if value) >= 20
