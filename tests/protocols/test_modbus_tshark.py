"""Functions, addresses, quantities and values of every Modbus capture, beside Wireshark's dissector.

Both sides look at single segments (tshark without reassembly and sequence analysis), so that frames compare one by one.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from otmon.model import Malformed, Message
from otmon.protocols.modbus import MODBUS
from otmon.text import safe_text
from otmon.wire.contract import OUT_FROM_CLIENT, OUT_SIZE, OUT_WORDS
from tests.protocols.segments import CAPTURES, segments

FIELDS = {
    "transaction": "mbtcp.trans_id",
    "unit": "mbtcp.unit_id",
    "code": "modbus.func_code",
    "exception": "modbus.exception_code",
    "address": "modbus.reference_num",
    "read_address": "modbus.read_reference_num",
    "write_address": "modbus.write_reference_num",
    "words": "modbus.word_cnt",
    "bits": "modbus.bit_cnt",
    "registers": "modbus.regval_uint16",
    "coils": "modbus.bitval",
    "and_mask": "modbus.and_mask",
    "or_mask": "modbus.or_mask",
    "diagnostic": "modbus.diagnostic_code",
    "data": "modbus.data",
    "object": "modbus.object_str_value",
}
# Frames that tshark dissects and otmon calls malformed, and why otmon is right.
MALFORMED = {
    # Exceptions and a 43/14 request of a byte too many.
    "modbus_test_data_part1.pcap": {32, 34, 91, 93, 95, 97, 99, 101, 103, 105, 107, 109},
    # A fuzzer's requests, zeros behind functions that take no data.
    "modbus_test_data_part2.pcap": {22, 35, 37, 50, 57, 60, 62, 64, 66},
    # 43/14 response with no objects and four bytes more.
    "modbus-eit.pcap": {2},
    # 23 with a byte count of 253 of which 239 are there.
    "4SICS-GeekLounge-151022-min.pcap": {1},
}
NAMES = [
    "modbus_test_2.pcap",
    "channel_4d_12s.pcap",
    "characterization_modbus_6RTU_with_operate.pcap",
    "send_a_fake_command_modbus_6RTU_with_operate.pcap",
    "modbus_example.pcap",
    "modbus_test_data_part1.pcap",
    "modbus_test_data_part2.pcap",
    "modicon_test.pcap",
    "4SICS-GeekLounge-151022-min.pcap",
    "fuzz-72.pcap",
    "modbus-and-non-modbus-p502.pcap",
    "modbus-eit.pcap",
    "modbusBig.pcap",
    "modbusSmall.pcap",
]


def capture(name: str) -> Path:
    if not CAPTURES.is_dir():
        pytest.skip(f"no captures in {CAPTURES}")
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    return next(CAPTURES.rglob(name))


def tshark(path: Path) -> dict[int, list[dict[str, list[str]]]]:
    """Frame number -> for each field its values in the order of the PDUs."""
    fields = [part for name in FIELDS.values() for part in ("-e", name)]
    options = ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"]
    done = subprocess.run(
        [
            "tshark",
            "-r",
            path,
            *options,
            "-Y",
            "modbus",
            "-T",
            "fields",
            "-E",
            "aggregator=|",
            "-e",
            "frame.number",
            *fields,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {}
    for line in done.stdout.splitlines():
        frame, *columns = line.split("\t")
        rows[int(frame)] = {
            name: text.replace("<MISSING>", "").split("|") if text else []
            for name, text in zip(FIELDS, columns, strict=True)
        }
    return rows


def expected(message: Message, row: dict[str, list[str]]) -> None:
    """Add what tshark should show for this message."""
    body, code, request = message.body, message.function_code, message.kind == "request"

    def show(name: str, *values: object) -> None:
        row[name].extend(str(int(value) if isinstance(value, bool) else value) for value in values)

    show("transaction", body["transaction_id"])
    show("unit", message.unit)
    show("code", code)
    if "exception_code" in body:
        show("exception", body["exception_code"])
        return
    if code == 23 and request:
        show("read_address", body["address"])
        show("write_address", body["write_address"])
        show("data", b"".join(v.to_bytes(2, "big") for v in body["write_values"]).hex())
    elif code in (5, 6, 15, 16, 22) or (request and code in (1, 2, 3, 4, 24)):
        show("address", body["address"])
    if code in (1, 2, 15) and (request or code == 15):
        show("bits", body["quantity"])
    if code in (3, 4, 16) and (request or code == 16):
        show("words", body["quantity"])
    if (code in (3, 4) and not request) or (code == 16 and request):
        show("registers", *body["values"])
    if code in (1, 2) and not request:
        show("coils", *body["values"])
    if code == 5:
        show("data", f"{body['raw']:04x}")
    if code == 6:
        show("data", f"{body['values'][0]:04x}")
    if code == 15 and request:
        bits = sum(bit << place for place, bit in enumerate(body["values"]))
        show("data", bits.to_bytes(body["byte_count"], "little").hex())
    if code == 23 and not request:
        show("data", b"".join(v.to_bytes(2, "big") for v in body["values"]).hex())
    if code == 22:
        show("and_mask", f"0x{body['and_mask']:04x}")
        show("or_mask", f"0x{body['or_mask']:04x}")
    if "fifo_count" in body:
        show("words", body["fifo_count"])
    if code == 8:
        show("diagnostic", body["sub_function"])
    if "objects" in body:
        show("object", *(item["value"] for item in body["objects"]))


@pytest.mark.parametrize("name", NAMES)
def test_capture_decodes_as_in_wireshark(name: str) -> None:
    path = capture(name)
    theirs = tshark(path)
    out = np.zeros(OUT_SIZE, np.int64)
    asked: dict[tuple[object, ...], bytes] = {}
    seen, malformed, differences = 0, set(), []
    for segment in segments(path):
        if 502 not in segment.ports or segment.protocol != 6:
            continue
        from_client = segment.ports[1] == 502
        buf, at = np.frombuffer(segment.payload, np.uint8), 0
        mine: dict[str, list[str]] = {field: [] for field in FIELDS}
        messages = []
        while (length := MODBUS.frame(buf, at, len(buf))) > 0 and at + length <= len(buf):
            pdu = segment.payload[at : at + length]
            words = MODBUS.key(buf, at, at + length, int(from_client), out)
            at += length
            where = (*sorted(segment.ports), pdu[:2], pdu[6])
            if from_client:
                asked[where] = pdu
            try:
                message = MODBUS.decode(pdu, from_client, None if from_client else asked.get(where))
            except Malformed:
                assert words == -1
                malformed.add(segment.frame)
                continue
            assert MODBUS.operations(out[OUT_WORDS : OUT_WORDS + words].tolist()) == message.ops
            assert out[OUT_FROM_CLIENT] in (-1, from_client)
            messages.append(message)
            expected(message, mine)
        if segment.frame in malformed or not messages:
            continue
        seen += len(messages)
        row = theirs.get(segment.frame, {field: [] for field in FIELDS})
        row["object"] = [safe_text(text) for text in row["object"]]
        for field, values in row.items():
            if field == "data" and {m.function_code for m in messages} - {5, 6, 15, 23}:
                continue  # tshark shows as data whatever it has no field for
            if values != mine[field]:
                differences.append((segment.frame, field, values, mine[field]))
    assert malformed == MALFORMED.get(name, set())
    assert not differences, f"{name}: {len(differences)} differ (frame, field, tshark, otmon): {differences[:8]}"
    assert seen
