"""Windows beside the C library's clock (a POSIX time zone, no database), minute by minute, over both clock changes."""

import json
import os
import random
import time
from datetime import UTC, datetime

import pytest

from otmon.policy.fields import DAYS
from otmon.policy.load import load_bytes
from otmon.policy.windows import Window, make_window, situations
from tests.policy.policy_kit import connect

MINUTE_NS = 60 * 10**9
FOREVER = 2**63 - 1
WEEKS = [datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 10, 22, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)]
"""Clocks go forward on 29 March, back on 25 October; July is quiet."""
MINUTES = 9 * 24 * 60


@pytest.fixture
def vienna():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def is_open(during, ts_s):
    local = time.localtime(ts_s)
    minute, day = local.tm_hour * 60 + local.tm_min, local.tm_wday
    days = [DAYS.index(name) for name in during.get("days", DAYS)]
    if "until" in during and time.strftime("%Y-%m-%dT%H:%M", local) >= during["until"]:
        return False
    if "hours" not in during:
        return day in days
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in during["hours"].split("-"))
    if start < end:
        return day in days and start <= minute < end
    return (day in days and minute >= start) or ((day - 1) % 7 in days and minute < end)


def load(*durings):
    conduits = [
        {"id": f"c{i}", "from": f"10.0.0.{i + 1}", "to": "any", "during": during, "allow": [{"protocol": "icmp"}]}
        for i, during in enumerate(durings)
    ]
    document = {
        "otmon": 1,
        "timezone": "Europe/Vienna",
        "zones": {"a": {"hosts": ["10.0.0.0/24"]}},
        "conduits": conduits,
    }
    return load_bytes(json.dumps(document).encode(), "p")


WINDOWS = [
    {"hours": "02:30-03:00"},
    {"hours": "02:00-03:30"},
    {"hours": "01:00-02:15", "days": ["sun"]},
    {"hours": "22:00-06:00", "days": ["sat"]},
    {"hours": "08:00-17:00", "days": ["mon", "tue"]},
    {"hours": "00:00-24:00", "days": ["sun"]},
    {"hours": "17:30-00:00"},
    {"days": ["sun"]},
    {"days": list(DAYS)},
    {"hours": "02:40-02:50", "until": "2026-10-25T02:45"},
    {"hours": "08:00-17:00", "until": "2026-03-30T12:00"},
    {"until": "2026-03-29T02:30"},
    {"until": "2026-10-25T02:30"},
    {"from": "2026-03-29T02:30"},
    {"from": "2026-10-25T02:30"},
    {"from": "2026-10-25T02:30", "until": "2026-10-25T02:45"},
    {"from": "2026-03-30T12:00", "until": "2026-10-25T09:00", "hours": "08:00-17:00", "days": ["mon", "sun"]},
]


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize("during", WINDOWS, ids=json.dumps)
def test_open_and_horizon_minute_by_minute(during):
    policy = load(during)
    op = connect("10.0.0.1", "10.0.0.9", "icmp")
    for week in WEEKS:
        start = int(week.timestamp())
        states = [is_open(during, start + minute * 60) for minute in range(MINUTES)]
        if during.get("until", "").startswith("2026-10-25T02"):
            # The C library's clock shows 02:30 twice; a window that has ended does not open again.
            states = close_for_good(during, start, states)
        if "from" in during:
            states = [state and begun for state, begun in zip(states, begins(during, start), strict=True)]
        at = 0
        while at < MINUTES:
            ts_ns = (start + at * 60) * 10**9
            assert policy.judge(op, ts_ns).permit == states[at], time.ctime(start + at * 60)
            change = next((i for i in range(at + 1, MINUTES) if states[i] != states[at]), None)
            horizon = policy.horizon(ts_ns)
            if change is None:
                assert horizon >= (start + MINUTES * 60) * 10**9 or horizon == FOREVER
                break
            assert horizon == (start + change * 60) * 10**9
            assert policy.judge(op, horizon - 1).permit == states[at]
            # A few moments inside, then on to the change itself.
            for inside in random.Random(at).sample(range(at, change), min(3, change - at)):
                assert policy.horizon((start + inside * 60) * 10**9 + 7) == horizon
                assert policy.judge(op, (start + inside * 60) * 10**9 + 7).permit == states[at]
            at = change


def begins(during, start):
    """For each minute: a clock on the wall has shown that time, or passed over it. It does not go back."""
    begun = False
    for minute in range(MINUTES):
        local = time.strftime("%Y-%m-%dT%H:%M", time.localtime(start + minute * 60))
        begun = begun or local >= during["from"]
        yield begun


def close_for_good(during, start, states):
    until = during["until"]
    out, ended = [], False
    for minute, state in enumerate(states):
        ended = ended or time.strftime("%Y-%m-%dT%H:%M", time.localtime(start + minute * 60)) >= until
        out.append(state and not ended)
    return out


@pytest.mark.usefixtures("vienna")
def test_horizon_of_several_windows_is_the_nearest():
    singles = [load(during) for during in WINDOWS]
    together = load(*WINDOWS)
    rng = random.Random(3)
    for _ in range(60):
        ts_ns = int(rng.choice(WEEKS).timestamp()) * 10**9 + rng.randrange(MINUTES) * MINUTE_NS
        assert together.horizon(ts_ns) == min(policy.horizon(ts_ns) for policy in singles)
        for i, during in enumerate(WINDOWS):
            if not during.keys() & {"from", "until"}:
                op = connect(f"10.0.0.{i + 1}", "10.0.0.99", "icmp")
                assert together.judge(op, ts_ns).permit == is_open(during, ts_ns // 10**9)


def test_no_windows_no_horizon():
    assert load().horizon(0) == FOREVER
    assert load({"until": "2020-01-01"}).horizon(1_700_000_000 * 10**9) == FOREVER


@pytest.mark.parametrize("ts_ns", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_stamp_can_be_judged(ts_ns):
    policy = load(*WINDOWS)
    assert policy.horizon(ts_ns) > ts_ns or ts_ns == FOREVER
    policy.judge(connect("10.0.0.1", "10.0.0.9", "icmp"), ts_ns)


def test_a_date_is_the_last_day_and_the_ticket_is_said():
    policy = load({"until": "2026-12-01", "ticket": "CHG-1042", "hours": "08:00-17:00"})
    op = connect("10.0.0.1", "10.0.0.9", "icmp")
    noon = int(datetime(2026, 12, 1, 11, tzinfo=UTC).timestamp()) * 10**9
    assert policy.judge(op, noon).permit
    late = policy.judge(op, noon + 24 * 60 * MINUTE_NS)
    assert not late.permit
    assert late.separation == "Permit CHG-1042 of row c0 ended 2026-12-01."
    night = policy.judge(op, noon - 8 * 60 * MINUTE_NS)
    assert night.separation == "Row c0 allows it in its window: 08:00-17:00 until 2026-12-01 (CHG-1042)."


def test_each_window_is_asked_at_its_own_turns_alone(monkeypatch):
    asked = []
    could_open = Window.could_open
    monkeypatch.setattr(Window, "could_open", lambda self, ts_ns: asked.append(self) or could_open(self, ts_ns))
    made = [make_window(UTC, None, (number, number + 700), None, None) for number in range(60)]
    assert len(situations(made)) == 2 * len(made)
    assert max(asked.count(window) for window in made) < len(made)
