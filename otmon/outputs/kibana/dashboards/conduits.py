"""Zone by zone: what passes, what is permitted, what is not."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import BY_VERDICT, CHANGING, DENIED, NO_ZONE, alerts, controls, intro
from otmon.outputs.kibana.panels import (
    FIRST_SEEN,
    OPERATIONS,
    Bars,
    Dashboard,
    Matrix,
    Number,
    Row,
    Table,
    Terms,
    latest,
)

_FROM: Final = Terms("otmon.zone.source", "from zone", 20, none=NO_ZONE)
_TO: Final = Terms("otmon.zone.destination", "to zone", 20, none=NO_ZONE)
_TEXT: Final = """
A **zone** is a part of the plant whose devices need the same protection; a **conduit** is the way from one zone to
another (IEC 62443). The policy says what may pass. An **operation** is one thing that one client does to one part of
one server with one command, however often. In the matrix a row is where the request comes from, a column where it
goes. A red cell has operations that the policy does not permit: otmon does not stop them, so find out whether the
firewall lets through too much or the policy is too narrow.
"""
CONDUITS: Final = Dashboard(
    "conduits",
    "Conduits: who talks across zones, and may they?",
    "Zone by zone: operations that the policy permits and denies",
    "now-30d",
    controls("operation", ("otmon.operation.protocol", "Protocol"), ("otmon.operation.access", "Sort of command")),
    (
        intro("conduits", _TEXT),
        Row(
            14,
            (
                Matrix(32, "From which zone to which: permitted and denied operations", "operation", FIRST_SEEN),
                Bars(
                    16,
                    "What sorts of command, and does the policy permit them?",
                    "operation",
                    OPERATIONS,
                    Terms("otmon.operation.access", "sort of command"),
                    BY_VERDICT,
                    FIRST_SEEN,
                ),
            ),
        ),
        Row(
            5,
            (
                Number(
                    16,
                    "How many operations does the policy deny?",
                    "operation",
                    OPERATIONS,
                    f"{FIRST_SEEN} AND {DENIED}",
                ),
                Number(
                    16,
                    "How many of them change something?",
                    "operation",
                    OPERATIONS,
                    f"{FIRST_SEEN} AND {DENIED} AND {CHANGING}",
                ),
                Number(
                    16,
                    "How many of them did a device accept?",
                    "operation",
                    OPERATIONS,
                    f"{FIRST_SEEN} AND {DENIED} AND otmon.outcome:(accepted OR partial)",
                ),
            ),
        ),
        Row(13, (alerts(48, "Which alerts does it raise?", "otmon.alert.kind:(segmentation OR command)"),)),
        Row(
            13,
            (
                Table(
                    48,
                    "Who talks to whom across which conduit?",
                    "operation",
                    (
                        _FROM,
                        _TO,
                        Terms("source.address", "client"),
                        Terms("destination.address", "server"),
                        Terms("otmon.operation.protocol", "protocol"),
                        BY_VERDICT,
                    ),
                    (
                        OPERATIONS,
                        latest("otmon.name.source", "client's name"),
                        latest("otmon.name.destination", "server's name"),
                    ),
                    FIRST_SEEN,
                ),
            ),
        ),
    ),
)
