"""An episode as one JSON-ready dict: a line of alerts.jsonl (docs/records/alert.schema.json)."""

from typing import Any

from otmon.alerts.attack import attack_ids
from otmon.alerts.episodes import Episode
from otmon.alerts.sentence import Names, Who, identify, sentence
from otmon.limits import MAX_ALERT_TARGETS
from otmon.model import Unit
from otmon.site.records import key_record, target_record


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


def as_record(episode: Episode, site: Names) -> dict[str, Any]:
    """The alert. `more_targets` is how many intervals are not listed, past the internal cap an upper bound.

    Frames are [input number from 1, frame number from 1].
    """
    key, verdict, op = episode.key, episode.verdict, episode.op
    targets = episode.coalesced()
    near = verdict.nearest if verdict.nearest != key.row else None
    record = {
        "attack": list(attack_ids(key.kind, op.access if op else "", episode.function)),
        "client": _party(identify(site, key.realm, key.client)),
        "count": episode.count,
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
        "severity": verdict.severity,
        "site": episode.site,
        "targets": [
            {"target": target_record(target), **counts.as_dict()} for target, counts in targets[:MAX_ALERT_TARGETS]
        ],
        "title": sentence(episode, site),
        "units": _units(episode.units),
    }
    return record | {"count_at_least": True} if episode.at_least else record
