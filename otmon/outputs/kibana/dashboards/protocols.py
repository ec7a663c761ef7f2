"""One page for each control protocol, all laid out alike."""

from typing import Final, NamedTuple

from otmon.outputs.kibana.dashboards.shared import BY_VERDICT, CHANGING, alerts, controls, intro
from otmon.outputs.kibana.panels import (
    ALERTS,
    FIRST_SEEN,
    OPERATIONS,
    Bars,
    Dashboard,
    Number,
    Row,
    Table,
    Terms,
    distinct,
    highest,
    latest,
)


class Protocol(NamedTuple):
    """What is a protocol's own."""

    name: str
    """As documents say it, and in the page's id."""
    title: str
    text: str
    parts: tuple[Terms, ...]
    """Of a device, from the outside in."""
    part: str
    """What they are called in a question."""


_MODBUS: Final = """
**Modbus** has no passwords: whoever reaches port 502 can write. A **coil** is an output that is on or off (a pump, a
valve), a **discrete input** a sensor that is on or off. A **holding register** is a number that can be written (a set
point), an **input register** a measured number. Registers are numbered from 0 here, as on the wire; panels often
count from 1 or 40001. A **unit** is a device behind a gateway. **Rejected** means that the device answered with an
exception: it did nothing. Many different addresses that are rejected look like somebody who explores the device.
"""
_DNP3: Final = """
**DNP3** is spoken by substations and water works: a **master** asks, an **outstation** answers, each with a *link
address* of its own beside the IP address. **Select** and **operate** switch a breaker or valve in two steps, **direct
operate** in one. **Cold** and **warm restart** take the outstation out of service for a while. **Unsolicited**
messages are sent unasked; *disable unsolicited* silences alarms. A **class** is a priority of events. **Write**
mostly sets the clock.
"""
_S7: Final = """
**S7** is spoken by Siemens controllers on port 102. **OB**, **FC** and **FB** are blocks of the program, **DB** are
blocks of data. **Read** and **write variable** are what panels do all day. **Download** puts a block into the
controller: it then does something else; **upload** copies one out: whoever has it knows the process. **PLC stop** and
**start** stop and start the program, and with it the process. **SZL** are lists in which the controller says what it
is.
"""
PROTOCOLS: Final = (
    Protocol(
        "modbus",
        "Modbus",
        _MODBUS,
        (
            Terms("otmon.operation.unit", "unit", 20),
            Terms("otmon.operation.target.space", "registers"),
            Terms("otmon.operation.target.text", "which", 20),
        ),
        "registers and coils",
    ),
    Protocol(
        "dnp3",
        "DNP3",
        _DNP3,
        (
            Terms("otmon.operation.link_source", "master", 20),
            Terms("otmon.operation.link_destination", "outstation", 20),
            Terms("otmon.operation.target.text", "which", 20, none="(all of it)"),
        ),
        "outstations and points",
    ),
    Protocol(
        "s7comm",
        "S7",
        _S7,
        (
            Terms("otmon.operation.target.space", "sort", 20),
            Terms("otmon.operation.target.text", "which", 20),
        ),
        "blocks and data",
    ),
)
_SERVERS: Final = distinct("destination.address", "servers")
_CLIENTS: Final = distinct("source.address", "clients")


def _page(protocol: Protocol) -> Dashboard:
    ours = f"otmon.operation.protocol:{protocol.name}"
    first = f"{ours} AND {FIRST_SEEN}"
    return Dashboard(
        protocol.name,
        f"{protocol.title}: who does what to which device?",
        f"Clients, servers, commands and targets of {protocol.title}",
        "now-30d",
        controls("operation", ("destination.address", "Server"), ("otmon.operation.function", "Command")),
        (
            intro(protocol.name, protocol.text),
            Row(
                5,
                (
                    Number(
                        12, "How many devices answer?", "operation", distinct("destination.address", "servers"), ours
                    ),
                    Number(12, "How many clients ask?", "operation", distinct("source.address", "clients"), ours),
                    Number(
                        12,
                        "How many different operations change something?",
                        "operation",
                        OPERATIONS,
                        f"{first} AND {CHANGING}",
                    ),
                    Number(12, "How many alerts are about it?", "alert", ALERTS, ours),
                ),
            ),
            Row(
                12,
                (
                    Bars(
                        24,
                        "Which commands, and does the policy permit them?",
                        "operation",
                        OPERATIONS,
                        Terms("otmon.operation.function", "command", 15),
                        BY_VERDICT,
                        first,
                    ),
                    Table(
                        24,
                        "Who sends what to whom?",
                        "operation",
                        (
                            Terms("source.address", "client", 20),
                            Terms("destination.address", "server", 20),
                            Terms("otmon.operation.access", "sort of command"),
                        ),
                        (
                            OPERATIONS,
                            latest("otmon.name.source", "client's name"),
                            latest("otmon.name.destination", "server's name"),
                        ),
                        first,
                    ),
                ),
            ),
            Row(
                12,
                (
                    Table(
                        24,
                        f"Which {protocol.part} are touched?",
                        "operation",
                        (Terms("destination.address", "server", 20), *protocol.parts),
                        (OPERATIONS, latest("otmon.operation.access", "for example")),
                        first,
                    ),
                    Table(
                        24,
                        "What did devices refuse or not answer?",
                        "operation",
                        (
                            Terms("destination.address", "server", 20),
                            Terms("otmon.operation.function", "command", 20),
                        ),
                        (
                            highest("otmon.outcomes.rejected", "rejected"),
                            highest("otmon.outcomes.unanswered", "no answer"),
                            highest("otmon.outcomes.attempted", "attempts"),
                            latest("source.address", "asked by, for example"),
                        ),
                        f"{ours} AND (otmon.outcomes.rejected:>0 OR otmon.outcomes.unanswered:>0)",
                    ),
                ),
            ),
            Row(13, (alerts(48, "Which alerts are about it?", ours),)),
        ),
    )


PROTOCOL_PAGES: Final = tuple(map(_page, PROTOCOLS))
