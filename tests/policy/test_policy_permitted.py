"""The boxes of a policy beside its judge: the same operations, values and moments are permitted."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.engine import analyze
from otmon.model import Op, Target
from otmon.policy.axes import Axes
from otmon.policy.functions import triples
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.permitted import permitted
from tests.effort import examples
from tests.policy.policy_kit import NOON, connect, op, registers
from tests.policy.test_policy_brute_force import LAST, cases, load

ROOT = Path(__file__).parents[2]
DAY = 86_400 * 10**9
MOMENTS = (NOON, NOON + DAY, NOON + DAY // 2)


def agree(policy, space, key, ts_ns):
    verdict = policy.judge(key, ts_ns)
    assert space.has(key, ts_ns) == verdict.permit
    if verdict.permit and key.target is not None and key.target.start is not None:
        for address in range(key.target.start, min(key.target.end, key.target.start + LAST) + 1):
            at = key._replace(target=key.target._replace(start=address, end=address))
            element = Op(*key[7:10], key.unit, at.target)
            for value in (*range(LAST + 2), 2.5, -1, float("nan"), float("inf")):
                expected = policy.judge_values(at, [(element, value)], ts_ns).permit
                assert space.has(at, ts_ns, value) == expected, (address, value)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_boxes_are_the_judge(case):
    spec, keys = case
    policy = load(spec)
    space = permitted(policy, Axes([policy]))
    for number, key in enumerate(keys):
        agree(policy, space, key, MOMENTS[number % len(MOMENTS)])


# --- who: realms, nested and unmonitored zones, outside, chatter ------------------------------------------------------
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.255", "10.1.0.1", "10.2.0.9", "224.0.0.1", "169.254.1.1", "fe80::1", "::"]
ADDRESSES += ["02:00:00:00:00:01", "01:00:5e:00:00:01", "255.255.255.255", "fd00::5", "no address", "0.0.0.0"]
who = st.sampled_from(["any", "outside", "plant", "cell", "office", "10.0.0.0/24", "fd00::/64", "02:00:00:00:00:01"])
realm = st.sampled_from([None, "east", "west"])
zone = st.fixed_dictionaries({"monitored": st.sampled_from([None, True, False]), "realm": realm})
WINDOWS = [
    {"days": ["mon"]},
    {"hours": "10:00-13:00"},
    {"until": "2025-12-01"},
    {"hours": "22:00-06:00", "days": "sun"},
    {"from": "2025-11-30", "hours": "10:00-13:00"},
    {"from": "2025-11-30T12:00", "until": "2025-12-02", "ticket": "CHG-1"},
    {"permit": "required"},
]
during = st.one_of(st.none(), st.none(), st.sampled_from(WINDOWS))
wide_rows = [
    {"protocol": "udp"},
    {"protocol": "udp", "ports": [53, 137]},
    {"protocol": "tcp", "ports": ["1-65535"]},
    {"protocol": "tcp", "ports": [502], "functions": ["connect"]},
    {"protocol": "icmp"},
    {"protocol": "ip", "numbers": [4, 89]},
    {"protocol": "modbus", "access": ["write"], "values": ["0-2", "5-6"]},
    {"protocol": "modbus", "functions": [3], "units": [0, 1], "targets": [{"space": "holding_register"}]},
    {"protocol": "modbus", "targets": [{"space": "file", "names": ["a", "b"], "ranges": ["0-3"]}, {"space": "file"}]},
    {"protocol": "modbus", "targets": [{"space": "file", "names": ["a"]}, {"space": "file", "ranges": ["2-5"]}]},
    {"protocol": "modbus", "targets": [{"space": "file", "names": ["a"]}]},
    {"protocol": "dnp3", "master": 1, "outstation": [10], "objects": ["g12 0-3"]},
    {"protocol": "s7comm", "functions": ["download"], "port": 102},
]
some_rows = st.lists(st.sampled_from(wide_rows), min_size=1, max_size=3)


@st.composite
def sites(draw):
    limits = draw(
        st.lists(st.fixed_dictionaries({"from": who, "to": who, "rows": some_rows, "during": during}), max_size=4)
    )
    plant, cell = draw(zone), draw(zone)
    if plant["realm"] is not None:
        cell["realm"] = plant["realm"]
    rule_realm = draw(st.sampled_from([None, None, "east"]))
    rules = [
        {"from": rule["from"], "to": rule["to"], "during": rule["during"]}
        | ({"realm": rule_realm} if rule["to"] == rule["from"] == "any" else {})
        for rule in limits
    ]
    zones = {
        "plant": {"hosts": ["10.0.0.0/24", "fd00::/64"], **plant},
        "cell": {"hosts": ["10.0.0.0/31"], **cell},
        "office": {"hosts": ["10.1.0.0/16", "02:00:00:00:00:01"], **draw(zone)},
    }
    cut = draw(st.integers(0, len(rules)))
    for rule in rules[cut:]:
        if "permit" in (rule["during"] or {}):  # only what permits waits for one
            rule["during"] = None
    never_rows = [[{k: v for k, v in row.items() if k != "values"} for row in rule["rows"]] for rule in limits]
    rules = [{key: value for key, value in rule.items() if value is not None} for rule in rules]
    return {
        "otmon": 1,
        "timezone": draw(st.sampled_from(["UTC", "Europe/Vienna"])),
        "chatter": draw(st.sampled_from(["permit", "deny"])),
        "realms": {"east": {"vlans": 1}, "west": {"vlans": 2}},
        "zones": {name: {k: v for k, v in found.items() if v is not None} for name, found in zones.items()},
        "conduits": [
            {"id": f"c{n}", **rule, "allow": limits[n]["rows"]} for n, rule in enumerate(rules[:cut])
        ],
        "never": [
            {**rule, "operations": never_rows[cut + n]} if n % 2 == 0 else rule for n, rule in enumerate(rules[cut:])
        ],
    }  # fmt: skip


PLAIN = [("tcp", 502, "connect"), ("tcp", None, "scan"), ("udp", 137, "connect"), ("udp", 53, "connect")]
PLAIN += [("icmp", None, "connect"), ("ip", 4, "connect"), ("ip", 89, "connect")]
SPOKEN = [
    ("modbus", (6, "write_single_register", "write"), registers(2, 5), 0),
    ("modbus", (3, "read_holding_registers", "read"), registers(2, 5), 1),
    ("modbus", (20, "read_file_record", "read"), registers(3, 3, "file"), 1),
    ("modbus", (20, "read_file_record", "read"), registers(2, 3, "file")._replace(name="a"), 1),
    ("modbus", (20, "read_file_record", "read"), registers(4, 5, "file")._replace(name="c"), 1),
    ("dnp3", (4, "operate", "control"), registers(1, 2, "g12"), (1, 0xFFFF)),
    ("dnp3", (130, "unsolicited_response", "read"), None, (1, 10)),
    ("s7comm", (27, "download_block", "program"), None, None),
]


@st.composite
def spoken(draw):
    client, server = draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from(ADDRESSES))
    realm = draw(st.sampled_from(["default", "east", "west"]))
    if draw(st.booleans()):
        protocol, port, function = draw(st.sampled_from(PLAIN))
        return connect(client, server, protocol, port, function)._replace(realm=realm)
    protocol, (code, name, access), target, unit = draw(st.sampled_from(SPOKEN))
    return op(client, server, protocol, name, access, function_code=code, target=target, unit=unit, realm=realm)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites(), st.lists(spoken(), min_size=10, max_size=30))
def test_boxes_are_the_judge_for_hosts_realms_chatter_and_times(site, keys):
    policy = load_bytes(json.dumps(site).encode(), "p")
    space = permitted(policy, Axes([policy]))
    for number, key in enumerate(keys):
        agree(policy, space, key, MOMENTS[number % len(MOMENTS)])


MORE_TARGETS = [
    None,
    Target("file"),
    Target("file", name="a"),
    Target("file", 3, 3, "b"),
    Target("g12"),
    Target("coil"),
]
MORE_UNITS = {
    "modbus": [0, 1, 2],
    "dnp3": [(1, 10), (2, 10), (1, 11), (1, 0xFFFB), (1, 0xFFFC), (1, 0xFFFF)],
    "s7comm": [None],
}
EVERY_OP = [
    op("10.0.0.1", "10.0.0.2", protocol, name, access, function_code=code, target=wanted, unit=unit)
    for protocol, (code, name, access), target, _ in SPOKEN
    for wanted in (target, *MORE_TARGETS)
    for unit in MORE_UNITS[protocol]
] + [connect("10.0.0.1", "10.0.0.2", protocol, port, function) for protocol, port, function in PLAIN]


@pytest.mark.parametrize("number", range(len(wide_rows)))
@pytest.mark.parametrize("never", [False, True])
def test_every_row_beside_the_judge_for_every_operation(number, never):
    row = {key: value for key, value in wide_rows[number].items() if not never or key != "values"}
    everything = [{"protocol": protocol} for protocol in ("modbus", "dnp3", "s7comm", "tcp", "udp", "icmp", "ip")]
    site = {"otmon": 1, "zones": {"plant": {"hosts": ["10.0.0.0/24"]}}}
    site["conduits"] = [{"id": "c", "from": "any", "to": "any", "allow": everything if never else [row]}]
    site["never"] = [{"to": "any", "operations": [row]}] if never else []
    policy = load_bytes(json.dumps(site).encode(), "p")
    space = permitted(policy, Axes([policy]))
    said = {space.has(key, NOON) for key in EVERY_OP if agree(policy, space, key, NOON) is None}
    assert said == {True, False}


def test_every_function_of_our_captures_is_on_the_axis():
    captures = sorted(str(path) for path in (ROOT / "captures").glob("*.pcap"))
    part = analyze(captures, policy=None, messages_path=None, jobs=1, progress=None, notice=None).part
    seen = {(record.key.protocol, record.key[7:10]) for record in part.operations}
    assert len(seen) > 60
    assert not {(protocol, triple) for protocol, triple in seen if triple not in triples(protocol)}
    policy = load_policy(ROOT / "rules" / "plant.yaml")
    space = permitted(policy, Axes([policy]))
    for record in part.operations:
        assert space.has(record.key, NOON) == policy.judge(record.key, NOON).permit
