"""An episode as one JSON-ready dict: a line of alerts.jsonl (docs/records/alert.schema.json)."""

from typing import Any, Final

from otmon.alerts.attack import attack_ids
from otmon.alerts.episodes import MANY, Episode, Ports
from otmon.alerts.sentence import Names, Who, identify, sentence
from otmon.limits import MAX_ALERT_TARGETS
from otmon.model import Unit
from otmon.site.records import key_record, target_record

OPTIONAL: Final = frozenset({"client_port", "count_at_least", "finding", "server_port"})
"""Fields that are left out where there is nothing to say."""


def _party(who: Who) -> dict[str, Any]:
    return {
        "asset": who["asset"],
        "endpoint": who["address"],
        "name": who["name"],
        "roles": list(who["roles"]),
        "zone": who["zone"],
    }


def _units(units: set[Unit]) -> list[Any]:
    """In order; a DNP3 pair is [master, outstation]."""
    order = sorted(units, key=lambda unit: unit if isinstance(unit, tuple) else (-1, -1 if unit is None else unit))
    return [list(unit) if isinstance(unit, tuple) else unit for unit in order[:MAX_ALERT_TARGETS]]


def _flow(episode: Episode) -> Ports | None:
    """Ports of the first evidence, if they name one conversation: a scan is many, and so is what many pairs share."""
    op = episode.op
    return None if op is None or op.function == "scan" or op.client == MANY else episode.flow


def _finding(episode: Episode) -> dict[str, Any]:
    """What could not be seen. One without a pair has the sensor's interfaces in place of a protocol."""
    key, detail = episode.key, episode.detail
    place, pair = key.protocol or None, key.client != MANY
    of = {"interface": None if pair else place, "protocol": place if pair else None}
    figures = {name: int(detail.get(name, 0)) for name in ("bytes", "connections", "frames", "gaps")}
    return {"reason": key.function, **of, **figures}


def as_record(episode: Episode, site: Names) -> dict[str, Any]:
    """The alert. `more_targets` is how many intervals are not listed, past the internal cap an upper bound.

    Frames are [input number from 1, frame number from 1].
    """
    key, verdict, op = episode.key, episode.verdict, episode.op
    targets, flow = episode.coalesced(), _flow(episode)
    near = verdict.nearest if verdict.nearest != key.row else None
    record = {
        "attack": list(attack_ids(key.kind, op.access if op else "", episode.function)),
        "client": _party(identify(site, key.realm, key.client)),
        "client_port": flow and flow.client,
        "count": episode.count,
        "count_at_least": episode.at_least or None,
        "finding": None if op else _finding(episode),
        "first_ts_ns": episode.first_ts_ns,
        "flags": list(episode.flags),
        "frames": [[number + 1, frame] for number, frame in episode.frames],
        "id": episode.id,
        "kind": key.kind,
        "last_ts_ns": episode.last_ts_ns,
        "more_targets": max(0, len(targets) - MAX_ALERT_TARGETS) + episode.other_targets,
        "nearest": {"row": near, "separation": verdict.separation} if near else None,
        "operation": key_record(op, target=False) if op else None,
        "outcome": episode.outcome,
        "outcomes": episode.total.as_dict(),
        "realm": key.realm,
        "review": verdict.review,
        "row": key.row,
        "server": _party(identify(site, key.realm, key.server)),
        "server_port": flow and flow.server,
        "severity": verdict.severity,
        "site": episode.site,
        "targets": [
            {"target": target_record(target), **counts.as_dict()} for target, counts in targets[:MAX_ALERT_TARGETS]
        ],
        "title": sentence(episode, site),
        "units": _units(episode.units),
    }
    return {name: value for name, value in record.items() if value is not None or name not in OPTIONAL}
