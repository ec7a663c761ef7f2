"""The operations that an alert is about, out of its record."""

import re
from collections.abc import Mapping
from typing import Any, Final

from otmon.model import OperationKey, Target, Unit
from otmon.policy.asked import Asked
from otmon.policy.effects import Effect, Last
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.tags import NO_TAGS, TagMap
from otmon.policy.wording import host_text

_WROTE: Final = re.compile(r"(?:wrote|set) (-?\d+(?:\.\d+)?) to ")
"""The value of a value alert, and that of one write, stand in its title alone."""
_NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def asked(record: Mapping[str, Any], tags: TagMap = NO_TAGS) -> list[Asked]:
    """One for each target that the record lists; none if the alert is not about an operation.

    `tags`: of the policy, for what the alert says of named points.
    """
    if record["kind"] not in ("segmentation", "command", "value"):
        return []
    op = record["operation"]
    unit: Unit = op.get("unit")
    if "link_source" in op:
        unit = op["link_source"], op["link_destination"]
    key = OperationKey(
        *(op["realm"], op["client"], op["server"], op["transport"], op["port"], op["protocol"], unit),
        *(op["function_code"], op["function"], op["access"], None),
        op["initiated_by"],
    )
    deed = _deed(record)
    wrote = _WROTE.match(deed) if record["kind"] == "value" or record["count"] == 1 else None
    value = None if wrote is None else float(wrote[1])
    targets = [entry["target"] for entry in record["targets"]] or [None]
    keys = [_at(key, target) for target in targets]
    point = _point(keys[0], deed, tags)
    if point is not None:
        return [Asked(keys[0]._replace(target=point.tag.target), record["first_ts_ns"], point)]
    return [Asked(key, record["first_ts_ns"], value) for key in keys]


def _deed(record: Mapping[str, Any]) -> str:
    """The title behind who it was, whose name may say anything."""
    who = record["client"]
    begin = f"{host_text(who['endpoint'], who['name'], who['zone'])} "
    return record["title"][len(begin) :] if record["title"].startswith(begin) else ""


def _point(key: OperationKey, deed: str, tags: TagMap) -> Effect | None:
    """What the title says was made of a named point."""
    for tag in tags.touched(key):
        found = re.search(rf" {re.escape(tag.label)} (?:({_NUMBER}) -> )?({_NUMBER})[ ,]", deed)
        if found:
            before = None if found[1] is None else Last(float(found[1]), 0, "before", 0)
            return Effect(tag, before, (float(found[2]),), tuple(range(tag.start, tag.start + tag.size)))
    return None


def _at(key: OperationKey, target: Mapping[str, Any] | None) -> OperationKey:
    if target is None:
        return key
    if key.protocol in PLAIN_PROTOCOLS:
        # What alerts list as targets of connections are their ports.
        return key._replace(port=target["start"]) if key.function == "connect" else key
    return key._replace(target=Target(target["space"], target.get("start"), target.get("end"), target.get("name")))
