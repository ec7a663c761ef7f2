"""What an attacker does, as one case each: frames, what must come of them, and what otmon reports.

The cases are in `cases_*.py`. Each is run once through the real engine, with a forbidden write on another connection
behind it, which must be reported (`survive`). `docs/evasion.md` is the table of all of them, written by
`python -m tests.hostile.table`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.engine.world import Frame, Seen
from tests.hostile.witness import survive

WITNESS = "10.0.2.250"
MOST = 8
"""Alerts named in a row of the table."""
ONE_SIDED = "one_sided"
"""A finding of many cases, whose server says nothing; left open unless it is what a case is about."""


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the table."""

    id: str
    """As in the list of hostile inputs, with what sets it apart."""
    attack: str
    """What is sent."""
    expected: str
    """What must come of it, in words."""
    frames: Callable[[], Iterable[Frame | bytes]]
    alerts: Mapping[str, int] | None = None
    """Alerts by function or reason, and how often each happened; {}: there must be none. None: left open."""
    messages: Iterable[str] | None = None
    """Functions of the messages, in order; responses begin with `<`."""
    buckets: Mapping[str, int] | None = None
    """Of frames and bytes (`ot_bytes.…`); those not named are left open."""
    flags: frozenset[str] = frozenset()
    """Flags that some message must carry."""
    check: Callable[[Seen], None] | None = None
    """What else must hold."""
    owed: str = ""
    """Why it is not so yet."""
    more: str = ""
    """Where the same is tried in more ways: file::test, in this folder."""


@dataclass(frozen=True)
class Told:
    """What a run said of the attack alone, without the witness."""

    frames: Mapping[str, int]
    ot_bytes: Mapping[str, int]
    alerts: Mapping[str, int]
    kinds: Mapping[str, tuple[str, ...]]
    """Kind, severity and flags of each alert."""
    messages: tuple[str, ...]
    flags: tuple[str, ...]


def _alerts(seen: Seen) -> list[dict[str, Any]]:
    return [a for a in seen.alerts() if WITNESS not in (a["client"]["endpoint"], a["server"]["endpoint"])]


def named(alert: dict[str, Any]) -> str:
    """The function that an alert is of, or the reason of a finding."""
    return str(alert["operation"]["function"] if alert["operation"] else alert["finding"]["reason"])


@cache
def _usual() -> Seen:
    return survive([])


def told(seen: Seen) -> Told:
    usual, alerts = _usual(), _alerts(seen)
    found: Counter[str] = Counter()
    for alert in alerts:
        found[named(alert)] += alert["count"]
    messages = [m for m in seen.messages if WITNESS not in (m["src"][0], m["dst"][0])]
    return Told(
        {k: n - usual.frames[k] for k, n in seen.frames.items() if n > usual.frames[k] and k != "captured"},
        {k: n - usual.ot_bytes[k] for k, n in seen.ot_bytes.items() if n > usual.ot_bytes[k] and k != "seen"},
        dict(sorted(found.items())),
        {named(a): (a["kind"], a["severity"], *(f"`{flag}`" for flag in a["flags"])) for a in alerts},
        tuple(("<" if m["kind"] == "response" else "") + str(m["function"]) for m in messages),
        tuple(sorted({flag for m in messages for flag in m.get("flags", ())})),
    )


@cache
def run(case: Case) -> tuple[Seen, Told]:
    """The case, once; sums, the bucket `internal` and the witness are checked by `survive`."""
    seen = survive(list(case.frames()))
    return seen, told(seen)


def judge(case: Case) -> None:
    """Fails where what was reported is not what was expected."""
    seen, got = run(case)
    if case.alerts is not None:
        beside = {} if ONE_SIDED in case.alerts else {ONE_SIDED: got.alerts.get(ONE_SIDED, 0)}
        assert got.alerts == {name: n for name, n in {**beside, **case.alerts}.items() if n}, got
    if case.messages is not None:
        assert got.messages == tuple(case.messages), got
    for bucket, count in (case.buckets or {}).items():
        source, name = (got.ot_bytes, bucket[9:]) if bucket.startswith("ot_bytes.") else (got.frames, bucket)
        assert source.get(name, 0) == count, (bucket, got)
    assert case.flags <= set(got.flags), got.flags
    if case.check is not None:
        case.check(seen)


def connections(seen: Seen, count: int) -> None:
    """So many beside the witness."""
    assert len(seen.picture["connections"]) == count + 1


def alerted(seen: Seen, function: str, count: int = 1) -> None:
    """At least so often."""
    assert told(seen).alerts.get(function, 0) >= count, told(seen)


def _figures(counts: Mapping[str, int]) -> str:
    return ", ".join(f"`{name}` {count:,}" for name, count in counts.items())


def reports(case: Case) -> str:
    """What otmon reported, for the table: alerts, then frames and bytes by bucket, then flags."""
    _, got = run(case)
    alerts = [
        f"`{name}`{f' ×{count:,}' if count > 1 else ''} ({', '.join(got.kinds[name])})"
        for name, count in got.alerts.items()
    ]
    if len(alerts) > MOST:
        alerts[MOST:] = [f"{len(alerts) - MOST} more"]
    parts = ["alerts " + ", ".join(alerts) if alerts else "no alert", "frames " + _figures(got.frames)]
    if got.ot_bytes:
        parts.append("bytes " + _figures(got.ot_bytes))
    if got.flags:
        parts.append("flags " + ", ".join(f"`{flag}`" for flag in got.flags))
    return "; ".join(parts)
