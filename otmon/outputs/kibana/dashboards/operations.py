"""What is done on the network, and what is new."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import BY_VERDICT, CHANGING, DENIED, controls, intro
from otmon.outputs.kibana.panels import (
    FIRST_SEEN,
    OPERATIONS,
    Bars,
    Dashboard,
    Documents,
    Number,
    Row,
    Table,
    Terms,
    Time,
    highest,
    latest,
    lowest,
)

_TEXT: Final = """
A plant repeats itself: the same clients ask the same devices for the same things, second by second. So what is
**new** is worth a look even if the policy permits it. An **operation** is one client, one server, one command and one
part of the device (a *target*), however often. **Read** looks; **write** and **control** change values and switch
outputs; **program** changes what a controller does; **diagnose**, **identify** and **connect** prepare or maintain.
Choose *Today* as the time to see what is new today. For a capture analysed by hand choose the time in which it was
made.
"""
_CLIENT: Final = Terms("source.address", "client", 20)
_SERVER: Final = Terms("destination.address", "server", 20)
OPERATIONS_PAGE: Final = Dashboard(
    "operations",
    "Operations and baseline: what is new today?",
    "What was never seen before, what repeats, and which values were seen",
    "now/d",
    controls("operation", ("otmon.operation.protocol", "Protocol"), ("source.address", "Client")),
    (
        intro("operations", _TEXT),
        Row(
            5,
            (
                Number(16, "How many operations were never seen before?", "operation", OPERATIONS, FIRST_SEEN),
                Number(
                    16,
                    "How many of them change something?",
                    "operation",
                    OPERATIONS,
                    f"{FIRST_SEEN} AND {CHANGING}",
                ),
                Number(
                    16,
                    "How many of them does the policy deny?",
                    "operation",
                    OPERATIONS,
                    f"{FIRST_SEEN} AND {DENIED}",
                ),
            ),
        ),
        Row(
            10,
            (
                Bars(
                    32,
                    "When did new operations appear?",
                    "operation",
                    OPERATIONS,
                    Time(),
                    Terms("otmon.operation.access", "sort of command", 7),
                    FIRST_SEEN,
                ),
                Bars(
                    16,
                    "Does the policy permit what is new?",
                    "operation",
                    OPERATIONS,
                    Terms("otmon.operation.protocol", "protocol"),
                    BY_VERDICT,
                    FIRST_SEEN,
                ),
            ),
        ),
        Row(
            14,
            (
                Documents(
                    48,
                    "What exactly is new? (newest first)",
                    "operation",
                    (
                        "message",
                        "otmon.operation.access",
                        "otmon.policy.verdict",
                        "rule.id",
                        "otmon.outcome",
                        "otmon.site",
                    ),
                    FIRST_SEEN,
                ),
            ),
        ),
        Row(
            13,
            (
                Table(
                    24,
                    "Who began to talk to whom?",
                    "operation",
                    (_CLIENT, _SERVER),
                    (
                        OPERATIONS,
                        lowest("event.start", "since"),
                        latest("otmon.name.source", "client's name"),
                        latest("otmon.name.destination", "server's name"),
                    ),
                    FIRST_SEEN,
                ),
                Table(
                    24,
                    "What repeats, how often and how fast is the answer?",
                    "operation",
                    (_CLIENT, _SERVER, Terms("otmon.operation.function", "command", 20)),
                    (
                        highest("otmon.outcomes.attempted", "times"),
                        latest("otmon.operation.period_ns", "every"),
                        highest("otmon.operation.response.p99_ns", "slowest answers"),
                    ),
                ),
            ),
        ),
        Row(
            13,
            (
                Table(
                    48,
                    "Which values were seen in the process?",
                    "point",
                    (Terms("otmon.point.name", "device and point", 100),),
                    (
                        highest("@timestamp", "last seen"),
                        latest("otmon.point.value", "now"),
                        lowest("otmon.point.value", "lowest"),
                        highest("otmon.point.value", "highest"),
                        latest("otmon.operation.access", "read or written"),
                    ),
                ),
            ),
        ),
    ),
)
