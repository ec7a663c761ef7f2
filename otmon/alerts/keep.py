"""An episode as plain data and back: how a sensor keeps what it must go on counting after a restart."""

from math import isfinite
from typing import Any

import orjson

from otmon.alerts.episodes import Episode, EpisodeKey, Ports
from otmon.model import Counts, Op, OperationKey, Target, Unit
from otmon.policy.verdict import Verdict


def as_text(episode: Episode) -> str:
    """Everything an episode holds, as JSON."""
    state = {
        "at_least": episode.at_least,
        "began_ts_ns": episode.began_ts_ns,
        "count": episode.count,
        "detail": episode.detail,
        "first_ts_ns": episode.first_ts_ns,
        "flags": episode.flags,
        "flow": episode.flow,
        "frames": episode.frames,
        "key": episode.key,
        "last_ts_ns": episode.last_ts_ns,
        "op": episode.op,
        "other_targets": episode.other_targets,
        "others": _numbers(episode.others),
        "site": episode.site,
        "targets": [(target, _numbers(counts)) for target, counts in episode.targets.items()],
        "total": _numbers(episode.total),
        "units": list(episode.units),
        "verdict": episode.verdict,
        "written": [(op, _float_text(value)) for op, value in episode.written],
    }
    return orjson.dumps(state, default=tuple).decode()  # named tuples as plain ones


def restore(text: str) -> Episode:
    """The episode that `as_text` was given.

    It stands alone: `Episodes.resume` lets it share the room of a run. Raises KeyError, TypeError or ValueError if
    `text` is something else.
    """
    state = orjson.loads(text)
    key = EpisodeKey(*state["key"])
    episode = Episode(state["site"], key, state["first_ts_ns"], _verdict(state["verdict"]), _key(state["op"]))
    episode.last_ts_ns = state["last_ts_ns"]
    episode.count = state["count"]
    episode.at_least, episode.began_ts_ns = state["at_least"], state["began_ts_ns"]
    episode.total, episode.others = Counts(*state["total"]), Counts(*state["others"])
    episode.other_targets = state["other_targets"]
    episode.hold({_target(target): Counts(*counts) for target, counts in state["targets"]})
    episode.units = {_unit(unit) for unit in state["units"]}
    flow = state.get("flow")  # older databases have none
    episode.flow = None if flow is None else Ports(*flow)
    episode.frames = [(number, frame) for number, frame in state["frames"]]
    episode.written = tuple((_op(op), _float(value)) for op, value in state["written"])
    episode.flags = tuple(state["flags"])
    episode.detail = state["detail"]
    return episode


def _numbers(counts: Counts) -> list[int]:
    return list(counts.as_dict().values())


def _float_text(value: float) -> float | str:
    """JSON has no NaN and no infinity, and devices send both."""
    return value if isfinite(value) else str(value)


def _float(value: float | str) -> float:
    return float(value) if isinstance(value, str) else value


def _unit(unit: Any) -> Unit:
    return tuple(unit) if isinstance(unit, list) else unit


def _target(target: list[Any] | None) -> Target | None:
    return None if target is None else Target(*target)


def _op(fields: list[Any]) -> Op:
    code, function, access, unit, target = fields
    return Op(code, function, access, _unit(unit), _target(target))


def _key(fields: list[Any] | None) -> OperationKey | None:
    if fields is None:
        return None
    key = OperationKey(*fields)
    return key._replace(unit=_unit(key.unit), target=_target(fields[10]))


def _verdict(fields: list[Any]) -> Verdict:
    verdict = Verdict(*fields)
    return verdict if verdict.bounds is None else verdict._replace(bounds=(verdict.bounds[0], verdict.bounds[1]))
