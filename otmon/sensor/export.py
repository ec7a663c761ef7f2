"""What `analyze` writes, from the database of a sensor."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from otmon.alerts.episodes import Episodes
from otmon.alerts.record import as_record
from otmon.engine.blind import blindness
from otmon.model import Binding, Counts, HostRecord, OperationKey, OperationRecord
from otmon.outputs.results import Clock, write_records, write_run
from otmon.sensor.health import SENSORS_OWN, Finding, report
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.sensor import SiteStore

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo
    from otmon.policy.judge import Policy


def tell(part: Part, policy: "Policy | None", name: str) -> tuple[Site, list[dict[str, Any]]]:
    """The site of all that a sensor stored, and its alerts; what could not be seen is worked out anew."""
    part.frames = {**part.frames, "captured": sum(part.frames.values())}
    dark = blindness(policy.site if policy is not None else name, part, _times(part), policy)
    own = [e for e in part.episodes if e.op is not None or e.key.function in SENSORS_OWN]
    said = {episode.key.function for episode in own if episode.op is None}
    dark = [episode for episode in dark if episode.key.function not in said]
    part.episodes = sorted([*own, *dark], key=lambda e: (e.first_ts_ns, e.id))
    site = Site(part, policy, name)
    return site, [as_record(episode, site) for episode in part.episodes]


def _times(part: Part) -> tuple[int, int]:
    """First and last moment of all connections, ns; 0 without any. There may be more of them than memory holds."""
    first, last = None, 0
    for one in part.connections:
        first = one.first_ts_ns if first is None else min(first, one.first_ts_ns)
        last = max(last, one.last_ts_ns)
    return first or 0, last


def write_files(
    folder: Path,
    store: SiteStore,
    policy: "Policy | None",
    inputs: "Sequence[InputInfo]",
    named: Mapping[str, str] | None,
    clock: Clock,
) -> None:
    """Every file of a result folder but site.db, from site.db. What is there is replaced."""
    site, alerts = tell(store.part(in_place=True), policy, store.site)
    store.alerts(site.part.episodes, alerts)
    store.describe(site)
    write_records(folder, site, inputs, alerts, named)
    write_run(folder, clock.record(site.part.frames["captured"], 1, False))


def rehearse() -> None:
    """Do on nothing, once, what is done when files are written: whatever is imported late is there from now on.

    After privileges are dropped Python's own library may be out of reach.
    """
    key = OperationKey("", "192.0.2.1", "192.0.2.2", "tcp", 80, "tcp", None, None, "connect", "connect", None)
    episodes = Episodes("")
    report(episodes, Finding("gone", ""), 0)
    part = Part(
        operations=[OperationRecord(key, Counts(1, 1), 0, 0, 0, (0, 1), {1: 1}, {1: 1}, None, None)],
        hosts=[HostRecord("", "192.0.2.1", 0, 0, 1, (0, 1))],
        bindings=[Binding("", "00:1b:1b:00:00:01", "192.0.2.1", 0x0806, True, 0, (0, 1))],
        episodes=episodes.all,
    )
    with TemporaryDirectory() as folder:
        site = Site(part)
        write_records(Path(folder), site, [], [as_record(episode, site) for episode in part.episodes])
        with SiteStore(Path(folder, "site.db"), "") as store:
            store.add(part)
            len(store.part(in_place=True).operations)
