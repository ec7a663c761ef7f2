"""Zeek's logs (its test baselines, and those of CISA's ICSNPP parsers) beside otmon's records of the same captures."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.protocols.segments import CAPTURES
from tests.verify.captures import seen, zeek

BASELINES = CAPTURES / "zeek__zeek" / "oracle"
MODBUS = CAPTURES / "cisagov__icsnpp-modbus" / "oracle" / "analyzer.basic"
DNP3 = CAPTURES / "cisagov__icsnpp-dnp3" / "oracle" / "analyzer.basic"
S7 = CAPTURES / "cisagov__icsnpp-s7comm" / "oracle"

NAMES = {
    "READ_COILS": 1, "READ_DISCRETE_INPUTS": 2, "READ_HOLDING_REGISTERS": 3, "READ_INPUT_REGISTERS": 4,
    "WRITE_SINGLE_COIL": 5, "WRITE_SINGLE_REGISTER": 6, "READ_EXCEPTION_STATUS": 7, "DIAGNOSTICS": 8,
    "GET_COMM_EVENT_COUNTER": 11, "GET_COMM_EVENT_LOG": 12, "WRITE_MULTIPLE_COILS": 15,
    "WRITE_MULTIPLE_REGISTERS": 16, "REPORT_SLAVE_ID": 17, "READ_FILE_RECORD": 20, "WRITE_FILE_RECORD": 21,
    "MASK_WRITE_REGISTER": 22, "READ_WRITE_MULTIPLE_REGISTERS": 23, "READ_FIFO_QUEUE": 24,
    "ENCAP_INTERFACE_TRANSPORT": 43,
}  # fmt: skip
"""Zeek's names, for the codes on the wire."""


def code(name: str) -> int:
    """Of a name as logged: `unknown-156` is 28 with the exception bit, and so is `READ_COILS_EXCEPTION` 1."""
    if name.startswith("unknown-"):
        return int(name.removeprefix("unknown-")) & 0x7F
    return NAMES[name.removesuffix("_EXCEPTION")]


def ends(row: dict[str, str]) -> tuple[str, int, str, int]:
    return row["id.orig_h"], int(row["id.orig_p"]), row["id.resp_h"], int(row["id.resp_p"])


def sides(record: dict[str, Any]) -> tuple[str, int, str, int]:
    client, server = (record["src"], record["dst"])[:: 1 if record["from_client"] else -1]
    return (*client, *server)


# Frames that otmon reads as Modbus and Zeek's log of fuzz-72 lacks: behind holes Zeek skips what it cannot align.
ZEEK_LACKS = {"fuzz-72.pcap": {16, 17, 18, 22, 25, 26, 27, 32, 36}}
# What Zeek's log has and otmon does not: 38 is the beginning of 37 bytes of which 12 were captured.
OTMON_LACKS = {"fuzz-72.pcap": [(0, 0, 38, "REQ")]}


@pytest.mark.parametrize(
    ("name", "baseline"),
    [("fuzz-72.pcap", "exception_handling"), ("modbus-and-non-modbus-p502.pcap", "modbus_and_non_modbus_on_port_502")],
)
def test_modbus_log(name: str, baseline: str) -> None:
    rows = zeek(BASELINES / f"scripts.base.protocols.modbus.{baseline}" / "modbus.log")
    theirs = Counter((int(row["tid"]), int(row["unit"]), code(row["func"]), row["pdu_type"]) for row in rows)
    ours = Counter(
        (r["modbus"]["transaction_id"], r["unit"], r["function_code"], "REQ" if r["kind"] == "request" else "RESP")
        for r in seen(name).of("modbus")
        if r["frames"][-1][1] not in ZEEK_LACKS.get(name, set())
    )
    assert ours == theirs - Counter(OTMON_LACKS.get(name, []))


LINE = re.compile(
    r"(\d+) modbus_message, \[orig_h=([\d.]+), orig_p=(\d+)/tcp, resp_h=([\d.]+), resp_p=(\d+)/tcp, .*?\], "
    r"\[tid=(\w+), pid=0, uid=(\d+), function_code=(\w+), len=(\d+)\], ([TF])"
)


def events(path: Path) -> list[tuple[str, ...]]:
    """The groups of each `modbus_message` event, one for each time it came."""
    if not path.exists():
        pytest.skip(f"no {path}")
    found = [match.groups() for match in map(LINE.match, path.read_text().splitlines()) if match]
    assert found
    return [groups[1:] for groups in found for _ in range(int(groups[0]))]


@pytest.mark.parametrize(("name", "which"), [("modbusBig.pcap", "big"), ("modbusSmall.pcap", "small")])
def test_modbus_events(name: str, which: str) -> None:
    """Zeek drops the response of frame 3150 in modbusBig, which was captured behind its acknowledgement."""
    theirs = Counter(
        (int(tid), int(unit), int(function), is_orig == "T")
        for *_, tid, unit, function, _, is_orig in events(
            BASELINES / f"scripts.base.protocols.modbus.coil_parsing_{which}" / "output"
        )
    )
    ours = Counter(
        (r["modbus"]["transaction_id"], r["unit"], r["function_code"], r["from_client"])
        for r in seen(name).of("modbus")
        if (name, r["frames"][-1][1]) != ("modbusBig.pcap", 3150)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "ports"), [("modbus_test_data_part1.pcap", {2578, 2579, 3082}), ("modbus-eit.pcap", {54297, 54298})]
)
def test_modbus_messages_of_a_connection(name: str, ports: set[int]) -> None:
    """Units and sides; transactions, functions and numbers of times are masked in this baseline."""
    path = BASELINES / "scripts.base.protocols.modbus.events" / "compressed-output"
    theirs = {
        (int(port), int(unit), is_orig == "T")
        for _, port, _, _, _, unit, _, _, is_orig in events(path)
        if int(port) in ports
    }
    ours = set()
    for record in seen(name).of("modbus"):
        # Of malformed messages there is no unit; Zeek shows the header's.
        unit = record["unit"] if record["unit"] is not None else int(record["modbus"]["raw"][12:14], 16)
        ours.add((record["src" if record["from_client"] else "dst"][1], unit, record["from_client"]))
    assert ours == theirs


def vector(text: str) -> list[int] | None:
    return None if text == "-" else list(map(int, text.split(",")))


def test_modbus_detailed() -> None:
    """Address, quantity and values of each exchange, as icsnpp-modbus pairs them."""
    rows = zeek(MODBUS / "modbus_detailed.log")
    records = {record["n"]: record for record in seen("modbus_example.pcap").of("modbus")}
    exchanges = {
        (*sides(r), str(r["modbus"]["transaction_id"])): (records[r["request_n"]], r)
        for r in records.values()
        if r["request_n"]
    }
    compared = 0
    for row in rows:
        request, response = exchanges[*ends(row), row["tid"]]
        assert (request["unit"], request["function_code"]) == (int(row["unit"]), code(row["func"]))
        body, answer = request["modbus"], response["modbus"]
        if row["address"] not in ("-", "0") and "address" in body:
            assert body["address"] == int(row["address"])
        if row["quantity"] not in ("-", "0") and request["function_code"] not in (5, 6):
            assert body["quantity"] == int(row["quantity"])
        for message, column in ((body, "request_values"), (answer, "response_values")):
            wanted = vector(row[column])
            if wanted is not None:
                assert list(map(int, message["values"])) == wanted
                compared += 1
        assert (row["exception_code"] != "-") == ("exception_code" in answer)
        if "exception_code" in answer:
            assert answer["exception"].upper() == row["exception_code"]
    assert compared == sum(row[f"{side}_values"] != "-" for row in rows for side in ("request", "response"))


def test_modbus_rewrites() -> None:
    """Masks, and what is written and read by function 23."""
    by_id = {
        (*sides(r), str(r["modbus"]["transaction_id"]), r["kind"].upper()): r["modbus"]
        for r in seen("modbus_example.pcap").of("modbus")
    }
    for row in zeek(MODBUS / "modbus_mask_write_register.log"):
        body = by_id[*ends(row), row["tid"], row["request_response"]]
        assert (body["address"], body["and_mask"], body["or_mask"]) == tuple(
            int(row[column]) for column in ("address", "and_mask", "or_mask")
        )
    for row in zeek(MODBUS / "modbus_read_write_multiple_registers.log"):
        body = by_id[*ends(row), row["tid"], row["request_response"]]
        if row["request_response"] == "REQUEST":
            assert body["write_values"] == vector(row["write_registers"])
            assert (body["write_address"], body["address"], body["quantity"]) == tuple(
                int(row[column]) for column in ("write_start_address", "read_start_address", "read_quantity")
            )
        else:
            assert body["values"] == vector(row["read_registers"])


def test_dnp3_replies() -> None:
    """Replies of each connection with their indications; Zeek too reads those that tshark loses (test_dnp3.py)."""
    theirs = Counter((ends(row), row["fc_reply"], int(row["iin"])) for row in zeek(DNP3 / "dnp3.log"))
    names = {129: "RESPONSE", 130: "UNSOLICITED_RESPONSE"}
    ours = Counter(
        (sides(r), names[r["function_code"]], (r["dnp3"]["iin_raw"] & 255) << 8 | r["dnp3"]["iin_raw"] >> 8)
        for r in seen("dnp3_example.pcap").of("dnp3")
        if r["function_code"] in names
    )
    assert ours == theirs


def test_dnp3_controls() -> None:
    """Who sent which control to which index, and the status that came back."""
    theirs = Counter(
        (
            row["source_h"],
            int(row["source_p"]),
            row["function_code"],
            int(row["index_number"]),
            row["status_code"].lower(),
        )
        for row in zeek(DNP3 / "dnp3_control.log")
    )
    ours = Counter(
        (*r["src"], r["function"].upper(), point["index"], point["status_name"] if r["kind"] == "response" else "-")
        for r in seen("dnp3_example.pcap").of("dnp3")
        for header in r["dnp3"].get("objects", ())
        if header["group"] == 12
        for point in header.get("points", ())
    )
    assert ours == theirs


S7_LOGS = [("snap7.pcap", "snap7"), ("s7ident.pcap", "s7ident"), ("s7comm_plus.pcap", "s7comm_plus")]


@pytest.mark.parametrize(("name", "log"), S7_LOGS)
def test_cotp_units(name: str, log: str) -> None:
    kinds = {"cotp_connect_request": "0x0e", "cotp_connect_confirm": "0x0d"}
    rows = zeek(S7 / f"analyzer.{log}" / "cotp.log")
    ours = [(r["src"][0], str(r["src"][1]), kinds.get(r["function"], "0x0f")) for r in seen(name).of("s7comm")]
    assert ours == [(row["source_h"], row["source_p"], row["pdu_code"]) for row in rows]


@pytest.mark.parametrize(("name", "log"), S7_LOGS)
def test_s7_messages(name: str, log: str) -> None:
    """Sender, rosctr, reference and function, in order."""
    ours = []
    for record in seen(name).of("s7comm"):
        body, kind = record["s7comm"], record["kind"]
        # Zeek leaves out acknowledgements without a parameter, and of a list in parts the answer that announces more
        # and the request for it.
        later = body.get("last_data_unit") is False or (kind == "request" and "data_unit" in body)
        if "rosctr" not in record or record["rosctr"] == 2 or later:
            continue
        function = record["function_code"]
        if record["rosctr"] == 7:
            function = {"request": 0x40, "response": 0x80}[kind] | int(record["userdata"].split("/")[0])
        # Zeek reads the reference little-endian.
        reference = int.from_bytes(body["pdu_reference"].to_bytes(2, "big"), "little")
        ours.append((*map(str, record["src"]), str(record["rosctr"]), str(reference), f"0x{function:02x}"))
    columns = ("source_h", "source_p", "rosctr_code", "pdu_reference", "function_code")
    rows = zeek(S7 / f"analyzer.{log}" / "s7comm.log")
    assert ours == [tuple(row[column] for column in columns) for row in rows]


def test_s7_uploads() -> None:
    """Steps of five uploads: session, file, length. Zeek knows the block by its type; file names carry both."""
    rows = zeek(S7 / "analyzer.snap7" / "s7comm_upload_download.log")
    steps = ("start_upload", "upload", "end_upload")
    ours = [r for r in seen("snap7.pcap").of("s7comm") if r["function"] in steps and r["rosctr"] != 2]
    assert len(ours) == len(rows)
    for record, row in zip(ours, rows, strict=True):
        body = record["s7comm"]
        assert record["function"] == row["function_name"].lower().replace(" ", "_")
        assert body.get("file", "-") == row["filename"]
        if row["session_id"] != "-" and "upload_id" in body:
            assert body["upload_id"] == int(row["session_id"])
        if record["function"] == "start_upload" and record["kind"] == "response":
            assert body["block_bytes"] == int(row["blocklength"])
