"""Replay beside what the engine said when it saw the traffic, and beside the judge, moment by moment."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.cli import run
from otmon.model import Target
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.replay import Finding, Outcome, Replay, Seen, compare, worst
from otmon.policy.verdict import SEVERITIES
from otmon.store.database import SiteDatabase
from tests.policy.policy_kit import NOON, op, policy, registers, sightings

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "rules" / "plant.yaml"
DAY = 86_400 * 10**9
HOUR = DAY // 24


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "out"
    capture = str(ROOT / "captures" / "plant.pcap")
    assert run(["analyze", capture, "--policy", str(PLANT), "--out", str(folder)]) == 0
    return folder / "site.db"


def test_stored_operations_come_back_whole_and_judged_as_then(data):
    with SiteDatabase(data) as results:
        expected = results.operations
        groups = list(results.groups())
    again = [
        (key._replace(target=seen.target), seen.times, seen.first_ts_ns, seen.last_ts_ns)
        for key, targets in groups
        for seen in targets
    ]
    assert again == [(o.key, o.counts.attempted, o.first_ts_ns, o.last_ts_ns) for o in expected]
    replay = Replay(load_policy(PLANT))
    found = [replay.outcomes(key, targets) for key, targets in groups]
    flat = [outcome for outcomes in found for outcome in outcomes]
    verdicts = [("permit" if o.permit else "deny", o.row and o.row.id) for o in flat]
    assert verdicts == [(operation.verdict, operation.row) for operation in expected]


def test_what_it_would_have_alerted_on_is_what_it_alerted_on(data):
    replay = Replay(load_policy(PLANT))
    with SiteDatabase(data) as results:
        replay.run(results.groups())
        alerts = [alert for alert in results.alerts if alert["kind"] in ("segmentation", "command")]
    told = {(f.severity, f.kind, f.function, f.row) for f in replay.denied}
    rows = {
        (a["severity"], a["kind"], a["operation"]["function"], a["row"] or (a["nearest"] or {}).get("row"))
        for a in alerts
    }
    assert told == rows
    assert {f.severity for f in replay.denied} <= set(SEVERITIES)


WINDOWED = """
    otmon: 1
    timezone: UTC
    zones: {plant: {hosts: [10.0.0.0/24]}}
    conduits:
      - {id: always, from: any, to: any, allow: [{protocol: modbus, access: read}]}
      - id: mornings
        from: any
        to: any
        during: {hours: 08:00-13:00}
        allow: [{protocol: modbus, functions: [write_single_register], addresses: 0-9}]
    never:
      - {id: nights, to: 10.0.0.9, during: {hours: 00:00-06:00}, operations: [{protocol: modbus, access: write}]}
"""


@pytest.mark.parametrize("server", ["10.0.0.2", "10.0.0.9"])
@pytest.mark.parametrize("function", [("read_coils", "read", 1), ("write_single_register", "write", 6)])
def test_windows_are_asked_at_the_first_and_the_last_time(server, function):
    name, access, code = function
    rules: Policy = policy(WINDOWED)
    key = op("10.0.0.1", server, function=name, access=access, function_code=code)
    moments = [NOON - 9 * HOUR, NOON - 2 * HOUR, NOON, NOON + 2 * HOUR]
    pairs = [(first, last) for first in moments for last in moments if first <= last]
    seen = sightings(*(Seen(registers(3), 1, first, last) for first, last in pairs))
    fresh = policy(WINDOWED)
    at = key._replace(target=registers(3))
    expected = [all(fresh.judge(at, ts_ns).permit for ts_ns in pair) for pair in pairs]
    assert [outcome.permit for outcome in Replay(rules).outcomes(key, seen)] == expected
    assert access == "read" or len(set(expected)) == 2


def test_comparing_two_policies_counts_what_changes():
    old, new = policy(WINDOWED), policy(WINDOWED.replace("access: read", "functions: [read_coils]"))
    reads = op("10.0.0.1", "10.0.0.2", function_code=3)
    coils = op("10.0.0.1", "10.0.0.2", function="read_coils", function_code=1)
    seen = sightings(*(Seen(registers(n), 5, NOON, NOON) for n in range(4)))
    bits = sightings(Seen(Target("coil", 1, 1), 5, NOON, NOON))
    changes = compare(Replay(old), Replay(new), [(reads, seen), (coils, bits)])
    ((change, tally),) = changes.items()
    assert (change.allowed, change.row, change.finding.row) == (False, "always", "always")
    assert (tally.operations, tally.times) == (4, 20)
    (back,) = compare(Replay(new), Replay(old), [(reads, seen), (coils, bits)])
    assert back.allowed


RANGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)).map(lambda at: f"{at[0]}-{sum(at)}"), min_size=1)
LIMITS = [
    RANGES.map(lambda ranges: {"protocol": "modbus", "addresses": ranges}),
    RANGES.map(lambda ranges: {"protocol": "modbus", "targets": [{"space": "file", "names": ["a"], "ranges": ranges}]}),
    RANGES.map(lambda ranges: {"protocol": "modbus", "targets": [{"space": "file", "ranges": ranges}]}),
    st.just({"protocol": "modbus", "functions": ["write_single_register"]}),
    st.just({"protocol": "modbus", "targets": [{"space": "file", "names": ["b"]}]}),
]
ENDS = st.one_of(st.none(), st.integers(0, 6))
FILES = [("file", "a"), ("file", "b"), ("file", None)]
PLACES = st.sampled_from([("holding_register", None)] * 4 + [("coil", None), *FILES])
TARGETS = st.one_of(
    st.none(),
    st.tuples(PLACES, st.one_of(st.none(), st.integers(0, 25)), ENDS).map(
        lambda at: Target(at[0][0], at[1], None if None in at[1:] else at[1] + at[2], at[0][1])
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(LIMITS), min_size=1, max_size=5),
    st.lists(st.tuples(TARGETS, st.integers(1, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30),
    st.booleans(),
)
def test_many_at_once_is_one_by_one(rows, found, never):
    text = {"otmon": 1, "zones": {"plant": {"hosts": "10.0.0.0/24"}}}
    text["conduits"] = [{"id": "c", "from": "any", "to": "any", "allow": rows}]
    if never:
        text["never"] = [{"to": "any", "operations": [{"protocol": "modbus", "addresses": [3]}]}]
    seen = [Seen(target, times, NOON + first, NOON + first + more) for target, times, first, more in found]
    key = op("10.0.0.1", "10.0.0.2")
    many, single = (Replay(load_bytes(json.dumps(text).encode(), "p")) for _ in range(2))
    many.run([(key, sightings(*seen))])
    tallies = {}
    for item in seen:
        cover = single.policy.cover(key, NOON)
        decided = single.policy.decide(cover, key._replace(target=item.target))
        single.count(key, item, Outcome(*decided, item.first_ts_ns), tallies)
    assert result(many) == result(single)


def result(replay):
    """All that a replay says, in its order."""
    tallies = [*replay.permitted.items(), *replay.denied.items()]
    return replay.operations, [
        (name, t.example, t.why, t.operations, t.times, t.first_ts_ns, t.last_ts_ns) for name, t in tallies
    ]


def test_findings_without_a_row_are_sorted_beside_those_with_one():
    near = Finding("high", "segmentation", "c", False, "plant", "outside", "tcp", "connect")
    none, worse = near._replace(row=None), near._replace(severity="critical")
    assert sorted([near, none, worse], key=worst) == [worse, none, near]
