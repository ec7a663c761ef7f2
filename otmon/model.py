"""The nouns that every stage shares: what a PDU asks for, what it says, and who can be spoken to.

Named tuples of plain values: hashable, sortable, cheap (there may be hundreds of thousands).
"""

from typing import Any, Final, Literal, NamedTuple

Access = Literal["read", "write", "control", "program", "diagnose", "identify", "connect"]
Kind = Literal["request", "response", "unsolicited", "link"]
Outcome = Literal["attempted", "accepted", "rejected", "partial", "unanswered", "unseen", "pending"]
Unit = int | tuple[int, int] | None
"""Protocol sub-address: Modbus unit identifier; DNP3 (master link address, outstation link address); None for S7."""

SESSION: Final = "s7_session"
"""Name of a client's attribute: what kind of session of S7comm-plus it asked for, before that was encrypted."""


NEED_TIME: Final = "need_time"
"""Name of the fact that a device asked for the time; it is none of the device's attributes."""


class Malformed(Exception):
    """The bytes are not a PDU of this protocol. The only exception that may leave a decoder."""

    def __init__(self, why: str = "", read: "Message | None" = None) -> None:
        super().__init__(why)
        self.read = read
        """What could be read all the same, if that is at least the function."""


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


UNPARSED: Final = Target("unparsed")
"""What could not be read: only a row without targets permits it."""


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


class Block(NamedTuple):
    """What a transfer moves: a block of a controller's logic, or a file."""

    kind: str
    """OB, DB, FC, SDB, ...; file."""
    number: int | None
    name: str
    """OB1 (safe text)."""
    file_system: str | None
    """Where in the controller: active, passive; None where there is one place."""


class Step(NamedTuple):
    """What one PDU does to a transfer."""

    phase: Literal["begin", "ask", "part", "end"]
    """begin: it was agreed upon; ask: a part is wanted; part: it came."""
    direction: Literal["upload", "download"]
    """Out of the controller, into it."""
    handle: str | None
    """Names the transfer within its connection and direction; None: the request that does was not seen."""
    block: Block | None = None
    unit: Unit = None
    data: bytes = b""
    more: bool = False
    """After this part comes another one."""
    lost: bool = False
    """Not all bytes of the part are there."""
    failed: bool = False
    length: int | None = None
    """Bytes of all parts, as announced at the beginning."""
    parts: int | None = None
    """Their number, as said at the end; None: nothing is said, or the parts themselves say which is the last."""


class Piece(NamedTuple):
    """Which part of a message that comes in several PDUs a PDU is."""

    handle: str
    """Tells messages of one connection and direction apart that come at the same time."""
    first: bool | None
    """None: that cannot be told."""
    last: bool


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
        return {
            "attempted": self.attempted,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "partial": self.partial,
            "unanswered": self.unanswered,
            "unseen": self.unseen,
            "pending": self.pending,
        }

    def unsettled(self) -> int:
        """Attempts that came to nothing yet: those that are in none of the others."""
        return self.attempted - self.accepted - self.rejected - self.partial - self.unanswered - self.unseen


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


class PermitWrite(NamedTuple):
    """Values that were written to one target under one ticket."""

    row: str
    """With the ticket."""
    key: OperationKey
    first_value: float
    last_value: float
    times: int
    first_ts_ns: int
    last_ts_ns: int


class BlockRecord(NamedTuple):
    """A block of a controller as it was moved: once, or as often as the same bytes came the same way."""

    realm: str
    server: str
    """The controller."""
    protocol: str
    unit: Unit
    block: Block
    direction: Literal["upload", "download"]
    client: str
    """Who fetched or sent it."""
    state: Literal["complete", "gap", "aborted"]
    """gap: bytes of it were not captured; aborted: refused on the way, or not seen to its end."""
    length: int
    """Bytes seen."""
    sha256: str | None
    """Of all bytes; None unless complete."""
    first_ts_ns: int
    """When the first of these transfers began."""
    last_ts_ns: int
    """When the last of them ended."""
    frames: "tuple[FrameRef, FrameRef]"
    """First and last one of the first of them."""
    transfers: int = 1
    before: str | None = None
    """What the block's sha256 was until then, if it was another one."""


class Sighting(NamedTuple):
    """A signature as it was shown."""

    connections: int
    times: tuple[int, ...]
    """When the first of them began, ns; as many as `otmon.site.habits` needs."""
    first_frame: "FrameRef"
    server: str
    """Of the first of them."""
    last_ts_ns: int
    """When the last of them began."""


class Habit(NamedTuple):
    """One habit of a client of a protocol."""

    realm: str
    address: str
    protocol: str
    kind: str
    """stack: of the machine; numbering, order: of the program."""
    signatures: dict[str, Sighting]


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
