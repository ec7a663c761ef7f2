"""learn -> load -> judge: what was seen is permitted, what is dangerous is for review, what lies beside is denied."""

import re
from dataclasses import dataclass
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.model import Counts, OperationKey, OperationRecord, Target
from otmon.policy.functions import REASONS, is_function, reason_not_learned
from otmon.policy.learn import blank, learn, update
from otmon.policy.learn_text import quote
from otmon.policy.load import load_bytes
from otmon.policy.reader import parse
from otmon.policy.zones import Realms
from otmon.text import safe_text
from tests.effort import examples
from tests.policy.policy_kit import NOON, PORTS, connect, op, registers

HOSTS = ["10.0.2.10", "10.0.2.11", "10.0.1.11", "10.0.1.12", "8.8.8.8", "fd00::5", "2001:db8::1"]
SPACES = {
    "read_holding_registers": (3, "read", "holding_register"),
    "read_coils": (1, "read", "coil"),
    "write_multiple_registers": (16, "write", "holding_register"),
    "diagnostics": (8, "diagnose", None),
    "diagnostics_restart": (8, "control", None),
    "function_77": (77, "control", None),
    "read_fifo_queue": (24, "read", "fifo"),
}
DNP3 = {
    "read": (1, "read", "g30"),
    "operate": (4, "control", "g12"),
    "cold_restart": (13, "control", None),
    "open_file": (25, "program", "g70"),
    "write": (2, "write", "g80"),
}
S7 = {
    "read_var": (4, "read", "DB10"),
    "write_var": (5, "write", "M"),
    "plc_stop": (41, "control", None),
    "upload": (30, "program", "block"),
    "block_info": (None, "identify", "block"),
    "read_szl": (None, "identify", "szl"),
    "programmer_40": (None, "control", None),
}
WIDE = 200


def record(key: OperationKey, times: int = 1, first: int = NOON, last: int = NOON) -> OperationRecord:
    return OperationRecord(key, Counts(attempted=times, accepted=times), 0, first, last, (0, 1), {}, {}, None, None)


@st.composite
def keys(draw):
    client, server = draw(st.sampled_from(HOSTS)), draw(st.sampled_from(HOSTS))
    protocol = draw(st.sampled_from(["modbus", "modbus", "dnp3", "s7comm", "tcp", "udp", "icmp", "ip"]))
    if protocol == "icmp":
        return connect(client, server, "icmp")
    if protocol in ("tcp", "udp", "ip"):
        function = draw(st.sampled_from(["connect"] * 12 + ["scan"]))
        ports = [2, 4, 50, 51, 89] if protocol == "ip" else [80, 443, 502, 102, 5353, 8001, 8002]
        port = draw(st.sampled_from(ports)) if function == "connect" else None
        return connect(client, server, protocol, port, function)
    table = {"modbus": SPACES, "dnp3": DNP3, "s7comm": S7}[protocol]
    name = draw(st.sampled_from(sorted(table)))
    code, access, space = table[name]
    if name == "read_holding_registers" and draw(st.booleans()):
        name, code, access = "read_write_multiple_registers", 23, draw(st.sampled_from(["read", "write"]))
    target = None
    if space == "block":
        target = Target(
            space, name=draw(st.sampled_from(["OB1", "DB10", 'a"b: [#', "5", "0-9", "yes", safe_text(b"\x1b\xff")]))
        )
    elif space == "szl":
        target = Target(space, 0x424, 0x424, draw(st.sampled_from([None, "operating_mode"])))
    elif space is not None:
        start = draw(st.integers(0, 60))
        span = Target(space, start, start + draw(st.integers(0, 9)))
        target = draw(st.sampled_from([span, span, span, Target(space)])) if protocol != "modbus" else span
    unit = {"modbus": draw(st.integers(0, 3)), "dnp3": (1, draw(st.integers(10, 12))), "s7comm": None}[protocol]
    port = draw(st.sampled_from([PORTS[protocol]] * 5 + [5020]))
    return op(client, server, protocol, name, access, function_code=code, target=target, unit=unit, port=port)


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(keys(), min_size=1, max_size=25))
def test_learned_policy_permits_what_was_seen_and_nothing_beside_it(seen):
    text = learn([record(key) for key in seen], site="plant")
    assert text == learn([record(key) for key in reversed(seen)], site="plant")
    policy = load_bytes(text.encode(), "learned.yaml")
    for key in seen:
        verdict = policy.judge(key, NOON)
        reason = refusal(key, seen)
        assert verdict.permit == (reason is None), (key, verdict, text)
        assert verdict.review == reason
        assert verdict.bounds is None
        assert not verdict.inspect
    known = Known(seen)
    for key in seen:
        for other in neighbours(key):
            verdict = policy.judge(other, NOON)
            if not known.permits(other):
                assert not verdict.permit, (other, verdict, text)
            if verdict.permit and other.protocol not in ("tcp", "udp", "icmp", "ip"):
                assert reason_not_learned(other) is None


def refusal(key, seen):
    scanning = any(other.function == "scan" and other.client == key.client for other in seen)
    return REASONS["scanner"] if scanning and key.function != "scan" else reason_not_learned(key)


@dataclass
class Known:
    """What the seen operations allow: the same key with targets that they touch, address by address."""

    seen: list[OperationKey]

    def permits(self, key):
        if policy_free(key):
            return True
        same = [other for other in self.seen if self._same(other, key)]
        if key.protocol in ("tcp", "udp", "icmp", "ip"):
            carried = key.function == "connect" and any(
                other[:3] == key[:3] and other.protocol in PORTS and key.port in (other.port, PORTS[other.protocol])
                for other in self.seen
                if refusal(other, self.seen) is None and (key.protocol == "tcp" or other.protocol != "s7comm")
            )
            return bool(same) or carried
        if key.target is None or key.function in ("setup_communication", "confirm", "response", "unsolicited_response"):
            return True
        targets = [other.target for other in same]
        if same and not any(targets):
            return True
        mine = [t for t in targets if t is not None and (t.space, t.name) == (key.target.space, key.target.name)]
        if any(t.start is None for t in mine):
            return True
        if key.target.start is None:
            return False
        touched = {address for t in mine for address in range(t.start, t.end + 1)}
        return set(range(key.target.start, key.target.end + 1)) <= touched

    def _same(self, other, key):
        if refusal(other, self.seen) is not None or other[:3] != key[:3] or other.protocol != key.protocol:
            return False
        if (other.function, other.access, other.unit) != (key.function, key.access, key.unit):
            return False
        registered = PORTS.get(key.protocol)
        return other.port in (key.port, registered)


def policy_free(key):
    return key.protocol == "udp" and key.port == 5353


def neighbours(key):
    """The operation, changed in one thing."""
    for client in ("10.0.2.12", key.server):
        if client != key.client:
            yield key._replace(client=client)
    yield key._replace(server="10.0.1.99")
    if key.target is not None and key.target.start is not None:
        start, end = key.target.start, key.target.end
        yield key._replace(target=key.target._replace(start=start, end=end + 1))
        yield key._replace(target=key.target._replace(start=max(start - 1, 0)))
        yield key._replace(target=key.target._replace(start=end + WIDE, end=end + WIDE))
        yield key._replace(target=Target(key.target.space + "_x", start, end, key.target.name))
    if isinstance(key.unit, int):
        yield key._replace(unit=key.unit + 1)
    elif key.unit is not None:
        yield key._replace(unit=(2, key.unit[1]))
        yield key._replace(unit=(1, key.unit[1] + 1))
    if key.function == "connect" and key.port is not None:
        yield key._replace(port=key.port + 1)
    if key.protocol == "modbus":
        yield key._replace(function="write_single_coil", function_code=5, access="write")
        yield key._replace(function="read_write_multiple_registers", function_code=23, access="write")
        yield key._replace(function="scan", port=None)


MODES = ("exact", "ranges", "functions")
FEW_SPACES = {
    "read_holding_registers": (3, "read"),
    "read_input_registers": (4, "read"),
    "write_single_register": (6, "write"),
    "write_multiple_registers": (16, "write"),
}
LAST = 48


def expected(times, mode, min_count):
    """What each function of a client at a unit of a server may touch, address by address, by the page's own words."""
    good, bad = {}, {}
    for key, n in times.items():
        kind = good if n >= min_count else bad
        kind.setdefault((*key[:4], key[4]), set()).update(range(key[5], key[6] + 1))
    out = {}
    for head, addresses in good.items():
        wide = set(addresses)
        if mode == "functions":
            access = FEW_SPACES[head[4]][1]
            for other, more in good.items():
                if other[:4] == head[:4] and FEW_SPACES[other[4]][1] == access:
                    wide |= more
        if mode != "exact":
            ordered = sorted(wide)
            for low, high in pairwise(ordered):
                if high - low - 1 <= 16:
                    wide.update(range(low, high))
        out[head] = wide - (bad.get(head, set()) - addresses)
    return out


@settings(max_examples=examples(45), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(MODES), st.integers(1, 2))
def test_a_mode_permits_what_it_says_address_by_address(data, mode, min_count):
    hosts, servers = ("10.0.2.10", "10.0.2.11"), ("10.0.1.11", "10.0.1.12")
    keys_ = st.tuples(*map(st.sampled_from, (hosts, servers, (1, 2))), st.just(0), st.sampled_from(sorted(FEW_SPACES)))
    times = {}
    for head in data.draw(st.lists(keys_, min_size=1, max_size=8)):
        low = data.draw(st.integers(0, 40))
        times[(*head, low, low + data.draw(st.integers(0, 6)))] = data.draw(st.integers(1, 2))
    records = [record(modbus(key, key[5], key[6]), n) for key, n in times.items()]
    draft = update(blank(records), "p", records, source="s", mode=mode, min_count=min_count)
    policy, known = load_bytes(draft.text.encode(), "p"), expected(times, mode, min_count)
    for key, n in times.items():
        verdict = policy.judge(modbus(key, key[5], key[6]), NOON)
        covered = set(range(key[5], key[6] + 1)) <= known.get(key[:5], set())
        assert verdict.permit == covered
        assert covered or (n < min_count and verdict.review == REASONS["few"])
    for head in product(hosts, servers, (1, 2, 3), (0,), FEW_SPACES):
        may = {address for address in range(LAST) if policy.judge(modbus(head, address, address), NOON).permit}
        assert may == known.get(head, set()), (head, draft.text)


def modbus(head, low, high):
    client, server, unit, _, function = head[:5]
    code, access = FEW_SPACES[function]
    space = "input_register" if code == 4 else "holding_register"
    return op(
        client, server, "modbus", function, access, function_code=code, unit=unit, target=Target(space, low, high)
    )


def test_the_text():
    seen = [
        record(op("10.0.2.10", server, target=registers(*span), function_code=3), 5, NOON + i * 10**9, NOON + i * 10**9)
        for i, span in enumerate([(0, 9), (10, 19), (40, 49)])
        for server in ("10.0.1.11", "10.0.1.13")
    ]
    seen.append(
        record(op("10.0.2.10", "10.0.1.11", function="read_coils", target=registers(0, 3, "coil"), function_code=1))
    )
    seen.append(record(op("10.0.2.30", "10.0.1.12", "s7comm", "plc_stop", "control", function_code=41), 2))
    seen.append(record(connect("10.0.2.10", "10.0.1.11", port=502)))
    seen.append(record(connect("10.0.2.10", "224.0.0.251", "udp", 5353)))
    text = learn(seen, site="water 3", timezone="Europe/Vienna", names={("default", "10.0.2.10"): "HMI-1"})
    assert (
        text
        == """\
# Learned by otmon: it permits what was seen. Read it before you trust it.
otmon: 1
site: water 3
timezone: Europe/Vienna
zones:
  # level 1 for plc: 10.0.1.11, 10.0.1.12, 10.0.1.13
  control: {level: 1, hosts: [10.0.1.0/24]}
  # level 2 for engineering: 10.0.2.30
  supervision: {level: 2, hosts: [10.0.2.0/24]}
  # level 3 for historian: 10.0.2.10
  operations: {level: 3, hosts: [10.0.2.10]}
assets:
  hmi-1: {hosts: [10.0.2.10], name: HMI-1}
conduits:
  - id: hmi-1-to-10.0.1.11
    from: [hmi-1]
    to: [10.0.1.11]
    allow:
      - protocol: modbus
        # seen 1 time, 2025-12-01T12:00:00Z to 2025-12-01T12:00:00Z, in traffic
        functions: [read_coils]
        units: [1]
        addresses: [0-3]
  - id: hmi-1-to-10.0.1.11-and-1-more
    from: [hmi-1]
    to: [10.0.1.11, 10.0.1.13]
    allow:
      - protocol: modbus
        # seen 30 times, 2025-12-01T12:00:00Z to 2025-12-01T12:00:02Z, in traffic
        functions: [read_holding_registers]
        units: [1]
        addresses: [0-19, 40-49]
review:
  - id: review-10.0.2.30-to-10.0.1.12
    reason: "it stops, starts, restarts or forces the device"
    from: [10.0.2.30]
    to: [10.0.1.12]
    operations:
      - protocol: s7comm
        # seen 2 times, 2025-12-01T12:00:00Z to 2025-12-01T12:00:00Z, in traffic
        functions: [plc_stop]
"""
    )


def test_hosts_with_the_same_rows_share_a_conduit():
    seen = [
        record(op(client, server, target=registers(0, 9)), 1)
        for client in ("10.0.2.10", "10.0.2.11")
        for server in ("10.0.1.11", "10.0.1.12", "10.0.1.13")
    ]
    data = parse(learn(seen).encode(), "p").data
    assert [(c["from"], c["to"]) for c in data["conduits"]] == [
        (["10.0.2.10", "10.0.2.11"], ["10.0.1.11", "10.0.1.12", "10.0.1.13"])
    ]
    assert len(data["conduits"][0]["allow"]) == 1
    assert "# seen 6 times," in learn(seen)


def test_realms_stay_apart():
    seen = [
        record(op("10.0.2.10", "10.0.1.11", target=registers(0, 9), realm="cell-1")),
        record(op("10.0.2.10", "10.0.1.11", target=registers(50, 59), realm="cell-2")),
    ]
    realms = Realms(("cell-1", "cell-2"), {101: "cell-1", 102: "cell-2"})
    policy = load_bytes(learn(seen, realms=realms).encode(), "p")
    assert policy.realms == realms
    for one, other in ((seen[0].key, seen[1].key), (seen[1].key, seen[0].key)):
        assert policy.judge(one, NOON).permit
        assert not policy.judge(one._replace(target=other.target), NOON).permit


def test_nothing_seen_is_a_valid_policy():
    policy = load_bytes(learn([]).encode(), "p")
    assert policy.zone_of("default", "10.0.0.1") == "outside"


@given(st.text().map(safe_text))
def test_quoted_text_is_read_as_itself(text):
    data = parse(f"a: {{x: {quote(text)}, y: [{quote(text)}]}}".encode(), "p").data
    assert data == {"a": {"x": text, "y": [text]}}


@pytest.mark.parametrize("protocol", ["modbus", "dnp3", "s7comm"])
def test_every_name_of_the_tables_may_stand_in_a_row(protocol):
    tables = __import__(f"otmon.protocols.{protocol}.tables", fromlist=["tables"])
    names = set()
    for maker in ("function_of", "job_function", "plus_function"):
        make = getattr(tables, maker, None)
        names |= {make(code).name for code in (*range(256), 0x4BB, 0xFFFF)} if make else set()
    if protocol == "s7comm":
        names |= {tables.userdata_function(group, sub).name for group in range(16) for sub in range(256)}
    assert names
    assert [name for name in sorted(names) if not is_function(protocol, name)] == []
    assert not any(is_function(protocol, name) for name in ("", "read_everything", "function_", "Read", "*"))
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
