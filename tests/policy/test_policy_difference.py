"""The difference of two policies beside both judges, and in words."""

import json
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.policy import space
from otmon.policy.difference import difference
from otmon.policy.difference_report import entries
from otmon.policy.load import load_bytes
from otmon.policy.space import holds, intersect
from tests.effort import examples
from tests.policy.policy_kit import policy, registers
from tests.policy.test_policy_brute_force import LAST, cases, load
from tests.policy.test_policy_permitted import MOMENTS, sites, spoken

PLANT = (Path(__file__).parents[2] / "rules" / "plant.yaml").read_text()
BASE = """
    otmon: 1
    timezone: UTC
    zones:
      control: {hosts: [10.0.1.0/24]}
      panels: {hosts: [10.0.2.0/24]}
    conduits:
      - id: polls
        from: panels
        to: control
        allow:
          - {protocol: modbus, functions: [read_holding_registers], units: 1, addresses: 0-99}
          - {protocol: modbus, functions: [write_single_register], addresses: 40-49, values: 0-100}
"""


def told(old, new):
    return [(e.change.allowed, e.cause, e.never, *e.sentences()) for e in entries(difference(old, new))]


def compare(old, new, keys):
    """As the policies are, and as if somebody had opened every permit."""
    found = difference(old, new)
    opened = old.opened(), new.opened()
    for number, key in enumerate(keys):
        ts_ns = MOMENTS[number % len(MOMENTS)]
        for at in [key] if key.target is None or key.target.start is None else points(key):
            agree(found, (old, new), at, ts_ns, {w for w in found.axes.windows if w.open(ts_ns)})
            agree(found, opened, at, ts_ns, {w for w in found.axes.windows if w.could_open(ts_ns)})


def agree(found, policies, at, ts_ns, windows):
    (situation,) = (n for n, known in enumerate(found.axes.situations) if known.open == windows)
    old, new = policies
    before, after = old.judge(at, ts_ns).permit, new.judge(at, ts_ns).permit
    point = [*(side[0][0] for side in found.axes.box(at, ts_ns)[:-1]), situation]
    for allowed, expected in ((True, after > before), (False, before > after)):
        inside = [change for change in found.changes if change.allowed == allowed]
        hit = [change for change in inside if any(holds(side, point) for side in change.boxes)]
        # What a row only implies is not told beside what it says.
        if expected and not hit:
            row = (new if allowed else old).judge(at, ts_ns).row
            assert row in {change.cause.row.id for change in inside if change.cause.row is not None}
        assert expected or all(change.partly for change in hit)


def points(key):
    for address in range(key.target.start, min(key.target.end, key.target.start + LAST) + 1):
        yield key._replace(target=registers(address, None, key.target.space))


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases, cases)
def test_difference_is_where_the_judges_differ(old, new):
    compare(load(old[0]), load(new[0]), old[1] + new[1])


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites(), sites(), st.lists(spoken(), min_size=20, max_size=40))
def test_difference_of_zones_realms_and_times(old, new, keys):
    old, new = (load_bytes(json.dumps(site).encode(), "p") for site in (old, new))
    compare(old, new, keys)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites(), st.randoms())
def test_the_order_of_the_file_means_nothing(site, random):
    other = json.loads(json.dumps(site))
    for conduit in other["conduits"]:
        random.shuffle(conduit["allow"])
    random.shuffle(other["conduits"])
    assert told(*(load_bytes(json.dumps(spec).encode(), "p") for spec in (site, other))) == []


SAME = {
    "a range in two": ("addresses: 0-99", "addresses: [0-49, 50-99]"),
    "codes for names": ("read_holding_registers", "3"),
    "values in two": ("values: 0-100", "values: [0-60, 50-100]"),
    "a zone written out": ("from: panels", "from: 10.0.2.0/24"),
    "notes": ("values: 0-100", "values: 0-100, note: as drawn"),
    "access that the function has": ("functions: [write_single_register]", "functions: [6], access: write"),
}


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_two_files_that_mean_the_same(old, new):
    assert old in BASE
    assert told(policy(BASE), policy(BASE.replace(old, new))) == []


READS = "panels -> control: modbus read_holding_registers, unit 1, "
WRITES = "panels -> control: modbus write_single_register, addresses 40-49, "
CHANGES = {
    ("0-99", "5-120"): [f"+1 {READS}addresses 100-120", f"-1 {READS}addresses 0-4"],
    ("0-100}", "10-200}"): [f"+2 {WRITES}values above 100 and up to 200", f"-2 {WRITES}values from 0 and below 10"],
    ("values: 0-100", "port: 502"): [
        "+2 panels -> control: modbus write_single_register, port 502, addresses 40-49, values below 0, above 100",
        "-2 panels -> control: modbus write_single_register, port 0-501, 503-65535, addresses 40-49, values 0-100",
    ],
    ("units: 1", "units: [1, 7]"): [f"+1 {READS.replace('unit 1', 'unit 7')}addresses 0-99"],
    ("from: panels", "from: [panels, 10.0.3.7]"): [
        f"+1 {READS.replace('panels', '10.0.3.7')}addresses 0-99",
        f"+2 {WRITES.replace('panels', '10.0.3.7')}values 0-100",
    ],
    ("to: control\n", "to: control\n        during: {permit: required}\n"): [
        f"-1 {READS}addresses 0-99, except with a permit",
        f"-2 {WRITES}values 0-100, except with a permit",
    ],
    ("to: control\n", "to: control\n        during: {hours: 08:00-17:00}\n"): [
        f"-1 {READS}addresses 0-99, except during 08:00-17:00",
        f"-2 {WRITES}values 0-100, except during 08:00-17:00",
    ],
}


@pytest.mark.parametrize("edit", CHANGES, ids=[new for _, new in CHANGES])
def test_changes_in_words(edit):
    old, new = edit
    assert old in BASE
    found = told(policy(BASE), policy(BASE.replace(old, new)))
    lines = [f"{'+' if allowed else '-'}{cause[-1]} {text}" for allowed, cause, never, text in found if never is None]
    assert lines == CHANGES[edit]


def test_a_never_row_and_what_it_takes_away():
    never = dedent(BASE) + dedent(
        """
        never:
          - {id: safe, to: 10.0.1.7, operations: [{protocol: modbus, access: write}]}
        """
    )
    expected = "panels -> 10.0.1.7: modbus write_single_register, addresses 40-49, values 0-100"
    assert told(policy(BASE), policy(never)) == [(False, "polls/2", "safe", expected)]
    assert told(policy(never), policy(BASE)) == [(True, "polls/2", "safe", expected)]


def test_a_zone_that_is_no_longer_watched():
    old, new = policy(BASE), policy(BASE.replace("panels: {hosts", "panels: {monitored: false, hosts"))
    assert [line[:2] for line in told(old, new)] == [(True, "hosts that are not monitored")]
    assert "panels -> any but control: everything" in told(old, new)[0]


def test_of_rows_that_end_on_one_day_each_is_told_with_its_own_ticket():
    rows = "".join(
        f"""
      - id: accepted-{number}
        from: panels
        to: control
        during: {{until: 2027-03-01, ticket: OT-{number}, approver: A. Mayer}}
        allow: [{{protocol: modbus, functions: [write_single_coil], addresses: {number}}}]"""
        for number in (1, 2)
    )
    assert [text.partition(", during ")[2] for *_, text in told(policy(BASE), policy(BASE + rows))] == [
        "until 2027-03-01 (OT-1, A. Mayer)",
        "until 2027-03-01 (OT-2, A. Mayer)",
    ]


def test_thousands_of_rows_beside_quite_another_policy_take_no_minutes(monkeypatch):
    """What is no row's is taken away first; else chatter is torn to pieces by each row of each."""
    rows = "".join(
        f"  - {{id: c{n}, from: 10.0.{100 + n // 250}.{n % 250 + 1}, to: control, allow: [{{protocol: modbus}}]}}\n"
        for n in range(600)
    )
    many = policy(f"otmon: 1\nzones: {{control: {{hosts: [10.0.1.0/24]}}}}\nconduits:\n{rows}")
    counted = Counter()

    def counting(first, second):
        counted["boxes"] += 1
        return intersect(first, second)

    monkeypatch.setattr(space, "intersect", counting)
    changes = difference(many, load_bytes(PLANT.encode(), "p")).changes
    assert sum(not change.allowed for change in changes) >= 600
    assert counted["boxes"] < 100_000
