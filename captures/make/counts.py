"""What tshark counts in a capture: frames, and PDUs by function. The yardstick the committed expectations hold."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

Row = dict[str, list[str]]
USERDATA = "s7comm.param.userdata."
RTU_PORT = 4001
"""Of Modbus RTU over TCP: no port is registered, so tshark must be told."""


def tshark_version() -> str:
    first = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return first.split()[2].rstrip(".")


def rows(capture: Path, display_filter: str, *fields: str) -> Iterator[Row]:
    """One row a frame that passes the filter; each field with all its occurrences."""
    command = ["tshark", "-n", "-o", f"mbrtu.tcp.port:{RTU_PORT}", "-r", str(capture), "-Y", display_filter]
    command += ["-T", "fields", "-E", "occurrence=a"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        yield {field: value.split(",") if value else [] for field, value in zip(fields, line.split("\t"), strict=True)}


def counted(counter: Counter[str]) -> dict[str, int]:
    return {key: counter[key] for key in sorted(counter, key=lambda key: [int(part) for part in key.split("/")])}


COUNTED = (
    "frame.protocols", "_ws.malformed", "tcp.dstport", "udp.dstport", "modbus.func_code", "modbus.exception_code",
    "dnp3.al.func", "dnp3.ctl.prifunc", "dnp3.ctl.secfunc", "s7comm.header.rosctr", "s7comm.param.func",
    USERDATA + "funcgroup", USERDATA + "subfunc", "tcp.analysis.retransmission", "tcp.analysis.duplicate_ack",
    "tcp.analysis.lost_segment",
)  # fmt: skip


@cache
def frames(capture: Path) -> list[Row]:
    """Every frame of a capture: tshark takes longer to start than to read it."""
    return list(rows(capture, "frame", *COUNTED))


def of(capture: Path, protocol: str) -> Iterator[Row]:
    """Frames in which tshark sees a protocol; not those that an ICMP error quotes."""
    for row in frames(capture):
        (protocols,) = row["frame.protocols"]
        if protocol in protocols.split(":") and "icmp" not in protocols.split(":"):
            yield row


def modbus(capture: Path) -> dict[str, Any]:
    """Function codes without 0x80; requests are what goes to a server's port."""
    requests: Counter[str] = Counter()
    responses: Counter[str] = Counter()
    exceptions: Counter[str] = Counter()
    servers = (["502"], [str(RTU_PORT)])
    for row in of(capture, "modbus"):
        codes = row["modbus.func_code"]
        (requests if row["tcp.dstport"] + row["udp.dstport"] in servers else responses).update(codes)
        if row["modbus.exception_code"]:
            exceptions.update(codes)
    return {"requests": counted(requests), "responses": counted(responses), "exceptions": counted(exceptions)}


def dnp3(capture: Path) -> dict[str, Any]:
    """Application functions, and link frames by function (primary and secondary share codes: 'prm/function')."""
    functions: Counter[str] = Counter()
    links: Counter[str] = Counter()
    for row in of(capture, "dnp3"):
        functions.update(row["dnp3.al.func"])
        links.update(f"1/{code}" for code in row["dnp3.ctl.prifunc"])
        links.update(f"0/{code}" for code in row["dnp3.ctl.secfunc"])
    return {"functions": counted(functions), "link_functions": counted(links)}


def s7comm(capture: Path) -> dict[str, Any]:
    """PDUs by rosctr; functions of jobs and acks; userdata by 'group/subfunction' (requests and answers alike)."""
    rosctr: Counter[str] = Counter()
    functions: dict[str, Counter[str]] = {"1": Counter(), "2": Counter(), "3": Counter()}
    userdata: Counter[str] = Counter()
    for row in of(capture, "s7comm"):
        (kind,) = row["s7comm.header.rosctr"]
        rosctr[kind] += 1
        if kind in functions:
            functions[kind].update(str(int(code, 0)) for code in row["s7comm.param.func"])
        for group, subfunction in zip(row[USERDATA + "funcgroup"], row[USERDATA + "subfunc"], strict=True):
            userdata[f"{int(group, 0)}/{int(subfunction, 0)}"] += 1
    job, _, ack_data = (counted(functions[kind]) for kind in "123")
    return {"rosctr": counted(rosctr), "job": job, "ack_data": ack_data, "userdata": counted(userdata)}


def count(capture: Path) -> dict[str, Any]:
    """Everything the expectation of one capture holds."""
    malformed = [bool(row["_ws.malformed"]) for row in frames(capture)]
    found: dict[str, Any] = {"frames": len(malformed), "malformed": sum(malformed)}
    for name, counter in (("modbus", modbus), ("dnp3", dnp3), ("s7comm", s7comm)):
        result = counter(capture)
        if any(result.values()):
            found[name] = result
    return found
