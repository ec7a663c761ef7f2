"""The sensor's own state: a record at each checkpoint, and findings when something was not seen."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otmon.alerts.episodes import MANY, EpisodeKey, Episodes
from otmon.alerts.visibility import REASONS
from otmon.policy.verdict import Verdict
from otmon.sensor.clockwatch import ClockWatch
from otmon.sensor.intake import Tap
from otmon.sensor.mirror import HARMLESS, faults
from otmon.sensor.sample import Sample
from otmon.sensor.source import Reading, Source, read
from otmon.site.part import Part

if TYPE_CHECKING:
    from otmon.capture.privileges import Dropped


SENSORS_OWN: Final = frozenset(
    {
        *("dropped", "interface_dropped", "silent", "gone", "policy_broken", "disk_full", "shed", "job_ended"),
        *("one_way", "tagged_one_way", "doubled", "switch_loss", "not_judged"),
        *("sink_stopped", "sink_away", "sink_refused", "spool_shed"),
    }
)
"""Reasons of findings on the sensor itself, which go on after a restart; the others are worked out from connections."""


HOLES: Final = 3
"""Conversations named when frames were lost."""


class Finding(NamedTuple):
    """Something that the sensor could not see in an interval."""

    reason: str
    """A key of otmon.alerts.visibility.REASONS."""
    interface: str
    frames: int = 0
    detail: dict[str, int | str] | None = None


class Health:
    """Compares counters from one record to the next. `dropped`: what was given up, for the first record."""

    def __init__(
        self,
        sources: Sequence[Source],
        taps: Sequence[Tap] = (),
        *,
        clock: ClockWatch,
        dropped: "Dropped | None" = None,
    ) -> None:
        self._sources, self._taps = list(sources), list(taps)
        self._late = dict.fromkeys((tap.interfaces for tap in taps), 0)
        self._clock = clock
        self._privileges = None if dropped is None else dropped.as_record()
        self._before = {source.interface: read(source) for source in sources}
        self._ts_ns = 0

    def record(self, now_ns: int, part: Part, delivery: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """The health record of the interval that ended with this harvest (docs/records/health.schema.json).

        `delivery`: how each output is.
        """
        now = [read(source) for source in self._sources]
        record = {
            "clock": self._clock.record(),
            "connections": len(part.connections),
            "delivery": list(delivery),
            "first_ts_ns": self._ts_ns,
            "frames": {name: number for name, number in sorted(part.frames.items()) if number},
            "interfaces": [self._grown(reading) for reading in now],
            "ot_bytes": {name: number for name, number in sorted(part.ot_bytes.items()) if number},
            "privileges": self._privileges,
            "shed": part.shed + part.frames.get("shed", 0),
            "taps": [self._tap(tap) for tap in self._taps],
            "ts_ns": now_ns,
            "visibility": part.visibility,
        }
        self._before = {reading.interface: reading for reading in now}
        self._ts_ns = now_ns
        self._privileges = None  # does not change any more
        return record

    def _grown(self, now: Reading) -> dict[str, Any]:
        before = self._before[now.interface]
        grown = {
            name: getattr(now, name) - getattr(before, name)
            for name in ("received", "dropped", "freezes", "interface_drops", "frames")
        }
        return {"interface": now.interface, "state": now.state, **grown}

    def _tap(self, tap: Tap) -> dict[str, Any]:
        """`skew_ns`: by how much the second side is stamped later; None: nothing told."""
        late, self._late[tap.interfaces] = tap.late - self._late[tap.interfaces], tap.late
        skew_ns = tap.skew.ns if tap.skew.known else None
        return {"interfaces": list(tap.interfaces), "late_frames": late, "skew_ns": skew_ns}


def holes(part: Part) -> str:
    """The control conversations that lost bytes, the largest loss first."""
    lost: dict[tuple[str, str], int] = {}
    for c in part.connections:
        if c.protocol is not None and c.missing_bytes:
            lost[c.client, c.server] = lost.get((c.client, c.server), 0) + c.missing_bytes
    worst = sorted(lost, key=lambda pair: (-lost[pair], pair))
    more = f" and {len(worst) - HOLES:,} more" if len(worst) > HOLES else ""
    return ", ".join(f"{client} and {server}" for client, server in worst[:HOLES]) + more


def findings(record: dict[str, Any], part: Part, sample: Sample) -> Iterator[Finding]:
    """What a health record says was not seen."""
    everywhere = ", ".join(reading["interface"] for reading in record["interfaces"])
    lost = 0
    for reading in record["interfaces"]:
        for reason, name in (("dropped", "dropped"), ("interface_dropped", "interface_drops")):
            if reading[name] > 0:
                lost += reading[name]
                detail: dict[str, int | str] = {"of": reading["received"] + reading[name]}
                if torn := holes(part):
                    detail["conduits"] = f"; bytes are missing between {torn}"
                yield Finding(reason, reading["interface"], reading[name], detail)
    if record["shed"] > 0:
        yield Finding("shed", everywhere, record["shed"])
    for fault in faults(part, sample, lost):
        if fault.reason not in HARMLESS:
            yield Finding(fault.reason, everywhere, fault.frames, fault.detail)


def report(episodes: Episodes, finding: Finding, now_ns: int) -> None:
    """Count a finding into its episode."""
    kind, severity = REASONS[finding.reason]
    key = EpisodeKey(kind, "default", MANY, MANY, finding.interface, finding.reason, None)
    episode = episodes.touch(key, now_ns, Verdict(False, None, kind, severity), None)
    episode.count += 1
    detail = episode.detail
    detail["frames"] = int(detail.get("frames", 0)) + finding.frames
    for name, value in (finding.detail or {}).items():
        detail[name] = int(detail.get(name, 0)) + value if isinstance(value, int) else value
