"""A small plant as engine records, hostile text, and random parts."""

from typing import Any

from hypothesis import strategies as st

from otmon.model import (
    Access,
    Binding,
    Block,
    BlockRecord,
    ConnectionRecord,
    Counts,
    Fact,
    HostRecord,
    OperationKey,
    OperationRecord,
    Target,
    Unit,
)
from otmon.site.part import Part
from otmon.text import safe_text

T0 = 1_700_000_000_000_000_000
S = 1_000_000_000
FRAMES = (
    *("captured", "ot", "tcp_control", "other_ip", "non_ip", "fragment", "copy", "malformed", "truncated"),
    *("unsupported", "shed", "internal"),
)
OT_BYTES = (
    *("seen", "decoded", "gap", "malformed", "unrecognised", "encrypted", "truncated", "copy", "shed", "pending"),
)
HOSTILE = (
    *("[/]", "[bold red]x[/bold red]", "\x1b]0;pwn\x07", "\x9b2J", "a\rb\nc", "\u202egnp.exe", "<img src=x onerror=1>"),
    *(
        '=HYPERLINK("http://x")',
        "@SUM(1)",
        "'; DROP TABLE assets; --",
        "../../x",
        "x" * 65_536,
        "\ud800",
        "a\0b",
        "]]>&",
    ),
    *('"quoted" \\ backslash', "\ufffe\uffff", "e" + "\u0301" * 500, ":smile: http://x"),
)
"""H52: names as they come from the wire."""


def op(
    client: str = "10.0.2.11",
    server: str = "10.0.1.13",
    function: str = "read_holding_registers",
    access: Access = "read",
    protocol: str = "modbus",
    unit: Unit = 1,
    target: Target | None = None,
    code: int | None = 3,
    port: int | None = 502,
    transport: str = "tcp",
    verdict: str | None = None,
    row: str | None = None,
    first: int = T0,
    every: int = S,
    **outcomes: int,
) -> OperationRecord:
    outcomes = outcomes or {"accepted": 10}
    total = sum(outcomes.values())
    key = OperationKey("default", client, server, transport, port, protocol, unit, code, function, access, target)
    from otmon.site.timing import bucket

    intervals = {bucket(every): total - 1} if total > 1 else {}
    last = first + every * (total - 1)
    counts = Counts(attempted=total, **outcomes)
    return OperationRecord(
        key, counts, 12 * total, first, last, (0, 7), intervals, {bucket(2_400_000): total}, verdict, row
    )


def host(address: str, first: int = T0, frame: int = 1, realm: str = "default") -> HostRecord:
    return HostRecord(realm, address, first, first + 60 * S, 100, (0, frame))


def binding(mac: str, address: str | None, proof: bool = True, frame: int = 1, realm: str = "default") -> Binding:
    return Binding(realm, mac, address, 0x0806 if proof else 0x0800, proof, T0, (0, frame))


def fact(
    address: str, name: str, value: str, unit: Unit = 1, protocol: str = "modbus", confidence: float = 0.9
) -> Fact:
    return Fact("default", address, unit, name, value, protocol, (0, 9), T0, confidence)


def block(name: str = "OB1", number: int | None = 1, contents: str | None = "ab", **changes: Any) -> BlockRecord:
    """`contents`: two digits of its hash, None: it was not seen whole."""
    fields: dict[str, Any] = {
        "realm": "default",
        "server": "10.0.1.15",
        "protocol": "s7comm",
        "unit": None,
        "block": Block("OB" if number is not None else "file", number, name, "active"),
        "direction": "upload",
        "client": "10.0.2.30",
        "state": "complete" if contents else "gap",
        "length": 400,
        "sha256": contents and 32 * contents,
        "first_ts_ns": T0,
        "last_ts_ns": T0 + S,
        "frames": ((0, 3), (0, 9)),
    }
    return BlockRecord(**(fields | changes))


def connection(client: str = "10.0.2.11", server: str = "10.0.1.13", **changes: Any) -> ConnectionRecord:
    fields: dict[str, Any] = {
        "realm": "default",
        "client": client,
        "client_port": 49152,
        "server": server,
        "server_port": 502,
        "transport": "tcp",
        "protocol": "modbus",
        "assumed_roles": False,
        "vlans": (100, 7),
        "first_ts_ns": T0,
        "last_ts_ns": T0 + 60 * S,
        "first_frame": (0, 1),
        "frames": (20, 19),
        "bytes": (240, 500),
        "gaps": 0,
        "missing_bytes": 0,
        "one_sided": False,
        "encrypted_bytes": 0,
        "midstream": True,
        "malformed_bytes": 3,
        "unrecognised_bytes": 4,
        "answer": "rejected",
    }
    return ConnectionRecord(**(fields | changes))


def plant(names: tuple[str, ...] = ()) -> Part:
    """HMI polls and writes a PLC, historian reads two, DNP3 master and outstation, a programmer, office traffic."""
    registers = Target("holding_register", 0, 9)
    operations = [
        op(target=registers, verdict="permit", row="scada-polls-plcs"),
        op(
            function="write_single_register",
            code=6,
            access="write",
            target=Target("holding_register", 45, 45),
            verdict="deny",
        ),
        op(client="10.0.2.20", target=registers),
        op(client="10.0.2.20", server="10.0.1.14", target=registers, unit=2),
        op("10.0.2.30", "10.0.1.15", "plc_stop", "control", "s7comm", None, None, 0x29, 102),
        op("10.0.2.30", "10.0.1.15", "download", "program", "s7comm", None, Target("block", name="DB10"), 0x1A, 102),
        op("10.0.2.40", "10.0.1.20", "read", "read", "dnp3", (3, 10), Target("g30", 0, 4), 1, 20000),
        op("10.0.2.50", "10.0.3.1", "connect", "connect", "tcp", None, None, None, 443),
        op("10.0.2.50", "10.0.3.9", "connect", "connect", "icmp", None, None, None, None, transport="icmp"),
    ]
    addresses = ("10.0.2.11", "10.0.1.13", "10.0.2.20", "10.0.1.14", "10.0.2.30", "10.0.1.15", "10.0.2.40", "10.0.1.20")
    return Part(
        frames=dict.fromkeys(FRAMES, 0) | {"captured": 30, "ot": 20, "tcp_control": 8, "non_ip": 2},
        ot_bytes=dict.fromkeys(OT_BYTES, 0) | {"seen": 300, "decoded": 300},
        protocols={
            "modbus": {
                "pdus": 80,
                "requests": 40,
                "responses": 40,
                "exceptions": 1,
                "malformed": 0,
                "functions": {
                    "3": {"name": "read_holding_registers", "requests": 30, "responses": 30, "exceptions": 0},
                    "6": {"name": "write_single_register", "requests": 10, "responses": 10, "exceptions": 1},
                },
            }
        },
        visibility={"missing_bytes": 0, "one_sided": 1, "gaps": 0, "copies": 0},
        unsupported={"macsec": 0},
        connections=[connection(), connection("10.0.2.40", "10.0.1.20", protocol=None, client_port=None, vlans=())],
        operations=operations,
        hosts=[host(a, T0 + n) for n, a in enumerate((*addresses, "10.0.2.50", "10.0.3.1"))],
        bindings=[binding("00:80:f4:0e:11:22", "10.0.1.13"), binding("00:1b:1b:00:00:05", None, proof=False)],
        facts=[
            fact("10.0.1.13", "vendor", "Schneider Electric"),
            *(fact("10.0.1.13", "model", safe_text(name)) for name in names),
        ],
        blocks=[
            block(),
            *(block(safe_text(name), None, None, frames=((0, 3), (0, n))) for n, name in enumerate(names, 9)),
        ],
    )


class Names:
    """A policy's names, as Site asks for them."""

    site = "water-works"
    sha256 = "ab" * 32

    def zone_of(self, realm: str, address: str) -> str:
        return {"10.0.1": "control", "10.0.2": "supervision"}.get(address.rpartition(".")[0], "outside")

    def level_of(self, realm: str, address: str) -> float | None:
        return {"10.0.1": 1.0, "10.0.2": 2.5}.get(address.rpartition(".")[0])

    def asset_name(self, realm: str, address: str) -> str | None:
        return {"10.0.1.13": "PLC-3", "10.0.3.9": "printer"}.get(address)

    def roles_of(self, realm: str, address: str) -> list[str]:
        return ["scada"] if address == "10.0.2.11" else []

    def monitored(self, realm: str, address: str) -> bool:
        return self.zone_of(realm, address) != "outside"

    def is_chatter(self, op: OperationKey) -> bool:
        return op.server == "255.255.255.255"


_few = st.integers(0, 3)
_addresses = st.sampled_from(["10.0.0.1", "10.0.0.2", "fe80::1", "192.168.0.9"])
_macs = st.sampled_from(["00:00:00:00:00:01", "00:00:00:00:00:02"])
_hist = st.dictionaries(st.integers(0, 127), st.integers(1, 9), max_size=3)
_frames = st.tuples(st.integers(0, 1), st.integers(1, 50))
_units: st.SearchStrategy[Unit] = st.none() | st.integers(0, 2) | st.tuples(_few, _few)
_targets = st.none() | st.builds(Target, st.just("coil"), _few, _few) | st.just(Target("b", name="x"))


@st.composite
def operations(draw: st.DrawFn) -> OperationRecord:
    key = OperationKey(
        *("default", draw(_addresses), draw(_addresses), "tcp", draw(st.none() | _few), "modbus", draw(_units)),
        *(draw(st.none() | _few), "read", "read", draw(_targets)),
    )
    counts = Counts(**{name: draw(_few) for name in Counts.FIELDS[1:]})
    counts.attempted = sum(counts.as_dict().values())
    first, verdict = draw(_few), draw(st.sampled_from([(None, None), ("permit", "a"), ("deny", None), ("deny", "n")]))
    return OperationRecord(
        key, counts, draw(_few), first, first + draw(_few), draw(_frames), draw(_hist), draw(_hist), *verdict
    )


_tree = st.fixed_dictionaries(
    {"pdus": _few, "functions": st.fixed_dictionaries({"3": st.fixed_dictionaries({"requests": _few})})}
)


_connections = st.builds(connection, _addresses, _addresses, first_ts_ns=_few, first_frame=_frames)


def _who_and_when(c: ConnectionRecord) -> tuple[Any, ...]:
    """A frame begins one connection between two addresses, whoever of them is the client."""
    return c.first_ts_ns, c.first_frame, frozenset((c.client, c.server))


@st.composite
def parts(draw: st.DrawFn) -> Part:
    def some(strategy: Any) -> Any:
        return draw(st.lists(strategy, max_size=4))

    return Part(
        frames=draw(st.dictionaries(st.sampled_from(FRAMES), _few)),
        ot_bytes=draw(st.dictionaries(st.sampled_from(OT_BYTES), _few)),
        protocols=draw(st.dictionaries(st.sampled_from(["modbus", "dnp3"]), _tree)),
        visibility={"gaps": draw(_few)},
        unsupported=draw(st.dictionaries(st.sampled_from(["macsec", "geneve"]), _few)),
        connections=draw(st.lists(_connections, max_size=4, unique_by=_who_and_when)),
        operations=some(operations()),
        hosts=some(st.builds(HostRecord, st.just("default"), _addresses, _few, _few, _few, _frames)),
        bindings=some(
            st.builds(Binding, st.just("default"), _macs, st.none() | _addresses, _few, st.booleans(), _few, _frames)
        ),
        facts=some(
            st.builds(
                Fact,
                st.just("default"),
                _addresses,
                _units,
                *(st.sampled_from("ab"), st.sampled_from("xy"), st.just("modbus"), _frames, _few),
                st.sampled_from([0.1, 0.9]),
            )
        ),
        blocks=some(
            st.builds(
                block,
                st.sampled_from(["OB1", "OB35"]),
                st.none() | _few,
                st.sampled_from(["ab", "cd", None]),
                unit=_units,
                client=_addresses,
                direction=st.sampled_from(["upload", "download"]),
                first_ts_ns=_few,
                last_ts_ns=_few,
                frames=st.tuples(_frames, _frames),
                transfers=st.integers(1, 3),
            )
        ),
        partial=draw(st.booleans()),
    )
