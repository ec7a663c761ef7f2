"""Episodes: runs of one violation, each of which is one alert (DESIGN 1)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from otmon.limits import (
    EPISODE_QUIET_NS,
    MAX_ALERT_FRAMES,
    MAX_EPISODE_TARGETS,
    MAX_EPISODE_TARGETS_HELD,
    MAX_EPISODES,
)
from otmon.model import Counts, FrameRef, Op, OperationKey, Outcome, Target, Unit
from otmon.policy.verdict import AlertKind, Verdict

ID_DIGITS: Final = 20
MANY: Final = "*"
"""Address of an episode that concerns no single pair, or that pairs share once MAX_EPISODES is reached."""
WORST_FIRST: Final[tuple[Outcome, ...]] = ("accepted", "partial", "unseen", "unanswered", "pending", "rejected")
"""What is not known to have been refused ranks before what was."""


class EpisodeKey(NamedTuple):
    """What makes occurrences one violation."""

    kind: AlertKind
    realm: str
    client: str
    server: str
    protocol: str
    function: str
    row: str | None
    """Id of the row that denies, or name of the rule; None: denied by default."""

    @classmethod
    def of(cls, op: OperationKey, verdict: Verdict) -> "EpisodeKey":
        """The key of a denied operation; a verdict without a kind counts as `command`."""
        kind: AlertKind = verdict.kind or "command"
        row = None if verdict.permit else verdict.row
        return cls(kind, op.realm, op.client, op.server, op.protocol, op.function, row)


class Ports(NamedTuple):
    """Of one TCP or UDP conversation."""

    client: int
    server: int


class _Room:
    """Targets that all episodes together may still list."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Episode:
    """One run of one violation. Mutable while it lasts; picklable."""

    __slots__ = (
        "_named",
        "_room",
        "at_least",
        "began_ts_ns",
        "count",
        "detail",
        "first_ts_ns",
        "flags",
        "flow",
        "frames",
        "key",
        "last_ts_ns",
        "op",
        "other_targets",
        "others",
        "site",
        "targets",
        "total",
        "units",
        "verdict",
        "written",
    )

    def __init__(
        self,
        site: str,
        key: EpisodeKey,
        ts_ns: int,
        verdict: Verdict,
        op: OperationKey | None,
        room: _Room | None = None,
    ) -> None:
        self.site = site
        self.key = key
        self.verdict = verdict
        self.op = op
        """Of the first occurrence; None: nobody's operation (visibility)."""
        self.first_ts_ns = self.last_ts_ns = ts_ns
        self.count = 0
        """Occurrences: sum of `attempted`."""
        self.began_ts_ns: int | None = None
        """The start that names it, once it was told; None: its first occurrence, which may still turn out earlier."""
        self.at_least = False
        """Occurrences just before a crash may not be in it."""
        self.total = Counts()
        self.targets: dict[Target | None, Counts] = {}
        """Exactly, as they were asked for; `coalesced` joins neighbours."""
        self.others = Counts()
        """Occurrences on targets past the cap."""
        self.other_targets = 0
        """Times a target past the cap was noted (an upper bound of how many there are)."""
        self.units: set[Unit] = set()
        self.frames: list[FrameRef] = []
        """The first MAX_ALERT_FRAMES evidence frames, ascending."""
        self.flow: Ports | None = None
        """Of the first of `frames`."""
        self.written: Sequence[tuple[Op, float]] = ()
        """What the first occurrence wrote."""
        self.flags: tuple[str, ...] = ()
        """Of the first occurrence's message."""
        self.detail: dict[str, int | str] = {}
        """Figures for the sentence of an episode without an operation."""
        self._room = room or _Room(MAX_EPISODE_TARGETS)
        self._named: tuple[int, str] | None = None
        """(start, id): it is asked for often."""

    @property
    def id(self) -> str:
        """20 hex digits: the same for a replay, another one for another site or a later recurrence."""
        began_ts_ns = self.first_ts_ns if self.began_ts_ns is None else self.began_ts_ns
        if self._named is not None and self._named[0] == began_ts_ns:
            return self._named[1]
        key = self.key
        named = [
            self.site,
            key.realm,
            key.client,
            key.server,
            key.protocol,
            key.function,
            key.kind,
            key.row,
            began_ts_ns,
        ]
        text = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:ID_DIGITS]
        self._named = (began_ts_ns, text)
        return text

    def keep_name(self) -> None:
        """It was told: whatever is learnt of its start from now on, it keeps its id."""
        if self.began_ts_ns is None:
            self.began_ts_ns = self.first_ts_ns

    @property
    def state(self) -> tuple[int, ...]:
        """Changes with anything that its record says of what happened."""
        happened = self.first_ts_ns, self.last_ts_ns, self.other_targets, self.at_least
        return self.count, *happened, *self.total.as_dict().values()

    def become(self, other: "Episode") -> None:
        """Another process went on with it: be as it is there. What was noted of it here stays (`detail`)."""
        for name in self.__slots__:
            if name not in ("_room", "detail"):
                setattr(self, name, getattr(other, name))

    @property
    def function(self) -> str:
        """What it does; of a scan, which is named by the connect it began as, `scan`."""
        return self.key.function if self.op is None else self.op.function

    @property
    def outcome(self) -> Outcome | None:
        """The worst that happened; None if nothing was attempted."""
        return next((name for name in WORST_FIRST if getattr(self.total, name)), None)

    def note(
        self,
        target: Target | None,
        counts: Counts,
        first_ts_ns: int,
        last_ts_ns: int,
        frames: Iterable[FrameRef] = (),
        unit: Unit = None,
        flow: Ports | None = None,
    ) -> None:
        """Add occurrences on one target, in any order. `unit` if it is not that of the first occurrence."""
        held = self.targets.get(target)
        if held is not None:
            held.add(counts)
        elif not self.targets or (len(self.targets) < MAX_EPISODE_TARGETS and self._room.left > 0):
            self._room.left -= 1
            self.targets[target] = copied = Counts()
            copied.add(counts)
        else:
            self.others.add(counts)
            self.other_targets += 1
        self.total.add(counts)
        self.count += counts.attempted
        self.first_ts_ns = min(self.first_ts_ns, first_ts_ns)
        self.last_ts_ns = max(self.last_ts_ns, last_ts_ns)
        unit = unit if unit is not None or self.op is None else self.op.unit
        if unit is not None and len(self.units) < MAX_EPISODE_TARGETS:
            self.units.add(unit)
        self.evidence(frames, flow)

    def evidence(self, frames: Iterable[FrameRef], flow: Ports | None = None) -> None:
        """Keep the first MAX_ALERT_FRAMES of all that were ever given, and the ports of the very first."""
        for frame in frames:
            if not self.frames or frame < self.frames[0]:
                self.flow = flow
            if frame in self.frames or (len(self.frames) >= MAX_ALERT_FRAMES and frame > self.frames[-1]):
                continue
            self.frames = sorted([*self.frames, frame])[:MAX_ALERT_FRAMES]

    def hold(self, targets: dict[Target | None, Counts], room: _Room | None = None) -> None:
        """Take over targets that were noted before, and what room they leave. For restoring."""
        self._room = room or self._room
        self._room.left -= len(targets)
        self.targets = targets

    def absorb(self, other: "Episode") -> None:
        """Add an episode of the same id that another part of the traffic gave."""
        for target, counts in other.targets.items():
            self.note(target, counts, other.first_ts_ns, other.last_ts_ns)
        self.others.add(other.others)
        self.other_targets += other.other_targets
        self.total.add(other.others)
        self.count += other.others.attempted
        self.units |= other.units
        self.evidence(other.frames, other.flow)

    def as_record(self, site: Any) -> dict[str, Any]:
        """One line of alerts.jsonl (otmon.alerts.record, which reads episodes and is therefore imported late)."""
        from otmon.alerts.record import as_record

        return as_record(self, site)

    def coalesced(self) -> list[tuple[Target | None, Counts]]:
        """Targets with touching or overlapping intervals of one space joined, counts added; in order of address."""
        return _coalesce(self.targets)


def _order(target: Target) -> tuple[str, str, bool, int, bool, int]:
    start, end = target.start, target.end
    return (target.space, target.name or "", start is not None, start or 0, end is not None, end or 0)


def _continues(run: Target, target: Target) -> bool:
    """Whether `target`, which begins no earlier, neighbours or overlaps the interval `run`."""
    if run.start is None or run.end is None or target.start is None or target.end is None:
        return False
    return (run.space, run.name) == (target.space, target.name) and target.start <= run.end + 1


def _coalesce(targets: dict[Target | None, Counts]) -> list[tuple[Target | None, Counts]]:
    if len(targets) == 1:  # most alerts
        return list(targets.items())
    runs: list[tuple[Target, Counts]] = []
    for target in sorted((target for target in targets if target is not None), key=_order):
        if runs and _continues(runs[-1][0], target):
            run, total = runs[-1]
            runs[-1] = run._replace(end=max(run.end or 0, target.end or 0)), total
        else:
            total = Counts()
            runs.append((target, total))
        total.add(targets[target])
    return [*((None, targets[None]) for _ in range(None in targets)), *runs]


class Episodes:
    """The episodes of a run: the live one of each key, and those that ended."""

    def __init__(self, site_name: str, quiet_ns: int = EPISODE_QUIET_NS, max_episodes: int = MAX_EPISODES) -> None:
        self.site_name = site_name
        self.quiet_ns = quiet_ns
        self.max_episodes = max_episodes
        self.all: list[Episode] = []
        """In the order of their start."""
        self.folded = 0
        """Occurrences handed to an episode that many pairs share."""
        self._live: dict[EpisodeKey, Episode] = {}
        self._room = _Room(MAX_EPISODE_TARGETS_HELD)

    def resume(self, episodes: Iterable[Episode]) -> None:
        """Go on with episodes of an earlier run (`otmon.alerts.keep`), given in the order of their start."""
        for episode in episodes:
            episode.hold(episode.targets, self._room)
            self._live[episode.key] = episode
            self.all.append(episode)

    def live(self, key: EpisodeKey) -> Episode | None:
        """The last episode of this key, whether quiet or not."""
        return self._live.get(key) or self._live.get(key._replace(client=MANY, server=MANY))

    def retire(self, now_ns: int) -> list[Episode]:
        """Let go of those that ended; who calls this has written them down."""
        ended = [e for e in self.all if now_ns - e.last_ts_ns > self.quiet_ns]
        if ended:
            gone = set(map(id, ended))
            self.all = [e for e in self.all if id(e) not in gone]
            self._live = {key: e for key, e in self._live.items() if id(e) not in gone}
            self._room.left += sum(len(e.targets) for e in ended)
        return ended

    def touch(self, key: EpisodeKey, ts_ns: int, verdict: Verdict, op: OperationKey | None) -> Episode:
        """The live episode of this key; a new one if there is none or it was quiet for more than `quiet_ns`.

        To be called in the order of time. `count` of a new episode is 0 until something is noted. Past `max_episodes`
        new keys share one episode for all pairs (client and server are `*`): memory ends there, reporting does not.
        """
        live = self._live.get(key)
        if live is not None and ts_ns - live.last_ts_ns <= self.quiet_ns:
            live.last_ts_ns = max(live.last_ts_ns, ts_ns)
            return live
        if len(self.all) >= self.max_episodes and key.client != MANY and op is not None:
            self.folded += 1
            shared = key._replace(client=MANY, server=MANY)
            return self.touch(shared, ts_ns, verdict, op._replace(client=MANY, server=MANY, unit=None))
        episode = Episode(self.site_name, key, ts_ns, verdict, op, self._room)
        self._live[key] = episode
        self.all.append(episode)
        return episode


def merge(parts: Iterable[Iterable[Episode]]) -> list[Episode]:
    """Episodes of disjoint parts of the traffic, by first occurrence and id; equal ids become one."""
    merged: dict[str, Episode] = {}
    for part in parts:
        for episode in part:
            known = merged.setdefault(episode.id, episode)
            if known is not episode:
                known.absorb(episode)
    return [episode for _, episode in sorted(merged.items(), key=lambda item: (item[1].first_ts_ns, item[0]))]
