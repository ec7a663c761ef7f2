"""The nouns that every stage shares: what a PDU asks for, what it says, and who can be spoken to.

Named tuples of plain values: hashable, sortable, cheap (there may be hundreds of thousands).
"""

from typing import Any, Literal, NamedTuple

Access = Literal["read", "write", "control", "program", "diagnose", "identify", "connect"]
Kind = Literal["request", "response", "unsolicited", "link"]
Outcome = Literal["attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending"]
Unit = int | tuple[int, int] | None
"""Protocol sub-address: Modbus unit identifier; DNP3 (master link address, outstation link address); None for S7."""


class Malformed(Exception):
    """The bytes are not a PDU of this protocol. The only exception that may leave a decoder."""


class Function(NamedTuple):
    """One row of a protocol's function table: the name it has in policy and records, and what it does."""

    name: str
    access: Access


class Target(NamedTuple):
    """What an operation touches: an interval of one address space, or a thing with a name.

    `space` is `holding_register`, `coil`, `DB10`, `M`, `g12`, `block`, `file`, ...; `start` and `end` are inclusive and
    None where the space has no order or all of it is meant; `name` names a block, service or file (safe text).
    """

    space: str
    start: int | None = None
    end: int | None = None
    name: str | None = None


class Op(NamedTuple):
    """One meaning of a shape, without the endpoints: function and target."""

    function_code: int | None
    function: str
    access: Access
    unit: Unit
    target: Target | None


class Message(NamedTuple):
    """One PDU, fully decoded. `body` is JSON-ready (safe text, no NaN); `ops` are the operations it shows."""

    kind: Kind
    unit: Unit
    function_code: int | None
    function: str
    access: Access
    flags: tuple[str, ...]
    body: dict[str, Any]
    ops: tuple[Op, ...]
    extra: dict[str, Any]
    """Protocol's own top-level record fields: link_source, userdata, exception..."""


class Value(NamedTuple):
    """A value of the process that a message shows or sets."""

    access: Literal["read", "write"]
    target: Target
    value: float | str
    """Text (safe) where it is no number."""


class OperationKey(NamedTuple):
    """An operation with its endpoints: what baseline, policy, replay and graph speak of. Addresses are text."""

    realm: str
    client: str
    server: str
    transport: str
    """tcp, udp, icmp, ip"""
    port: int | None
    """The server's port; the protocol number of ip."""
    protocol: str
    """modbus, dnp3, s7comm; or tcp, udp, icmp, ip for `connect` and `scan`."""
    unit: Unit
    function_code: int | None
    function: str
    access: Access
    target: Target | None
    initiated_by: Literal["client", "server"] = "client"


FrameRef = tuple[int, int]
"""(input number from 0, frame number from 1 as in Wireshark)."""


class Counts:
    """Outcomes of one operation or target: attempted is the sum of the others."""

    __slots__ = ("accepted", "attempted", "partial", "pending", "rejected", "unanswered", "unseen")
    FIELDS = ("attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending")
    attempted: int
    accepted: int
    rejected: int
    partial: int
    unanswered: int
    unseen: int
    pending: int

    def __init__(
        self,
        attempted: int = 0,
        accepted: int = 0,
        rejected: int = 0,
        partial: int = 0,
        unanswered: int = 0,
        unseen: int = 0,
        pending: int = 0,
    ) -> None:
        # Written out: there are as many of these as operations, and a loop over names costs five times as much.
        self.attempted = attempted
        self.accepted = accepted
        self.rejected = rejected
        self.partial = partial
        self.unanswered = unanswered
        self.unseen = unseen
        self.pending = pending

    def add(self, other: "Counts") -> None:
        """Sum in place."""
        self.attempted += other.attempted
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.partial += other.partial
        self.unanswered += other.unanswered
        self.unseen += other.unseen
        self.pending += other.pending

    def as_dict(self) -> dict[str, int]:
        """In the order of the records."""
        return {field: getattr(self, field) for field in self.FIELDS}


class OperationRecord(NamedTuple):
    """One operation as it was seen in one part of the traffic."""

    key: OperationKey
    counts: Counts
    bytes: int
    first_ts_ns: int
    last_ts_ns: int
    first_frame: FrameRef
    intervals: dict[int, int]
    """Histogram of inter-arrival times: bucket -> count (otmon.site.timing)."""
    responses: dict[int, int]
    """Histogram of response times."""
    verdict: str | None
    """permit, deny; None without a policy."""
    row: str | None
    """The policy row that permits or denies."""


class PointRecord(NamedTuple):
    """A value seen at one point, which is all that stands before it."""

    realm: str
    client: str
    server: str
    protocol: str
    unit: Unit
    access: Literal["read", "write"]
    target: Target
    value: float | str
    ts_ns: int
    messages: int
    """How many of its shape, this one included, came since the one before that was looked at."""


class ConnectionRecord(NamedTuple):
    """One TCP connection, UDP or ICMP conversation."""

    realm: str
    client: str
    client_port: int | None
    server: str
    server_port: int | None
    transport: str
    protocol: str | None
    """modbus, dnp3, s7comm, or None."""
    assumed_roles: bool
    vlans: tuple[int, ...]
    first_ts_ns: int
    last_ts_ns: int
    first_frame: FrameRef
    frames: tuple[int, int]
    """From client, from server."""
    bytes: tuple[int, int]
    """Transport payload, from client, from server."""
    gaps: int
    missing_bytes: int
    one_sided: bool
    encrypted_bytes: int
    midstream: bool
    malformed_bytes: int = 0
    unrecognised_bytes: int = 0
    """Payload on a registered control port that is none of its protocol."""
    answer: Literal["accepted", "rejected", "unanswered", "unseen"] = "accepted"
    """What asking for the connection came to."""


class HostRecord(NamedTuple):
    """An address that has sent something."""

    realm: str
    address: str
    first_ts_ns: int
    last_ts_ns: int
    frames: int
    first_frame: FrameRef


class Binding(NamedTuple):
    """A MAC seen with an address (proof on the link), or a MAC that speaks without IP (address None)."""

    realm: str
    mac: str
    address: str | None
    ethertype: int
    """0x0806 ARP, 0x86DD neighbour discovery (address given); of the frame otherwise."""
    proof: bool
    """ARP or ND said so; False: the MAC was merely the source of a frame with that IP source."""
    first_ts_ns: int
    first_frame: FrameRef


class Fact(NamedTuple):
    """One attribute of the device behind an endpoint, with its evidence."""

    realm: str
    address: str
    unit: Unit
    name: str
    value: str
    protocol: str
    frame: FrameRef
    ts_ns: int
    confidence: float
