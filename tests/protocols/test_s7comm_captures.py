"""S7 of real captures beside tshark and Zeek's icsnpp-s7comm; and what is not S7."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from otmon.model import Message
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import (
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_TOKEN,
    OUT_WORDS,
)
from tests.protocols.s7_streams import CAPTURES, FILES, Pdu, key, pdus, tcp, units

KINDS = {"request": KIND_REQUEST, "response": KIND_RESPONSE, "unsolicited": KIND_UNSOLICITED, "link": KIND_LINK}
ORACLE = CAPTURES / "cisagov__icsnpp-s7comm" / "oracle"


def messages(name: str) -> Iterator[tuple[Pdu, Message]]:
    """Everything in a capture, responses decoded with their request."""
    if not FILES[name].exists():
        pytest.skip(f"no {FILES[name]}")
    pending = {}
    for pdu in pdus(FILES[name]):
        request = None
        _, out = key(pdu.data)
        match = int(out[OUT_TOKEN]), int(out[OUT_REPLY_KEY])
        if out[OUT_KIND] == KIND_REQUEST:
            pending[pdu.flow, match] = pdu.data
        elif out[OUT_KIND] == KIND_RESPONSE:
            source, destination, *ports = pdu.flow
            request = pending.pop(((destination, source, ports[1], ports[0]), match))
        yield pdu, S7COMM.decode(pdu.data, pdu.flow[3] == 102, request)


def tshark(name: str, *fields: str) -> list[list[str]]:
    """Rows of the frames in which tshark sees S7comm."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark")
    if not FILES[name].exists():
        pytest.skip(f"no {FILES[name]}")
    arguments = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-r", str(FILES[name]), "-Y", "s7comm", "-T", "fields", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", FILES)
def test_key_and_decoder_agree(name: str) -> None:
    seen = 0
    for pdu, message in messages(name):
        client = pdu.flow[3] == 102
        count, out = key(pdu.data, client)
        assert S7COMM.operations(out[OUT_WORDS : OUT_WORDS + count].tolist()) == message.ops
        assert out[OUT_KIND] == KINDS[message.kind]
        assert out[OUT_EVIDENCE] == 2 or message.kind == "link"
        # Whoever called port 102 is the client in all of these captures.
        assert out[OUT_FROM_CLIENT] in (-1, client)
        assert bool(message.ops) == (message.kind != "link")
        seen += 1
    assert seen > 1


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("plus_v2", "plus_modbus")])
def test_functions_are_those_of_tshark(name: str) -> None:
    theirs = [
        (int(frame), int(rosctr), int(reference), int(function, 16) if function else None, userdata(*rest))
        for frame, rosctr, reference, function, *rest in tshark(
            name,
            "frame.number",
            "s7comm.header.rosctr",
            "s7comm.header.pduref",
            "s7comm.param.func",
            "s7comm.param.userdata.type",
            "s7comm.param.userdata.funcgroup",
            "s7comm.param.userdata.subfunc",
        )
    ]
    ours, slots = [], Counter()
    for pdu, message in messages(name):
        if "rosctr" not in message.extra:
            continue
        kind = {"request": 4, "response": 8, "unsolicited": 0}[message.kind]
        group = message.extra.get("userdata")
        ours.append(
            (
                pdu.frame,
                message.extra["rosctr"],
                message.body["pdu_reference"],
                message.function_code,
                f"{kind} {group}" if group else None,
            )
        )
        _, out = key(pdu.data)
        slots[S7COMM.class_names(int(out[OUT_CLASS]))] += 1
        if out[OUT_FUNC] >= 0:
            slots[S7COMM.count_names(int(out[OUT_FUNC]))[:2]] += 1
    assert ours == theirs
    expected: Counter[tuple[str, str]] = Counter()
    for _, rosctr, _, function, group in theirs:
        expected["rosctr", str(rosctr)] += 1
        if group is not None:
            expected["userdata", group.split()[1]] += 1
        elif function is not None:
            expected["functions", str(function)] += 1
    assert slots == expected


def userdata(kind: str, group: str, subfunction: str) -> str | None:
    return f"{int(kind)} {int(group)}/{int(subfunction)}" if kind else None


def numbers(field: str) -> list[int]:
    return [int(number, 0) for number in field.split(",") if number]


@pytest.mark.parametrize("name", ["snap7", "s7ident", "plus_v3", "bench", "wincc"])
def test_items_are_those_of_tshark(name: str) -> None:
    wanted = [
        "s7comm.param.item.area",
        "s7comm.param.item.db",
        "s7comm.param.item.length",
        "s7comm.param.item.address",
        "s7comm.param.item.transp_size",
        "s7comm.param.item.dbread.db",
        "s7comm.param.item.dbread.length",
        "s7comm.param.item.dbread.startaddress",
    ]
    rows = tshark(name, "frame.number", "s7comm.header.rosctr", *wanted)
    theirs = {int(row[0]): [numbers(cell) for cell in row[2:]] for row in rows if any(row[2:])}
    ours = {}
    for pdu, message in messages(name):
        items = message.body.get("items", []) if message.kind == "request" else []
        plain = [item for item in items if item["syntax"] == "s7any"]
        areas = [area for item in items if item["syntax"] == "db_read" for area in item["areas"]]
        if not plain and not areas:
            continue
        ours[pdu.frame] = [
            [item["area_raw"] for item in plain],
            [item["db"] for item in plain],
            [item["count"] for item in plain],
            [item["address"] if item["bit"] is None else item["address"] << 3 | item["bit"] for item in plain],
            [item["transport_raw"] for item in plain],
            [area["db"] for area in areas],
            [area["length"] for area in areas],
            [area["address"] for area in areas],
        ]
    # Indications of the PLC carry items of other syntaxes: tshark shows nothing of these fields there either.
    assert ours == theirs
    assert ours


@pytest.mark.parametrize("name", ["snap7", "s7ident", "plus_v3", "bench"])
def test_values_and_return_codes_are_those_of_tshark(name: str) -> None:
    rows = tshark(name, "frame.number", "s7comm.param.func", "s7comm.data.returncode", "s7comm.resp.data")
    theirs = {
        int(frame): (codes.split(","), [value for value in values.split(",") if value])
        for frame, function, codes, values in rows
        if function in ("0x04", "0x05") and codes
    }
    ours = {}
    for pdu, message in messages(name):
        if message.function_code not in (4, 5):
            continue
        items = message.body["items"]
        if message.kind == "request":
            items = [item["written"] for item in items if "written" in item]
        if items:
            codes = [f"0x{item['return_code']:02x}" for item in items]
            ours[pdu.frame] = codes, [item["raw"] for item in items if item.get("raw")]
    assert ours == theirs
    assert ours


def test_services_blocks_and_szl_are_those_of_tshark() -> None:
    fields = [
        "s7comm.param.blockcontrol.filename",
        "s7comm.param.pistart.servicename",
        "s7comm.param.pistart.argument",
        "s7comm.data.userdata.szl_id",
        "s7comm.data.userdata.szl_index",
    ]
    theirs = {int(row[0]): row[1:] for row in tshark("snap7", "frame.number", *fields)}
    for pdu, message in messages("snap7"):
        file, service, argument, szl_id, szl_index = theirs[pdu.frame]
        body = message.body
        if message.kind == "request":
            assert body.get("file", "") == file
            assert body.get("argument", "").strip() == argument.strip()
        if "service" in body:
            assert body["service"] == service
        # tshark shows a list that came in parts with its last one.
        if "szl_id" in body and body.get("last_data_unit", True):
            assert body["szl_id"] == int(szl_id, 16)
            assert body["szl_index"] == int(szl_index.split(",")[0], 16)


def zeek(capture: str, log: str) -> list[dict[str, str]]:
    path = ORACLE / f"analyzer.{capture}" / f"{log}.log"
    if not path.exists():
        pytest.skip(f"no {path}")
    lines = path.read_text().splitlines()
    names = next(line.split("\t")[1:] for line in lines if line.startswith("#fields"))
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("name", "log"), [("snap7", "snap7"), ("s7ident", "s7ident"), ("plus_v3", "s7comm_plus")])
def test_functions_are_those_of_zeek(name: str, log: str) -> None:
    ours = []
    for _, message in messages(name):
        body, extra = message.body, message.extra
        if "rosctr" not in extra:
            continue
        # Zeek leaves out acknowledgements without a parameter, and of a list in parts the answer that announces more
        # and the request for it.
        later = body.get("last_data_unit") is False or (message.kind == "request" and "data_unit" in body)
        if extra["rosctr"] == 2 or later:
            continue
        function, sub, error = message.function_code, "-", "-"
        if extra["rosctr"] == 7:
            group, number = map(int, extra["userdata"].split("/"))
            function, sub = {"request": 0x40, "response": 0x80}[message.kind] | group, f"0x{number:02x}"
            if message.kind == "response":
                error = f"0x{body['error_code']:02x}"
        elif extra["rosctr"] == 1:
            sub = body["service"] if function == 0x28 else "-"
        else:
            error = f"0x{body['error_code']:02x}"
        # Zeek reads the reference little-endian.
        reference = int.from_bytes(body["pdu_reference"].to_bytes(2, "big"), "little")
        ours.append((str(extra["rosctr"]), str(reference), f"0x{function:02x}", sub, error))
    columns = ("rosctr_code", "pdu_reference", "function_code", "subfunction_code", "error_code")
    assert ours == [tuple(row[column] for column in columns) for row in zeek(log, "s7comm")]


def test_plus_is_that_of_zeek() -> None:
    ours = [
        (str(plus["version"]), f"0x{plus['opcode']:02x}", "-" if code is None else f"0x{code:04x}")
        for _, message in messages("plus_v3")
        if (plus := message.extra.get("s7comm_plus"))
        for code in [plus["function_code"]]
    ]
    rows = zeek("s7comm_plus", "s7comm_plus")
    assert ours == [(row["version"], row["opcode"], row["function_code"]) for row in rows]


@pytest.mark.parametrize(("name", "versions"), [("plus_v2", {"1": 2, "2": 86}), ("plus_modbus", {"2": 1139})])
def test_plus_versions(name: str, versions: dict[str, int]) -> None:
    """As in MANIFEST.tsv, which counted 0x72 and the byte behind it."""
    seen = Counter(
        S7COMM.class_names(int(out[OUT_CLASS]))
        for pdu, _ in messages(name)
        for _, out in [key(pdu.data)]
        if out[OUT_CLASS] >= 0
    )
    assert seen == {("s7comm_plus", version): count for version, count in versions.items()}


def test_identity_is_that_of_zeek() -> None:
    row = zeek("s7ident", "s7comm_known_devices")[0]
    told = {pair[:2] for _, message in messages("s7ident") for pair in S7COMM.identity(message)}
    assert told >= {
        ("name", row["automation_system_name"]),
        ("module_name", row["module_name"]),
        ("serial", row["module_serial"]),
        ("order_code", "6ES7 315-2EH14-0AB0"),
        ("firmware", "V3.2.6"),
        ("vendor", "Siemens AG"),
    }


def test_remote_desktop_is_no_s7() -> None:
    """TPKT and COTP carry RDP as well: framed alike, but nothing in it is evidence."""
    path = CAPTURES / "zeek__zeek" / "rdp-proprietary-encryption.pcap"
    if not path.exists():
        pytest.skip(f"no {path}")
    seen = [(key(pdu.data), pdu) for pdu in pdus(path, 3389)]
    assert len(seen) > 50
    assert all(out[OUT_EVIDENCE] == 0 for (_, out), _ in seen)
    assert sum(count < 0 for (count, _), _ in seen) > 50


@pytest.mark.parametrize("name", [name for name in FILES if name != "bench"])
def test_framing_loses_nothing(name: str) -> None:
    if not FILES[name].exists():
        pytest.skip(f"no {FILES[name]}")
    covered: dict[tuple[bytes, bytes, int, int], set[int]] = {}
    for _, flow, sequence, data in tcp(FILES[name]):
        if 102 in flow[2:]:
            covered.setdefault(flow, set()).update(range(sequence, sequence + len(data)))
    # A keep-alive at the very start of a direction is a byte of an earlier segment.
    stray = 1 if name == "plus_v3" else 0
    assert sum(len(unit.data) for unit in units(FILES[name])) == sum(map(len, covered.values())) - stray
