"""The violations of the plant, and the frames in which tshark finds each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from counts import rows

VIOLATIONS: list[dict[str, Any]] = [
    {
        "violation": "a host that may only read writes",
        "kind": "command",
        "client": "10.0.2.20",
        "server": "10.0.1.11",
        "protocol": "modbus",
        "function": "write_single_register",
        "target": {"space": "holding_register", "start": 10, "end": 10},
        "outcome": "accepted",
        "filter": "modbus.func_code == 6 and ip.src == 10.0.2.20 and tcp.dstport == 502",
        "pairs_by": "mbtcp.trans_id",
    },
    {
        "violation": "cross-zone connection",
        "kind": "segmentation",
        "client": "10.0.3.50",
        "server": "10.0.1.11",
        "protocol": "tcp",
        "function": "connect",
        "target": None,
        "port": 80,
        "outcome": "rejected",
        "filter": "tcp.flags.syn == 1 and ip.src == 10.0.3.50 and ip.dst == 10.0.1.11",
        "pairs_by": None,
    },
    {
        "violation": "PLC stop",
        "kind": "command",
        "client": "10.0.2.10",
        "server": "10.0.1.12",
        "protocol": "s7comm",
        "function": "plc_stop",
        "target": None,
        "outcome": "accepted",
        "filter": "s7comm.param.func == 0x29 and s7comm.header.rosctr == 1 and ip.src == 10.0.2.10",
        "pairs_by": "s7comm.header.pduref",
    },
    {
        "violation": "DNP3 restart",
        "kind": "command",
        "client": "10.0.2.12",
        "server": "10.0.1.21",
        "protocol": "dnp3",
        "function": "cold_restart",
        "target": None,
        "outcome": "accepted",
        "filter": "dnp3.al.func == 13 and ip.src == 10.0.2.12",
        "pairs_by": "dnp3.al.seq",
    },
    {
        "violation": "forbidden address range",
        "kind": "command",
        "client": "10.0.2.11",
        "server": "10.0.1.11",
        "protocol": "modbus",
        "function": "read_holding_registers",
        "target": {"space": "holding_register", "start": 300, "end": 309},
        "outcome": "rejected",
        "filter": "modbus.func_code == 3 and modbus.reference_num == 300 and tcp.dstport == 502",
        "pairs_by": "mbtcp.trans_id",
    },
    {
        "violation": "forbidden value",
        "kind": "value",
        "client": "10.0.2.11",
        "server": "10.0.1.13",
        "protocol": "modbus",
        "function": "write_single_register",
        "target": {"space": "holding_register", "start": 45, "end": 45},
        "value": 900,
        "outcome": "accepted",
        "filter": "modbus.func_code == 6 and modbus.data == 03:84 and tcp.dstport == 502",
        "pairs_by": "mbtcp.trans_id",
    },
]


def frames_of(capture: Path, violation: dict[str, Any]) -> list[int]:
    """The request, then its answer: the next frame back on that connection with the same transaction number.

    A violation without transactions is its whole connection.
    """
    pairs_by = violation["pairs_by"] or "tcp.stream"
    (request,) = rows(capture, violation["filter"], "frame.number", "tcp.stream", pairs_by)
    (number,), (stream,), (transaction,) = request["frame.number"], request["tcp.stream"], request[pairs_by]
    after = f"tcp.stream == {stream} and frame.number > {number}"
    if violation["pairs_by"] is None:
        answers = [int(row["frame.number"][0]) for row in rows(capture, after, "frame.number")]
    else:
        back = f"{after} and ip.src == {violation['server']} and {pairs_by} == {transaction}"
        answers = [int(row["frame.number"][0]) for row in rows(capture, back, "frame.number")][:1]
    if not answers:
        raise ValueError(f"no answer to {violation['violation']!r} in {capture}")
    return [int(number), *answers]


def labels(capture: Path) -> list[dict[str, Any]]:
    """The labels to store: what each violation is, without how it was found, and its frames."""
    found = []
    for violation in VIOLATIONS:
        shown = {key: value for key, value in violation.items() if key not in ("filter", "pairs_by")}
        found.append({**shown, "frames": frames_of(capture, violation)})
    return sorted(found, key=lambda label: label["frames"])
