"""S7 beside the logs of CISA's icsnpp-s7comm: every column."""

from collections.abc import Callable
from typing import Any

import pytest

from otmon.protocols.s7comm import S7COMM
from tests.oracles.logs import NEITHER, Log, Record, conn, sender
from tests.verify.captures import message, seen

S7 = "cisagov__icsnpp-s7comm/oracle/analyzer"
LOGS = [("snap7.pcap", "snap7"), ("s7ident.pcap", "s7ident"), ("s7comm_plus.pcap", "s7comm_plus")]
HEAD = conn() | sender()
ROSCTR = {1: "Job-Request", 2: "ACK", 3: "ACK-Data", 7: "User-Data"}
FUNCTIONS = {
    0x04: "Read Variable", 0x05: "Write Variable", 0x1D: "Start Upload", 0x1E: "Upload", 0x1F: "End Upload",
    0x28: "PLC Control", 0x29: "PLC Stop", 0xF0: "Setup Communication",
}  # fmt: skip
GROUPS = {3: "Block Functions", 4: "CPU Functions", 7: "Time Functions"}
SUBFUNCTIONS = {
    "3/1": "List Blocks", "3/3": "Get Block Info", "4/1": "Read SZL", "7/1": "Read Clock", "7/2": "Set Clock",
}  # fmt: skip
SERVICES = {"_MODU": "PLC Copy Ram to Rom", "_GARB": "Compress PLC memory", "P_PROGRAM": "PLC Start / Stop"}
SZL = {
    0x0011: "Module identification", 0x001C: "Component Identification",
    0x0131: "Communication capability parameters", 0x0424: "Modes",
}  # fmt: skip


def classic(capture: str) -> list[Record]:
    return [record for record in seen(capture).of("s7comm") if "rosctr" in record]


def whole(record: Record) -> bool:
    """Whether icsnpp-s7comm logs it: no acknowledgement without a parameter, and of a list in parts neither the answer
    that announces more nor the request for it.
    """
    body = record["s7comm"]
    later = body.get("last_data_unit") is False or (record["kind"] == "request" and "data_unit" in body)
    return record["rosctr"] != 2 and not later


def tpdu(record: Record) -> tuple[str, str]:
    kinds = {
        "cotp_connect_request": ("0x0e", "CR Connection Request"),
        "cotp_connect_confirm": ("0x0d", "CC Connection Confirm"),
    }
    return kinds.get(record["function"], ("0x0f", "DT Data"))


@pytest.mark.parametrize(("capture", "log"), LOGS)
def test_cotp(capture: str, log: str) -> None:
    columns = {**HEAD, "pdu_code": lambda record: tpdu(record)[0], "pdu_name": lambda record: tpdu(record)[1]}
    cotp = Log(f"{S7}.{log}/cotp.log", columns, NEITHER)
    assert cotp.ours(seen(capture).of("s7comm")) == cotp.theirs()


def group(record: Record) -> int:
    return int(record["userdata"].partition("/")[0])


def function(record: Record) -> tuple[str, str]:
    """Code and name; of userdata the kind is in the upper half."""
    if record["rosctr"] != 7:
        return f"0x{record['function_code']:02x}", FUNCTIONS[record["function_code"]]
    code = {"request": 0x40, "response": 0x80}[record["kind"]] | group(record)
    return f"0x{code:02x}", f"{record['kind'].title()}: {GROUPS[group(record)]}"


def subfunction(record: Record) -> tuple[str | None, str | None]:
    if record["rosctr"] == 7:
        return f"0x{int(record['userdata'].partition('/')[2]):02x}", SUBFUNCTIONS[record["userdata"]]
    if record["rosctr"] == 1 and record["function_code"] == 0x28:
        return record["s7comm"]["service"], SERVICES[record["s7comm"]["service"]]
    return None, None


def error(record: Record) -> tuple[str | None, str | None]:
    """Class and code. Of userdata the class is the upper byte of the code."""
    body = record["s7comm"]
    if record["kind"] != "response":
        return None, None
    number = body.get("error_class", body["error_code"] >> 8)
    return {0: "No error", 0xD2: "Parameter Error"}.get(number, "?"), f"0x{body['error_code']:02x}"


MESSAGE: dict[str, Callable[[Any], object]] = {
    **HEAD,
    "rosctr_code": lambda record: record["rosctr"],
    "rosctr_name": lambda record: ROSCTR[record["rosctr"]],
    # It reads the reference little-endian.
    "pdu_reference": lambda record: int.from_bytes(record["s7comm"]["pdu_reference"].to_bytes(2, "big"), "little"),
    "function_code": lambda record: function(record)[0],
    "function_name": lambda record: function(record)[1],
    "subfunction_code": lambda record: subfunction(record)[0],
    "subfunction_name": lambda record: subfunction(record)[1],
    "error_class": lambda record: error(record)[0],
    "error_code": lambda record: error(record)[1],
}


@pytest.mark.parametrize(("capture", "log"), LOGS)
def test_messages(capture: str, log: str) -> None:
    messages = Log(f"{S7}.{log}/s7comm.log", MESSAGE, NEITHER)
    assert messages.ours(filter(whole, classic(capture))) == messages.theirs()


STEPS = {"start_upload": "Start Upload", "upload": "Upload", "end_upload": "End Upload"}
BLOCKS = {"0B": "System Data Block", "08": "Organization Block"}


def of_file(place: slice, names: dict[str, str] | None = None) -> Callable[[Record], object]:
    def take(record: Record) -> object:
        file = record["s7comm"].get("file")
        if file is None:
            return None
        return names[file[place]] if names else file[place]

    return take


def status(record: Record) -> str | None:
    """The status octet of a job, and of an answer unless it has none."""
    return None if record["function"] == "end_upload" and record["kind"] == "response" else "0x00"


def block_length(record: Record) -> object:
    """Of a start what the block says, of an upload the bytes that came."""
    body = record["s7comm"]
    if record["kind"] == "request":
        return None
    return body["data_bytes"] if record["function"] == "upload" else body.get("block_bytes")


UPLOAD: dict[str, Callable[[Any], object]] = {
    **HEAD,
    "rosctr": lambda record: ROSCTR[record["rosctr"]],
    "pdu_reference": MESSAGE["pdu_reference"],
    "function_name": lambda record: STEPS[record["function"]],
    "function_status": status,
    "session_id": lambda record: record["s7comm"].get("upload_id"),
    "filename": lambda record: record["s7comm"].get("file"),
    "block_type": of_file(slice(1, 3), BLOCKS),
    "block_number": of_file(slice(3, 8)),
    "destination_filesystem": of_file(slice(8, 9), {"A": "Active"}),
    "blocklength": block_length,
}


def test_uploads() -> None:
    log = Log(f"{S7}.snap7/s7comm_upload_download.log", UPLOAD, NEITHER)
    # It logs nothing of the answers that refuse: acknowledgements.
    steps = [r for r in classic("snap7.pcap") if r["function"] in STEPS and r["rosctr"] != 2]
    assert log.ours(steps) == log.theirs()


SZL_READ: dict[str, Callable[[Any], object]] = {
    **HEAD,
    "pdu_reference": MESSAGE["pdu_reference"],
    "method": lambda record: record["kind"].title(),
    "szl_id": lambda record: f"0x{record['s7comm']['szl_id']:04x}",
    "szl_id_name": lambda record: SZL[record["s7comm"]["szl_id"]],
    "szl_index": lambda record: f"0x{record['s7comm']['szl_index']:04x}",
    "return_code": lambda record: f"0x{record['s7comm']['return_code']:02x}",
    "return_code_name": lambda record: {0xFF: "Success"}.get(record["s7comm"]["return_code"]),
}


def test_status_lists() -> None:
    log = Log(f"{S7}.snap7/s7comm_read_szl.log", SZL_READ, NEITHER)
    # Of an answer in several parts it logs the first alone.
    lists = [r for r in classic("snap7.pcap") if "szl_id" in r["s7comm"] and "joined" not in r["flags"] and whole(r)]
    assert log.ours(lists) == log.theirs()


IDENTITY = ("automation_system_name", "module_name", "module_serial")
OF_NO_MESSAGE = NEITHER | dict.fromkeys(HEAD, "of the connection") | {"plant_name": "empty on this device"}


def test_identity() -> None:
    log = Log(f"{S7}.s7ident/s7comm_known_devices.log", dict.fromkeys(IDENTITY, str), OF_NO_MESSAGE)
    ((name, module, serial),) = log.theirs()
    told = {pair[:2] for record in classic("s7ident.pcap") for pair in S7COMM.identity(message(record))}
    assert {("name", name), ("module_name", module), ("serial", serial)} <= told


PLUS: dict[str, Callable[[Any], object]] = {
    **HEAD,
    "version": lambda record: record["s7comm_plus"]["version"],
    "opcode": lambda record: f"0x{record['s7comm_plus']['opcode']:02x}",
    "opcode_name": lambda record: record["s7comm"]["opcode"].title(),
    "function_code": lambda record: plus_function(record)[0],
    "function_name": lambda record: plus_function(record)[1],
}


def plus_function(record: Record) -> tuple[str | None, str | None]:
    code = record["s7comm_plus"]["function_code"]
    if code is None:
        return None, None
    return f"0x{code:04x}", record["function"].replace("_", " ").title()


def test_plus() -> None:
    log = Log(f"{S7}.s7comm_plus/s7comm_plus.log", PLUS, NEITHER)
    assert log.ours(r for r in seen("s7comm_plus.pcap").of("s7comm") if "s7comm_plus" in r) == log.theirs()
