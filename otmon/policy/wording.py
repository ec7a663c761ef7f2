"""Targets, units and rows in the words of the people who run the plant."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from otmon.model import Target
from otmon.policy.fields import Limit
from otmon.policy.intervals import text
from otmon.policy.references import reference
from otmon.policy.rows import DATA_SPACES, Row
from otmon.text import safe_text

_T = TypeVar("_T")
MAX_NAME_CHARS: Final = 64
MAX_LISTED: Final = 6
"""Ranges or names in one sentence."""
_S7_PLAIN: Final = ("DB", "DI")


@lru_cache(maxsize=4096)
def host_text(*words: str | None) -> str:
    """Address, name, zone: `PLC-3 (10.0.1.13, control)`, or without a name `10.0.1.13 (control)`."""
    address, name, zone = (safe_text(str(word), MAX_NAME_CHARS) if word else "" for word in words)
    where = ", ".join(part for part in (address if name and name != address else "", zone) if part)
    return f"{name or address} ({where})" if where else name or address


def target_text(target: Target | None) -> str:
    """`holding register 40046 (PDU address 45)`, `DB10 bytes 0-255`, `g12 index 3`, `block OB1`; empty for none."""
    if target is None:
        return ""
    ranges = None if target.start is None else ((target.start, target.start if target.end is None else target.end),)
    return limit_text(Limit(target.space, ranges, frozenset({target.name}) if target.name is not None else None))


def limit_text(limit: Limit) -> str:
    """A part of an address space."""
    space = safe_text(limit.space)
    many = limit.ranges is not None and (len(limit.ranges) > 1 or limit.ranges[0][0] != limit.ranges[0][1])
    name = f" {listed(sorted(limit.names), safe_text)}" if limit.names else ""
    if limit.space in DATA_SPACES:
        noun = space.replace("_", " ") + ("s" if many or limit.ranges is None else "")
        if limit.ranges is None:
            return f"all {noun}"
        shown = listed(limit.ranges, lambda pair: _references(space, *pair))
        return f"{noun} {shown} (PDU address{'es' if many else ''} {ranges_text(limit.ranges)})"
    if limit.ranges is None:
        return f"{space}{name}"
    unit = "index" if space[:1] == "g" and space[1:].isdigit() else "byte" if _is_bytes(space) else ""
    plural = {"index": "indexes", "byte": "bytes", "": ""}[unit] if many else unit
    return " ".join(part for part in (f"{space}{name}", plural, ranges_text(limit.ranges)) if part)


def limits_text(limits: Sequence[Limit], space: str | None) -> str:
    """What a row permits, of the space in question if it permits any of that."""
    near = [limit for limit in limits if limit.space == space] or list(limits)
    seen: set[tuple[str, object]] = set()
    shown = []
    for limit in near:
        # `addresses` stands for four spaces: one of them is enough to say it.
        data = limit.space in DATA_SPACES and limit.space != space and limit.ranges is not None
        key = ("", limit.ranges) if data else (limit.space, limit)
        if key not in seen:
            seen.add(key)
            shown.append(f"addresses {ranges_text(limit.ranges or ())}" if data else limit_text(limit))
    return listed(shown, str)


def functions_text(row: Row) -> str:
    """`read_coils, read_holding_registers`, `read operations`, or the protocol when it permits all of it."""
    named = listed([*sorted(row.functions or ()), *(f"function {code}" for code in sorted(row.codes))], str)
    access = "/".join(sorted(row.accesses or ()))
    if named:
        return f"{named} ({access})" if access else named
    return f"{access} operations" if access else f"all of {row.protocol}"


def units_text(row: Row) -> str:
    """`unit 1`, `master 1 and outstation 10-19`."""
    parts = []
    for noun, ranges in (("unit", row.units), ("master", row.masters), ("outstation", row.outstations)):
        if ranges is not None:
            parts.append(f"{noun} {ranges_text(ranges)}")
    return " and ".join(parts)


def values_text(ranges: Sequence[tuple[float, float]]) -> str:
    """`0-100`."""
    return listed(ranges, lambda pair: text((pair,)))


def ports_text(row: Row) -> str:
    """`port 502`, `ports 80, 443`, `IP protocol 50`."""
    ports = row.ports or ()
    one = len(ports) == 1 and ports[0][0] == ports[0][1]
    return f"{'IP protocol' if row.protocol == 'ip' else 'port'}{'' if one else 's'} {ranges_text(ports)}"


def _references(space: str, low: int, high: int) -> str:
    return reference(space, low) + (f"-{reference(space, high)}" if high > low else "")


def _is_bytes(space: str) -> bool:
    return space in ("M", "I", "Q", "P", "V", "L") or (space[:2] in _S7_PLAIN and space[2:].isdigit())


def ranges_text(ranges: Sequence[tuple[int, int]]) -> str:
    """`0-9, 12`, the first MAX_LISTED of them."""
    return listed(ranges, lambda pair: text((pair,)))


def listed(items: Sequence[_T], say: Callable[[_T], str]) -> str:
    """The first MAX_LISTED things, and how many more there are."""
    more = f" and {len(items) - MAX_LISTED} more" if len(items) > MAX_LISTED else ""
    return ", ".join(map(say, items[:MAX_LISTED])) + more
