"""Time windows of rows. Days and hours are those of a clock on the wall in the policy's time zone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from otmon.policy.fields import DAY_MINUTES, DAYS

NEVER_NS: Final = 2**63 - 1
PERMIT: Final = "with a permit"
"""As people say it of a window that needs one."""
_SECOND_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_NS: Final = 86_400 * _SECOND_NS
_YEAR_NS: Final = 366 * _DAY_NS
_ANY_YEAR_NS: Final = 1_767_225_600 * _SECOND_NS
"""2026-01-01T00:00:00Z."""
_SEARCH_DAYS: Final = 9
"""A week, and a day more on either side for hours past midnight and for clock changes."""


class Window(NamedTuple):
    """When rows hold. None: no limit."""

    zone: tzinfo
    days: frozenset[int] | None
    """0 Monday to 6 Sunday; hours past midnight belong to the day they began on."""
    hours: tuple[int, int] | None
    """Minutes of the day, the second exclusive; smaller than the first: on the next day."""
    until: datetime | None
    """Local, exclusive, for people."""
    until_ns: int
    """The same moment, once and for all: an hour that the clock shows twice does not open the window again."""
    ticket: str | None
    since: datetime | None = None
    """Local, inclusive, for people."""
    since_ns: int = -NEVER_NS
    approver: str | None = None
    needs_permit: bool = False
    """Nobody opened it: it does not hold. All else says when a permit could open it."""

    def open(self, ts_ns: int) -> bool:
        """The window holds at this moment."""
        return not self.needs_permit and self.could_open(ts_ns)

    def could_open(self, ts_ns: int) -> bool:
        """It holds at this moment, with a permit if it needs one."""
        if not self.since_ns <= ts_ns < self.until_ns:
            return False
        local = _local(ts_ns, self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        start, end = self.hours or (0, DAY_MINUTES)
        if start < end:
            return self._on(today) and start <= minute < end
        return (self._on(today) and minute >= start) or (self._on(yesterday) and minute < end)

    def next_change(self, ts_ns: int) -> int:
        """First moment after `ts_ns` at which it opens or closes; NEVER_NS if it never does again."""
        now = self.open(ts_ns)
        for moment in sorted(set(self.candidates(ts_ns))):
            if moment > ts_ns and self.open(moment) != now:
                return moment
        return NEVER_NS

    def text(self) -> str:
        """As people say it: `mon, tue 08:00-17:00 until 2026-12-01 17:00 (CHG-1042)`."""
        parts = []
        if self.days is not None:
            parts.append(", ".join(DAYS[day] for day in sorted(self.days)))
        if self.hours is not None:
            parts.append("-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in self.hours))
        if self.since is not None:
            parts.append(f"from {_first_day(self.since)}")
        if self.until is not None:
            parts.append(f"until {_last_day(self.until)}")
        if self.needs_permit:
            parts.append(PERMIT)
        if self.ticket is not None:
            parts.append(f"({', '.join(word for word in (self.ticket, self.approver) if word)})")
        return " ".join(parts) or "always"

    def closed(self, ts_ns: int) -> str | None:
        """Why it does not hold, for people: it ended, it has not begun, nobody opened it; None: only at this time."""
        if self.needs_permit:
            return "needs a permit, and none was opened"
        if self.until is not None and ts_ns >= self.until_ns:
            return f"ended {_last_day(self.until)}"
        if self.since is not None and ts_ns < self.since_ns:
            return f"begins {_first_day(self.since)}"
        return None

    def _on(self, day: int) -> bool:
        return self.days is None or day in self.days

    def candidates(self, ts_ns: int) -> Iterator[int]:
        """Every moment within a week at which it could change, and the end."""
        yield self.since_ns
        yield self.until_ns
        if self.days is None and self.hours is None:
            return
        midnight = _local(ts_ns, self.zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
        for number in range(-1, _SEARCH_DAYS):
            for minute in (0, *(self.hours or ())):
                yield from _moments(midnight + timedelta(days=number, minutes=minute), self.zone)
        start = ts_ns // _SECOND_NS - 86_400
        yield from _clock_changes(start, start + _SEARCH_DAYS * 86_400, self.zone)


class Situation(NamedTuple):
    """A moment, and which windows are open then: all that a verdict can depend on.

    Where windows need a permit there is each moment twice: as if nobody had opened any, and as if all had been opened.
    """

    ts_ns: int
    open: frozenset[Window]


def situations(windows: Sequence[Window]) -> list[Situation]:
    """Every set of windows that are open at the same time, ever, with the first moment found for it.

    Between the ends of windows all repeats itself by the week, apart from clock changes: a week from each is looked at.
    """
    every = tuple(dict.fromkeys(windows))
    patterns: dict[Window, int] = {}
    for number, window in enumerate(every):
        pattern = Window(window.zone, window.days, window.hours, None, NEVER_NS, None)
        patterns[pattern] = patterns.get(pattern, 0) | 1 << number
    waiting = sum(1 << number for number, window in enumerate(every) if window.needs_permit)
    zones = {pattern.zone for pattern in patterns}
    limits = {moment for window in every for moment in (window.since_ns, window.until_ns)}
    ends = sorted(limits - {NEVER_NS, -NEVER_NS})
    starts = [ends[0] - _YEAR_NS if ends else _ANY_YEAR_NS, *ends]
    found: dict[int, int] = {}
    for start, end in zip(starts, [*ends, starts[-1] + _YEAR_NS], strict=True):
        weeks = {start, max(start, end - _SEARCH_DAYS * _DAY_NS)}
        for zone in zones:
            weeks.update(_clock_changes(start // _SECOND_NS, min(start + _YEAR_NS, end) // _SECOND_NS, zone))
        within = sum(1 << number for number, window in enumerate(every) if window.since_ns <= start < window.until_ns)
        alive = {pattern: same & within for pattern, same in patterns.items() if same & within}
        for week in sorted(weeks):
            for moment, holding in _sets(alive, week, min(end, week + (_SEARCH_DAYS - 1) * _DAY_NS)):
                found.setdefault(holding & ~waiting, moment)
                found.setdefault(holding, moment)
    return sorted((Situation(ts_ns, _chosen(every, holding)) for holding, ts_ns in found.items()), key=_ts_ns)


def _sets(patterns: Mapping[Window, int], start: int, end: int) -> Iterator[tuple[int, int]]:
    """(moment, what is open from then on) from `start` until before `end`, no more than eight days later.

    Each pattern is asked at its own moments alone; what of it is open is a number with a bit for each window.
    """
    turns = [(start, same) for pattern, same in patterns.items() if pattern.open(start)]
    for pattern, same in patterns.items():
        before = pattern.open(start)
        for moment in sorted({moment for moment in pattern.candidates(start) if start < moment < end}):
            if pattern.open(moment) != before:
                before = not before
                turns.append((moment, same))
    turns.sort()
    holding = 0
    for number, (moment, same) in enumerate(turns):
        holding ^= same
        if number + 1 == len(turns) or turns[number + 1][0] != moment:
            yield moment, holding
    if not turns or turns[0][0] != start:
        yield start, 0


def _chosen(windows: Sequence[Window], bits: int) -> frozenset[Window]:
    return frozenset(window for number, window in enumerate(windows) if bits >> number & 1)


def _ts_ns(situation: Situation) -> int:
    return situation.ts_ns


def make_window(
    zone: tzinfo,
    days: frozenset[int] | None,
    hours: tuple[int, int] | None,
    until: datetime | None,
    ticket: str | None,
    since: datetime | None = None,
    approver: str | None = None,
) -> Window:
    """A window by what the policy says of it: `since` inclusive, `until` exclusive."""
    until_ns = NEVER_NS if until is None else _first_moment(until, zone)
    since_ns = -NEVER_NS if since is None else _first_moment(since, zone)
    return Window(zone, days, hours, until, until_ns, ticket, since, since_ns, approver)


def needing_permit(window: Window) -> Window:
    """The same, closed until a permit opens it."""
    return window._replace(needs_permit=True)


def under_permit(window: Window, ticket: str, by: str, since_ns: int, until_ns: int) -> Window:
    """The same, within the two moments."""
    first, last = max(window.since_ns, since_ns), min(window.until_ns, until_ns)
    zone, days, hours = window[:3]
    return Window(zone, days, hours, _wall(last, zone), last, ticket, _wall(first, zone), first, by)


def _wall(ts_ns: int, zone: tzinfo) -> datetime | None:
    return None if abs(ts_ns) == NEVER_NS else _local(ts_ns, zone).replace(tzinfo=None)


def local_text(ts_ns: int, zone: tzinfo) -> str:
    """As a clock on the wall shows it, with its offset from UTC."""
    return _local(ts_ns, zone).isoformat(timespec="seconds")


def _first_day(since: datetime) -> str:
    return str(since.date()) if since.time() == time() else since.isoformat(" ")


def _last_day(until: datetime) -> str:
    """A day that is whole is called by its name."""
    return str((until - timedelta(days=1)).date()) if until.time() == time() else until.isoformat(" ")


def _first_moment(local: datetime, zone: tzinfo) -> int:
    """The moment from which on a clock on the wall has shown `local` or passed over it."""
    first, second = _moments(local, zone)
    # The clock skips an hour in spring: then no moment shows it, and the two readings lie on either side of the change.
    return first if first <= second else next(_clock_changes(second // _SECOND_NS, first // _SECOND_NS, zone), first)


def _local(ts_ns: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(seconds=ts_ns // _SECOND_NS)).astimezone(zone)


def _moments(local: datetime, zone: tzinfo) -> Iterator[int]:
    """The moment (two when clocks go back) at which a clock on the wall shows `local`."""
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        yield (moment - _EPOCH) // timedelta(seconds=1) * _SECOND_NS


def _clock_changes(start_s: int, end_s: int, zone: tzinfo) -> Iterator[int]:
    """Moments between two (in seconds) at which the offset from UTC changes: the wall clock jumps there."""
    step = 6 * 3600
    for low in range(start_s, end_s, step):
        high = min(low + step, end_s)
        if _offset(low, zone) == _offset(high, zone):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(middle, zone) == _offset(low, zone):
                low = middle
            else:
                high = middle
        yield high * _SECOND_NS


def _offset(ts_s: int, zone: tzinfo) -> timedelta | None:
    return _local(ts_s * _SECOND_NS, zone).utcoffset()


def moment_ns(text: str, zone: tzinfo) -> int:
    """A time in ISO 8601; without an offset it is one of this zone's clock. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=zone)
        return int(found.timestamp()) * _SECOND_NS
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error
