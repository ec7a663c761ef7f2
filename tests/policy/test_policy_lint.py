"""`otmon policy check`: what it says of rows is true of every operation of a small world."""

import copy
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.model import Op
from otmon.policy.lint import look
from otmon.policy.load import load_source
from otmon.policy.replay import Seen
from otmon.policy.usage import Usage
from tests.policy.policy_kit import NOON, PORTS, connect, op, registers, sightings
from tests.policy.test_policy_brute_force import (
    FUNCTIONS,
    HOSTS,
    address_fits,
    fits,
    is_implied,
    load,
    operations,
    policies,
    reference,
    rows,
    selected,
    selector,
    text_of,
)

NARROWER = {"any": "plant", "plant": "10.0.0.2", "outside": "10.0.0.5", "10.0.0.0/30": "10.0.0.2", "office": "10.0.0.4"}


@st.composite
def crowded(draw, focus):
    """A policy in which rows come again, as they are or with one key more or less."""
    spec = draw(policies(focus))
    spec["never"] += draw(
        st.lists(
            st.fixed_dictionaries(
                {"to": selector, "operations": st.lists(rows(focus, never=True), min_size=1, max_size=2)}
            ),
            max_size=2,
        )
    )
    for number in draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)):
        again = copy.deepcopy(spec["conduits"][number % len(spec["conduits"])])
        for end in ("from", "to"):
            if draw(st.booleans()) and isinstance(again[end], str):
                again[end] = NARROWER.get(again[end], again[end])
        for row in again["allow"]:
            key = draw(st.sampled_from(["", *(key for key in row if key != "protocol")]))
            row.pop(key, None)
        spec["conduits"].insert(draw(st.integers(0, len(spec["conduits"]))), again)
    return spec


def world(focus):
    """Every operation of one protocol, and what carries it, between some hosts."""
    for client, server in product((HOSTS[0], HOSTS[1], HOSTS[4]), (HOSTS[0], HOSTS[3])):
        for port in (80, 502, 20000, 102, 5020):
            yield connect(client, server, port=port)
        if focus == "tcp":
            yield connect(client, server, function="scan")
            continue
        units = {"modbus": (0, 1, 2), "dnp3": ((1, 10), (2, 11), (1, 65535)), "s7comm": (None,)}[focus]
        for unit, (name, code, access, space) in product(units, FUNCTIONS[focus]):
            targets = [None] if space is None else [None, *(registers(n, None, space) for n in (0, 3, 4, 7))]
            for port, target in product((PORTS[focus], 5020), targets if space != "block" else [None]):
                yield op(client, server, focus, name, access, function_code=code, target=target, unit=unit, port=port)


def without(spec, gone):
    """The policy without these rows."""
    out = copy.deepcopy(spec)
    for n, conduit in enumerate(out["conduits"]):
        found = enumerate(conduit["allow"], 1)
        several = len(conduit["allow"]) > 1
        conduit["allow"] = [row for i, row in found if (f"c{n}/{i}" if several else f"c{n}") not in gone]
    for n, never in enumerate(out["never"], 1):
        several = len(never.get("operations", ())) > 1
        if "operations" in never:
            found = enumerate(never["operations"], 1)
            never["operations"] = [
                row for i, row in found if (f"never/{n}/{i}" if several else f"never/{n}") not in gone
            ]
    out["never"] = [n for i, n in enumerate(out["never"], 1) if n.get("operations", f"never/{i}" not in gone)]
    return out


def rows_of(spec):
    for n, conduit in enumerate(spec["conduits"]):
        for i, row in enumerate(conduit["allow"], 1):
            yield f"c{n}/{i}" if len(conduit["allow"]) > 1 else f"c{n}", conduit, row


def found_in(spec, usage=None):
    source = load_source(text_of(spec).encode(), "p")
    return source, [(finding.rule, finding.says) for finding in look(source, usage).findings]


def named(findings, *rules):
    return {says.split()[1] for rule, says in findings if rule in rules}


def speaks(conduit, row, key):
    """The row names the operation, as far as its target does not matter."""
    between = selected(conduit["from"], key.client) and selected(conduit["to"], key.server)
    implied = row["protocol"] in PORTS and row["protocol"] == key.protocol and is_implied(row, key)
    return between and row["protocol"] == key.protocol and fits(row, key) and not implied


def says_the_same(old, new, key):
    before, after = old.judge(key, NOON), new.judge(key, NOON)
    assert before.permit == after.permit, key
    if before.permit and key.access in ("write", "control") and key.target is not None:
        element = Op(*key[7:10], key.unit, key.target)
        for value in (0, 3, 7):
            said = [policy.judge_values(key, [(element, value)], NOON).permit for policy in (old, new)]
            assert said[0] == said[1], (key, value)


focused = st.sampled_from(["modbus", "modbus", "dnp3", "s7comm", "tcp"]).flatmap(
    lambda focus: st.tuples(st.just(focus), crowded(focus))
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(focused)
def test_what_is_said_of_rows_holds_for_every_operation(case):
    focus, spec = case
    source, findings = found_in(spec)
    reduced = load(without(spec, named(findings, "shadowed-row", "duplicate-row")))
    contradictory, empty = named(findings, "contradictory-row"), named(findings, "empty-row")
    silent = {says.split()[-1].rstrip(".") for rule, says in findings if rule == "unreachable-zone"}
    zones = {"plant": HOSTS[:3], "cell": HOSTS[:1], "office": HOSTS[3:4]}
    for key in world(focus):
        says_the_same(source.policy, reduced, key)
        verdict = source.policy.judge(key, NOON)
        for name, conduit, row in rows_of(spec) if contradictory or empty else ():
            if speaks(conduit, row, key) and (key.target is None or address_fits(row, key, key.target.start)):
                assert name not in empty
                # A target that is not known is none that a `never` row names.
                assert name not in contradictory or key.target is None or (verdict.row or "").startswith("never/")
        for zone in silent if verdict.row is not None and verdict.permit and key.function != "connect" else ():
            implied = key.function in ("confirm", "setup_communication", "unsolicited_response")
            assert implied or not {key.client, key.server} & set(zones[zone]), zone


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["modbus", "dnp3", "s7comm"]).flatmap(
        lambda focus: st.tuples(crowded(focus), st.lists(operations(focus), max_size=12))
    )
)
def test_rows_that_were_never_hit_can_go(case):
    spec, keys = case
    keys = [
        key for key in keys if key.function not in ("connect", "confirm", "setup_communication", "unsolicited_response")
    ]
    source = load_source(text_of(spec).encode(), "p")
    usage = Usage(source.policy)
    usage.run([(key._replace(target=None), sightings(Seen(key.target, 1, NOON, NOON))) for key in keys])
    findings = found_in(spec, usage)[1]
    reduced = without(spec, named(findings, "never-hit-row"))
    for key in keys:
        assert reference(spec, key) == reference(reduced, key)
    for name, conduit, row in rows_of(spec):
        used = any(
            speaks(conduit, row, key) and conduit.get("during") is None and reference(spec, key) in ("permit",)
            and key.target is not None and key.target.start is not None
            and any(address_fits(row, key, at) for at in range(key.target.start, key.target.end + 1))
            for key in keys
        )  # fmt: skip
        assert not (used and name in named(findings, "never-hit-row")), name


def test_a_row_that_names_what_comes_with_every_row_is_not_empty():
    setup = {"protocol": "s7comm", "functions": ["setup_communication"]}
    conduit = {"from": "plant", "to": "office", "allow": [setup]}
    spec = {"cell": True, "office": True, "never": [], "conduits": [conduit]}
    assert not named(found_in(spec)[1], "empty-row")


def test_a_row_that_waits_for_a_permit_is_not_empty():
    text = """\
otmon: 1
site: s
timezone: Europe/Berlin
zones: {cell: {hosts: [10.0.0.0/30]}, office: {hosts: [10.0.0.4]}}
conduits:
  - id: work
    from: office
    to: cell
    during: {permit: required, days: [mon], hours: 06:00-18:00}
    allow: [{protocol: s7comm, functions: [plc_stop]}]
"""
    findings = look(load_source(text.encode(), "p")).findings
    assert not [one for one in findings if one.rule == "empty-row"], findings
