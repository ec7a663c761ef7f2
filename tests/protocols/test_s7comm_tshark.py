"""Layouts that no capture shows, beside tshark: PDUs made with counting bytes, each field where tshark has it.

Of records that both understand, every number of ours must be one that tshark shows in the same frame, and of each list
the fields are counted; so a field in a wrong place or of a wrong size cannot hide.
"""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.protocols.s7comm import S7COMM
from tests.protocols.s7_streams import s7

STAMP = bytes.fromhex("2611221530451231")


def counting(size: int) -> bytes:
    return bytes((7 * i + 1) % 251 for i in range(size))


def userdata(kind: int, group: int, subfunction: int, payload: bytes, rest: bytes = b"") -> bytes:
    """Kind 0 push, 4 request, 8 response."""
    rest = b"\0\0\0\0" if kind == 8 else rest
    head = bytes([0, 1, 0x12, 4 + len(rest), 0x12 if rest else 0x11, kind << 4 | group, subfunction, 1]) + rest
    return s7(7, head, struct.pack(">BBH", 0xFF, 9, len(payload)) + payload)


def szl(szl_id: int, index: int, size: int, prefix: bytes = b"") -> bytes:
    record = (prefix + counting(size))[:size]
    return userdata(8, 4, 1, struct.pack(">HHHH", szl_id, index, size, 1) + record)


def test_job(subfunction: int, data: bytes) -> bytes:
    """A programmer command with its ten parameter words."""
    words = b"".join(struct.pack(">H", n) for n in (1, 2, 1, 80, 5, 6, 7, 8, 9, 0x200))
    return userdata(4, 1, subfunction, struct.pack(">HH", 20, len(data)) + words + data)


test_job.__test__ = False  # type: ignore[attr-defined]  # what pytest asks for, of an imported function


def capture(path: Path, pdus: list[tuple[bool, bytes]]) -> None:
    """A capture with one segment a PDU; True: from the client."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, (from_client, pdu) in enumerate(pdus):
        unit = b"\3\0" + struct.pack(">H", len(pdu) + 4) + pdu
        ports = (2000 + number, 102) if from_client else (102, 2000 + number)
        ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if from_client else (b"\x0a\0\0\2", b"\x0a\0\0\1")
        tcp = struct.pack(">HHIIBBHHH", *ports, 1, 1, 0x50, 0x18, 8192, 0, 0) + unit
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), number, 0, 64, 6, 0) + ends[0] + ends[1] + tcp
        frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip
        out.append(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(out))


def leaves(value: Any) -> Iterator[tuple[str, str]]:
    """(field, value) of every leaf of tshark's JSON, lists of equal fields included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str):
                yield name, inner
            elif isinstance(inner, list) and all(isinstance(one, str) for one in inner):
                yield from ((name, one) for one in inner)
            else:
                yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def theirs(tmp_path: Path, pdus: list[tuple[bool, bytes]]) -> list[list[tuple[str, str]]]:
    """Fields of s7comm and COTP frame by frame."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark")
    path = tmp_path / "made.pcap"
    capture(path, pdus)
    command = ["tshark", "-n", "-r", str(path), "-T", "json", "--no-duplicate-keys"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    frames = [frame["_source"]["layers"] for frame in json.loads(done.stdout)]
    assert len(frames) == len(pdus)
    return [list(leaves({name: frame.get(name, {}) for name in ("cotp", "s7comm")})) for frame in frames]


def as_number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def numbers(fields: list[tuple[str, str]], prefix: str) -> list[int]:
    """The numbers of fields with this prefix, in their order."""
    found = [as_number(value) for name, value in fields if name.startswith(prefix)]
    return [number for number in found if number is not None]


SZL: list[tuple[int, int, int, bytes, str]] = [
    (0x0131, 1, 40, b"\0\1", "s7comm.szl.0131.0001."),
    (0x0131, 2, 40, b"\0\2", "s7comm.szl.0131.0002."),
    (0x0131, 3, 40, b"\0\3", "s7comm.szl.0131.0003."),
    (0x0131, 5, 40, b"\0\5", "s7comm.szl.0131.0005."),
    (0x0131, 7, 40, b"\0\7", "s7comm.szl.0131.0007."),
    (0x0131, 9, 40, b"\0\x09", "s7comm.szl.0131.0009."),
    (0x0131, 16, 40, b"\0\x10", "s7comm.szl.01"),
    (0x0132, 1, 40, b"\0\1", "s7comm.szl.0132.0001."),
    (0x0132, 2, 40, b"\0\2", "s7comm.szl.0132.0002."),
    (0x0132, 4, 40, b"\0\4", "s7comm.szl.0132.0004."),
    (0x0132, 5, 40, b"\0\5", "s7comm.szl.0132.0005."),
    (0x0132, 8, 40, b"\0\x08", "s7comm.szl.0132.0008."),
    (0x0132, 11, 40, b"\0\x0b", "s7comm.szl.0132.000b."),
    (0x0132, 12, 40, b"\0\x0c", "s7comm.szl.0132.000c."),
    (0x0013, 0, 36, b"\0\1", "s7comm.szl.0013."),
    (0x0014, 0, 8, b"\0\1", "s7comm.szl.xy14."),
    (0x0015, 0, 10, b"\x08\0", "s7comm.szl.xy15."),
    (0x0424, 0, 20, b"\x43\2\xff\x48", "s7comm.szl.0424."),
    (0x00A0, 0, 20, b"\x43\4\1\2" + counting(8) + STAMP, "s7comm.cpu.diag_msg."),
    (0x0112, 0, 2, b"\2\2", "s7comm.szl.xy12."),
]


def plain_numbers(entry: dict[str, Any]) -> list[int]:
    """Numbers of ours that are shown as they are; reserved ones too."""
    return [value for value in entry.values() if isinstance(value, int) and not isinstance(value, bool)]


def test_status_lists(tmp_path: Path) -> None:
    pdus = [(False, szl(*row[:4])) for row in SZL]
    for row, fields, (_, pdu) in zip(SZL, theirs(tmp_path, pdus), pdus, strict=True):
        message = S7COMM.decode(pdu, False, None)
        (entry,) = message.body["entries"]
        assert "raw" not in entry, row
        shown = numbers(fields, row[4])
        mine = plain_numbers(entry)
        # In the same order, tshark's with more between them: it shows reserved bytes and each bit too.
        at = iter(shown)
        assert all(number in at for number in mine), (f"{row[0]:04x}/{row[1]}", mine, shown)


def test_bits_of_status_lists(tmp_path: Path) -> None:
    """Set one bit after the other: the name we give is that of tshark's field, in its words."""
    first, second = b"\0\2" + b"\x04\x02\x40" + bytes(35), b"\0\2" + b"\0\x10\x08" + bytes(35)
    pdus = [(False, szl(0x131, 2, 40, record)) for record in (first, second)]
    got = theirs(tmp_path, pdus)
    on = [{name.rsplit(".", 1)[1] for name, value in fields if "funkt_" in name and value == "1"} for fields in got]
    assert on == [{"var_stat", "force", "flash_led"}, {"mem_res", "block_stat_v2"}]
    entries = [S7COMM.decode(pdu, False, None).body["entries"][0] for _, pdu in pdus]
    assert [entries[0][f"functions_{i}"] for i in range(3)] == [["variable_status"], ["force"], ["flash_led"]]
    assert [entries[1][f"functions_{i}"] for i in range(3)] == [[], ["memory_reset"], ["block_status_2"]]


def test_operating_mode_and_diagnostic_buffer(tmp_path: Path) -> None:
    mode, buffer = (
        szl(0x424, 0, 20, b"\x43\2\xff\x48" + bytes(8) + STAMP),
        szl(0xA0, 0, 20, b"\x43\4\1\2" + bytes(8) + STAMP),
    )
    first, second = (dict(fields) for fields in theirs(tmp_path, [(False, mode), (False, buffer)]))
    assert (first["s7comm.szl.0424.0000.bzu_id.req"], first["s7comm.szl.0424.0000.bzu_id.pre"]) == ("0x08", "0x04")
    (entry,) = S7COMM.decode(mode, False, None).body["entries"]
    assert (entry["mode"], entry["previous_mode"], entry["time"]) == ("run", "stop", "2026-11-22T15:30:45.123")
    (entry,) = S7COMM.decode(buffer, False, None).body["entries"]
    assert second["s7comm.data.ts"].startswith("Nov 22, 2026 15:30:45.123")
    assert (entry["event"]["class"], entry["event"]["number"], entry["time"]) == (
        "mode_transition",
        int(second["s7comm.cpu.diag_msg.eventid.nr"], 0),
        "2026-11-22T15:30:45.123",
    )
    assert entry["event"]["coming"] == (second["s7comm.cpu.diag_msg.eventid.ident.entleave"] == "1")


def test_block_functions(tmp_path: Path) -> None:
    block = (
        b"\x0a\0\0\x4a\0\x22pp\1\3\5\x0a\0\x2a" + struct.pack(">II", 0x190, 3) + struct.pack(">IH", 3_600_000, 12_000)
    )
    block += struct.pack(">IH", 7_200_000, 13_000) + struct.pack(">HHHH", 16, 32, 48, 64)
    block += b"AUTHOR\0\0FAMILY  NAME    \x21\0\xab\xcd" + bytes(8)
    pdus = [
        userdata(8, 3, 3, block),
        userdata(8, 3, 1, b"08\0\x020A\0\5"),
        userdata(8, 3, 2, b"\0\1\x22\5\0\7\x22\1"),
    ]
    info, counts, listed = theirs(tmp_path, [(False, pdu) for pdu in pdus])
    mine = S7COMM.decode(pdus[0], False, None).body["info"]
    said = {name.removeprefix("s7comm.blockinfo."): value for name, value in info}
    assert (mine["block_number"], mine["load_memory_bytes"], mine["mc7_bytes"], mine["local_data_bytes"]) == tuple(
        int(said[name], 0) for name in ("block_num", "load_mem_len", "mc7_len", "localdata_len")
    )
    assert (mine["ssb_bytes"], mine["additional_bytes"], mine["checksum"]) == tuple(
        int(said[name], 0) for name in ("ssb_len", "add_len", "checksum")
    )
    assert [mine["author"], mine["family"], mine["name"], mine["version"]] == [
        said[name].split("\\")[0].strip("\0 ") for name in ("author", "family", "headername", "headerversion")
    ]
    assert (mine["language"], mine["block_type"], mine["protection"]) == ("DB", "DB", "know_how")
    assert int(said["block_lang"], 0) == 5
    assert int(said["blocksecurity"], 0) == 3
    assert (mine["code_time"], mine["interface_time"]) == ("2016-11-08T01:00:00.000", "2019-08-05T02:00:00.000")
    assert [said["code_timestamp"], said["interface_timestamp"]] == [
        "Nov  8, 2016 01:00:00.000",
        "Aug  5, 2019 02:00:00.000",
    ]
    assert list(S7COMM.decode(pdus[1], False, None).body["blocks"].values()) == [
        int(value, 0) for name, value in counts if name.endswith("block_count")
    ]
    assert [row["block_number"] for row in S7COMM.decode(pdus[2], False, None).body["blocks"]] == [
        int(value, 0) for name, value in listed if name.endswith("block_num")
    ]


def test_special_addresses(tmp_path: Path) -> None:
    items = [
        bytes([0x12, 8, syntax, 0x41, 0, 10, 0, 1, 0x10, 2]) for syntax in (0x82, 0x83, 0x84)
    ] + [
        bytes([0x12, 10, 0xA2, 1, 0, 2, 0, 3, 0, 4, 0, 5]),
        bytes([0x12, 14, 0xB2, 0xFF, 0x8A, 0x0E, 0, 7, 0x12, 0x34, 0x56, 0x78, 0x40, 0, 0, 9]),
        bytes([0x12, 14, 0xB2, 0xFF, 0, 0, 0, 0x52, 0x12, 0x34, 0x56, 0x78, 0x20, 0, 0, 9]),
    ]  # fmt: skip
    pdus = [s7(1, b"\4\1" + item) for item in items]
    got = [dict(fields) for fields in theirs(tmp_path, [(True, pdu) for pdu in pdus])]
    mine = [S7COMM.decode(pdu, True, None).body["items"][0] for pdu in pdus]
    for said, item in zip(got[:3], mine[:3], strict=True):
        nck = {name.removeprefix("s7comm.param.item.nck."): value for name, value in said.items()}
        assert [item[name] for name in ("unit", "column", "line", "module_raw", "lines")] == [
            int(nck[name], 0) for name in ("unit", "column", "line", "module", "linecount")
        ]
        assert (item["area"], item["module"]) == ("channel", "Y")
    drive = {name.removeprefix("s7comm.param.item.driveesany."): value for name, value in got[3].items()}
    assert (mine[3]["parameter"], mine[3]["index"]) == (int(drive["parameternr"], 0), int(drive["parameteridx"], 0))
    for said, item in zip(got[4:], mine[4:], strict=True):
        assert item["crc"] == int(said["s7comm.tiap.item.crc"], 0)
        assert item["path"][0]["value"] == int(said["s7comm.tiap.item.value"], 0)
    assert [(item["area"], item["path"][0]["step"]) for item in mine[4:]] == [
        ("DB7", "by_lid"),
        ("M", "encapsulated_lid"),
    ]


def test_programmer_commands(tmp_path: Path) -> None:
    variables = b"\0\2" + b"\x02\1\0\0\0\4" + b"\x72\3\0\5\0\6"
    values = b"\0\4\0\x10\1\2" + b"\0\4\0\x30\1\2\3\4\5\6"
    pdus = [
        test_job(2, variables),
        test_job(8, variables + values),
        test_job(9, variables + values),
        test_job(15, b"\0\0\2\7"),
        userdata(8, 1, 16, b"\0\4\0\x08\0\0\0\1\2\1\0\0\x08\2\0\0"),
    ]
    got = theirs(tmp_path, [(number < 4, pdu) for number, pdu in enumerate(pdus)])
    bodies = [S7COMM.decode(pdu, number < 4, None).body for number, pdu in enumerate(pdus)]
    for fields, body in zip(got[:3], bodies[:3], strict=True):
        assert [item["area_raw"] for item in body["variables"]] == numbers(fields, "s7comm.varstat.req.memory_area")
        assert [item["count"] for item in body["variables"]] == numbers(fields, "s7comm.varstat.req.repetition_factor")
        assert [item["address"] for item in body["variables"]] == numbers(fields, "s7comm.varstat.req.startaddress")
        assert [item["area"] for item in body["variables"]] == ["M", "DB5"]
        assert (body["trigger"], numbers(fields, "s7comm.varstat.trgevent")) == ("cycle_start", [0x200])
        assert body["answer_bytes"] == numbers(fields, "s7comm.tis.answersize")[0]
    assert [item["written"]["raw"] for item in bodies[2]["variables"]] == [
        value.replace(":", "") for name, value in got[2] if name == "s7comm.resp.data"
    ]
    assert numbers(got[3], "s7comm.tis.job.response_seq_num") == [bodies[3]["jobs"][0]["sequence"]]
    assert numbers(got[4], "s7comm.tis.job.response_seq_num") == [job["sequence"] for job in bodies[4]["jobs"]]
    assert [job["function"] for job in bodies[4]["jobs"]] == ["variable_status", "modify_variable"]


def test_alarms(tmp_path: Path) -> None:
    def thing(syntax: int, rest: bytes) -> bytes:
        return bytes([0x12, len(rest) + 1, syntax]) + rest

    indication = STAMP + b"\x40\1" + thing(0x16, b"\2\0\0\0\7\1\2\3\4") + b"\xff\4\0\x10\1\2" + b"\xff\4\0\x10\3\4"
    pdus = [
        (False, userdata(0, 4, 5, indication)),
        (False, userdata(0, 4, 17, STAMP + b"\0\1" + thing(0x16, b"\0\0\0\0\x09\1\2\3\4"))),
        (False, userdata(0, 4, 12, STAMP + b"\x09\1" + thing(0x19, b"\1\0\0\0\7\xfe\xfd"))),
        (True, userdata(4, 4, 11, b"\x09\1" + thing(0x19, b"\1\0\0\0\7\xff\xff"))),
        (True, userdata(4, 4, 7, b"\7\1" + thing(0x15, b"\0\0\0\0\7"))),
        (True, userdata(4, 4, 19, b"\0\1" + thing(0x1A, b"\0\1\0\0\0\0\4"))),
        (False, userdata(8, 4, 19, b"\0\1\xff\x09\0\x0c\x0a\0\0\2\0\0\0\x2f\0\1\2\3")),
        (True, userdata(4, 4, 2, b"\x81\0HMI_1   \5\0")),
        (False, userdata(8, 4, 11, b"\x09\2\xff\x0a")),
    ]
    got = theirs(tmp_path, pdus)
    bodies = [S7COMM.decode(pdu, way, None).body for way, pdu in pdus]
    for fields, body in zip(got[:5], bodies[:5], strict=True):
        assert [one["event_id"] for one in body["objects"]] == numbers(fields, "s7comm.alarm.event_id")
        assert [one["value_count"] for one in body["objects"]] == numbers(fields, "s7comm.alarm.nr_add_values")
        for mine, their in (("ack_state_going", "ack_state.going"), ("ack_state_coming", "ack_state.coming")):
            assert [one[mine] for one in body["objects"] if mine in one] == numbers(fields, f"s7comm.alarm.{their}")
    assert bodies[0]["time"] == "2026-11-22T15:30:45.123"
    assert [value["raw"] for value in bodies[0]["values"]] == ["0102", "0304"]
    assert (bodies[5]["objects"][0]["query"], bodies[5]["objects"][0]["alarm_type"]) == ("by_alarm_type", "alarm_s")
    assert numbers(got[5], "s7comm.alarm.query.alarmtype") == [4]
    (alarm,) = bodies[6]["alarms"]
    assert [alarm["event_id"]] == numbers(got[6], "s7comm.alarm.event_id")
    assert [alarm["event_state"]] == numbers(got[6], "s7comm.alarm.eventstate")
    assert (bodies[7]["events"], bodies[7]["user"]) == (["mode_transition", "alarms"], "HMI_1")
    assert [bodies[8]["alarm_function"]] == numbers(got[8], "s7comm.alarm.function") == [9]
    assert [one["return_code"] for one in bodies[8]["objects"]] == numbers(got[8], "s7comm.data.returncode")[1:]


def test_cotp(tmp_path: Path) -> None:
    pdus = [
        (True, bytes.fromhex("11e00000001200c1020100c2020102c0010a")),
        (False, bytes.fromhex("068000120034" + "80")),
        (False, bytes.fromhex("05c000120034")),
        (False, bytes.fromhex("0870001202c1021100")),
    ]
    got = [dict(fields) for fields in theirs(tmp_path, pdus)]
    bodies = [S7COMM.decode(pdu, way, None).body for way, pdu in pdus]
    assert bodies[0]["tpdu_bytes"] == 1024 == int(got[0]["cotp.tpdu_size"])
    assert bodies[0]["called_tsap"]["raw"] == got[0]["cotp.dst-tsap-bytes"].replace(":", "")
    for said, body in zip(got[:3], bodies[:3], strict=True):
        assert body["source_reference"] == int(said["cotp.srcref"], 0)
        assert body["destination_reference"] == int(said["cotp.destref"], 0)
    assert bodies[1]["reason_name"] == "normal_disconnect"
    assert int(got[1]["cotp.cause"], 0) == bodies[1]["reason"] == 0x80
    assert (bodies[3]["cause_name"], bodies[3]["rejected"]) == ("invalid_tpdu_type", "1100")
