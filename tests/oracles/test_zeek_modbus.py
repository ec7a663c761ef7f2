"""Modbus beside Zeek's logs and events, and those of CISA's icsnpp-modbus: every column."""

import re
from collections import Counter
from typing import Any

import pytest

from tests.oracles.logs import NEITHER, Log, Record, conn, ends, sender
from tests.protocols.segments import CAPTURES
from tests.verify.captures import seen

ZEEK = "zeek__zeek/oracle/scripts.base.protocols.modbus"
ICSNPP = "cisagov__icsnpp-modbus/oracle/analyzer.basic"

NAMES = {
    1: "READ_COILS", 2: "READ_DISCRETE_INPUTS", 3: "READ_HOLDING_REGISTERS", 4: "READ_INPUT_REGISTERS",
    5: "WRITE_SINGLE_COIL", 6: "WRITE_SINGLE_REGISTER", 7: "READ_EXCEPTION_STATUS", 8: "DIAGNOSTICS",
    11: "GET_COMM_EVENT_COUNTER", 12: "GET_COMM_EVENT_LOG", 15: "WRITE_MULTIPLE_COILS",
    16: "WRITE_MULTIPLE_REGISTERS", 17: "REPORT_SLAVE_ID", 20: "READ_FILE_RECORD", 21: "WRITE_FILE_RECORD",
    22: "MASK_WRITE_REGISTER", 23: "READ_WRITE_MULTIPLE_REGISTERS", 24: "READ_FIFO_QUEUE",
    43: "ENCAP_INTERFACE_TRANSPORT",
}  # fmt: skip
"""Zeek's names of functions."""
PAIRED_ELSEWHERE = (22, 23, 43)
"""Functions of which icsnpp-modbus logs the contents in other files."""
UNPAIRED = (7, 17)
"""Functions whose messages it logs one by one, without contents."""


def refused(record: Record) -> bool:
    return "exception_code" in record["modbus"]


def name(record: Record) -> str:
    """Zeek's name, also of codes that have none and of exceptions."""
    code = record["function_code"]
    if code not in NAMES:
        return f"unknown-{code | 128 if refused(record) else code}"
    return NAMES[code] + "_EXCEPTION" * refused(record)


def exception(record: Record) -> str | None:
    return record["modbus"]["exception"].upper() if refused(record) else None


# What Zeek's log of fuzz-72 lacks: behind holes it skips what it cannot align.
ZEEK_LACKS = {16, 17, 18, 22, 25, 26, 27, 32, 36}
# What it has and otmon does not: 38 is the beginning of 37 bytes of which 12 were captured.
OTMON_LACKS = ("unknown-38", "REQ")
MODBUS_LOG = {
    **conn(),
    "tid": lambda record: record["modbus"]["transaction_id"],
    "unit": lambda record: record["unit"],
    "func": name,
    "pdu_type": lambda record: "REQ" if record["kind"] == "request" else "RESP",
    "exception": exception,
}


@pytest.mark.parametrize(
    ("capture", "baseline", "lacks"),
    [
        ("fuzz-72.pcap", "exception_handling", ZEEK_LACKS),
        ("modbus-and-non-modbus-p502.pcap", "modbus_and_non_modbus_on_port_502", set()),
    ],
)
def test_modbus_log(capture: str, baseline: str, lacks: set[int]) -> None:
    log = Log(f"{ZEEK}.{baseline}/modbus.log", MODBUS_LOG, NEITHER)
    ours = log.ours(r for r in seen(capture).of("modbus") if r["frames"][-1][1] not in lacks)
    theirs = Counter({row: n for row, n in log.theirs().items() if row[6:8] != OTMON_LACKS})
    assert ours == theirs


EVENT = re.compile(
    r"(?:(\d+) )?(modbus_\w+), \[orig_h=([\d.]+), orig_p=(\d+)/tcp, resp_h=([\d.]+), resp_p=(\d+)/tcp, .*?\], "
    r"\[tid=(\w+), pid=0, uid=(\d+), function_code=(\w+), len=(\d+)\](?:, (.*))?"
)


def events(path: str) -> list[tuple[str, ...]]:
    """The groups of each event, one for each time it came."""
    if not (CAPTURES / path).exists():
        pytest.skip(f"no {path}")
    lines = (CAPTURES / path).read_text().splitlines()
    found = [match.groups() for match in map(EVENT.match, lines) if match]
    assert len(found) == sum(not line.startswith("#") for line in lines)
    return [groups[1:] for groups in found for _ in range(int(groups[0] or 1))]


def bits(values: list[int]) -> str:
    return f"[{', '.join('FT'[value] for value in values)}]"


def arguments(record: Record) -> str | None:
    """Of the event of a message, what stands behind the headers; None if there is no such event."""
    body, code, asked = record["modbus"], record["function_code"], record["kind"] == "request"
    if refused(record):
        return str(body["exception_code"])
    if code in (1, 2, 3, 4) and asked:
        return f"{body['address']}, {body['quantity']}"
    if code in (1, 2):
        # Zeek pads to whole bytes.
        return bits(body["values"] + [0] * (-len(body["values"]) % 8))
    if code in (3, 4):
        return str(body["values"])
    if code == 5:
        return f"{body['address']}, {'FT'[body['values'][0]]}"
    if code == 6:
        return f"{body['address']}, {body['values'][0]}"
    if code == 15 and asked:
        return f"{body['address']}, {bits(body['values'])}"
    if code in (15, 16) and not asked:
        return f"{body['address']}, {body['quantity']}"
    return None


@pytest.mark.parametrize(("capture", "which"), [("modbusBig.pcap", "big"), ("modbusSmall.pcap", "small")])
def test_modbus_events(capture: str, which: str) -> None:
    """Zeek drops the response of frame 3150 in modbusBig, which was captured behind its acknowledgement."""
    ours: Counter[tuple[str, ...]] = Counter()
    for record in seen(capture).of("modbus"):
        if (capture, record["frames"][-1][1]) == ("modbusBig.pcap", 3150):
            continue
        head = (*map(str, ends(record)), str(record["modbus"]["transaction_id"]), str(record["unit"]))
        head = (*head, str(record["function_code"]))
        ours["modbus_message", *head, "T" if record["from_client"] else "F"] += 1
        ours[f"modbus_{NAMES[record['function_code']].lower()}_{record['kind']}", *head, arguments(record) or ""] += 1
    theirs = Counter((event, *head, said) for event, *head, _, said in events(f"{ZEEK}.coil_parsing_{which}/output"))
    assert ours == theirs


@pytest.mark.parametrize(
    ("capture", "ports"), [("modbus_test_data_part1.pcap", {2578, 2579, 3082}), ("modbus-eit.pcap", {54297, 54298})]
)
def test_modbus_messages_of_a_connection(capture: str, ports: set[int]) -> None:
    """Units and sides; transactions, functions and numbers of times are masked in this baseline."""
    theirs = {
        (int(port), int(unit), said == "T")
        for event, _, port, _, _, _, unit, _, _, said in events(f"{ZEEK}.events/compressed-output")
        if event == "modbus_message" and int(port) in ports
    }
    ours = set()
    for record in seen(capture).of("modbus"):
        # Of malformed messages there is no unit; Zeek shows the header's.
        unit = record["unit"] if record["unit"] is not None else int(record["modbus"]["raw"][12:14], 16)
        ours.add((record["src" if record["from_client"] else "dst"][1], unit, record["from_client"]))
    assert ours == theirs


Exchange = tuple[Record, Record | None]


def exchanges() -> list[Exchange]:
    """Requests with their responses, as icsnpp-modbus logs them."""
    records = {record["n"]: record for record in seen("modbus_example.pcap").of("modbus")}
    found: list[Exchange] = []
    for record in records.values():
        if record["function_code"] in UNPAIRED:
            found.append((record, None))
        elif record["request_n"]:
            found.append((records[record["request_n"]], record))
    return found


def of_request(column: str) -> Any:
    def take(pair: Exchange) -> object:
        request, code = pair[0], pair[0]["function_code"]
        if (code in PAIRED_ELSEWHERE and (code, column) != (22, "address")) or code in UNPAIRED:
            return None
        return request["modbus"].get(column)

    return take


def quantity(pair: Exchange) -> object:
    # Of file records and queues it logs 0: it does not parse them.
    code = pair[0]["function_code"]
    return 0 if code in (20, 21, 24) else None if code in (22, 23) else pair[0]["modbus"].get("quantity")


def diagnostic(side: int, what: str) -> Any:
    def take(pair: Exchange) -> object:
        message = pair[side]
        if message is None or message["function_code"] != 8:
            return None
        if what == "data":
            return "".join(f"\\x{byte:02x}" for byte in bytes.fromhex(message["modbus"]["data"]))
        return {2: "Return Diagnostic Register"}[message["modbus"]["sub_function"]]

    return take


def response_values(pair: Exchange) -> object:
    request, response = pair
    if response is None or request["function_code"] not in (1, 2, 3, 4, 5, 6):
        return None
    return response["modbus"].get("values")


def response_data(pair: Exchange) -> object:
    """Bits behind the quantity that was asked for; of diagnostics the data."""
    request, response = pair
    if response is not None and request["function_code"] in (1, 2) and not refused(response):
        return [0] * (-len(response["modbus"]["values"]) % 8)
    return diagnostic(1, "data")(pair)


DETAILED = Log(
    f"{ICSNPP}/modbus_detailed.log",
    {
        **{column: (lambda pair, take=take: take(pair[0])) for column, take in conn().items()},
        "tid": lambda pair: pair[0]["modbus"]["transaction_id"],
        "unit": lambda pair: pair[0]["unit"],
        "func": lambda pair: NAMES[pair[0]["function_code"]],
        "address": lambda pair: 0 if pair[0]["function_code"] == 24 else of_request("address")(pair),
        "quantity": quantity,
        "request_values": lambda pair: None if pair[0]["function_code"] == 8 else of_request("values")(pair),
        "response_values": response_values,
        "matched": lambda pair: pair[1] is not None or None,
        "request_subfunction_code": diagnostic(0, "name"),
        "response_subfunction_code": diagnostic(1, "name"),
        "request_data": diagnostic(0, "data"),
        "response_data": response_data,
        "exception_code": lambda pair: pair[1] and exception(pair[1]),
        "mei_type": lambda pair: {14: "Read Device Identification"}.get(pair[0]["modbus"].get("mei_type")),
    },
    NEITHER | {"modbus_detailed_link_id": "made up by Zeek"},
)


def test_modbus_detailed() -> None:
    assert DETAILED.ours(exchanges()) == DETAILED.theirs()


def rewrites(code: int) -> list[Record]:
    return [record for record in seen("modbus_example.pcap").of("modbus") if record["function_code"] == code]


HEAD = {
    **conn(),
    **sender(),
    "tid": lambda record: record["modbus"]["transaction_id"],
    "unit": lambda record: record["unit"],
    "func": name,
    "request_response": lambda record: record["kind"].upper(),
}
MADE_UP = NEITHER | {"modbus_detailed_link_id": "made up by Zeek"}


def asked(column: str) -> Any:
    return lambda record: record["modbus"][column] if record["kind"] == "request" else None


def test_masked_writes() -> None:
    columns = {column: (lambda record, c=column: record["modbus"][c]) for column in ("address", "and_mask", "or_mask")}
    log = Log(f"{ICSNPP}/modbus_mask_write_register.log", HEAD | columns, MADE_UP)
    assert log.ours(rewrites(22)) == log.theirs()


def test_reads_and_writes_in_one() -> None:
    columns = {
        "write_start_address": asked("write_address"),
        "write_registers": asked("write_values"),
        "read_start_address": asked("address"),
        "read_quantity": asked("quantity"),
        "read_registers": lambda record: record["modbus"]["values"] if record["kind"] == "response" else None,
    }
    log = Log(f"{ICSNPP}/modbus_read_write_multiple_registers.log", HEAD | columns, MADE_UP)
    assert log.ours(rewrites(23)) == log.theirs()


def test_modbus_log_of_icsnpp() -> None:
    """One row a response; this baseline has no header: time, uid, ends, function, exception."""
    path = CAPTURES / ICSNPP / "modbus.log"
    if not path.exists():
        pytest.skip(f"no {path}")
    theirs = Counter(tuple(line.split("\t")[2:]) for line in path.read_text().splitlines() if line[0] != "#")
    log = Log("", {**conn(), "func": name, "exception": exception}, {})
    assert log.ours(r for r in seen("modbus_example.pcap").of("modbus") if r["kind"] == "response") == theirs
