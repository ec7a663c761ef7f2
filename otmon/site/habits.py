"""How clients speak: what of a connection's beginning depends on the machine and the program, not on the plant.

A signature is what one connection showed. Of each address, protocol and habit the signatures are counted, and the times
of the first connections that showed each are kept, so that records of parts unite to the same, however the traffic was
shared. Whoever shows more than MAX_SIGNATURES has no habit: then they are one signature, VARIOUS, and stay so.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Final, NamedTuple

from otmon.limits import MAX_SIGNATURES
from otmon.model import Habit, Sighting

ESTABLISHED: Final = 8
"""Connections of one signature that make a habit."""
STRANGE: Final = 3
"""Connections of another one that are no accident."""
VARIOUS: Final = "various"
ORDER: Final = "order"
"""Kind of what a client begins with. Evidence alone: who shows another screen begins otherwise, and is no stranger."""


def _seen_twice(left: Sighting, right: Sighting) -> Sighting:
    first = min(left, right, key=lambda one: (one.times[0], one.first_frame, one.server))
    return first._replace(
        connections=left.connections + right.connections,
        times=tuple(sorted(left.times + right.times))[:ESTABLISHED],
        last_ts_ns=max(left.last_ts_ns, right.last_ts_ns),
    )


def _bounded(signatures: Mapping[str, Sighting]) -> dict[str, Sighting]:
    if VARIOUS not in signatures and len(signatures) <= MAX_SIGNATURES:
        return dict(sorted(signatures.items()))
    whole: Sighting | None = None
    for sighting in signatures.values():
        whole = sighting if whole is None else _seen_twice(whole, sighting)
    return {} if whole is None else {VARIOUS: whole}


def add_habits(left: Habit, right: Habit) -> Habit:
    """The same habit of the same address in two parts."""
    signatures = dict(left.signatures)
    for name, sighting in right.signatures.items():
        signatures[name] = _seen_twice(signatures[name], sighting) if name in signatures else sighting
    return left._replace(signatures=_bounded(signatures))


class Stranger(NamedTuple):
    """An address that had a habit showed another signature."""

    habit: Habit
    usual: str
    other: str

    @property
    def ts_ns(self) -> int:
        """When it was no accident any more."""
        return self.habit.signatures[self.other].times[STRANGE - 1]


def strangers(habits: Iterable[Habit], known: Mapping[Hashable, Habit]) -> list[Stranger]:
    """Of whole records those that became strange since `known`, which are by their place; by time."""
    found = []
    for habit in habits:
        if habit.kind == ORDER:
            continue
        before = known.get(habit[:4])
        for other, sighting in habit.signatures.items():
            told = before is not None and other in before.signatures and _strange(before.signatures[other])
            if told or not _strange(sighting):
                continue
            usual = [
                name
                for name, one in habit.signatures.items()
                if len(one.times) >= ESTABLISHED and one.times[-1] < sighting.times[0]
            ]
            if usual:
                most = max(usual, key=lambda name: (habit.signatures[name].connections, name))
                found.append(Stranger(habit, most, other))
    return sorted(found, key=lambda one: (one.ts_ns, one.habit[:4], one.other))


def _strange(sighting: Sighting) -> bool:
    return len(sighting.times) >= STRANGE
