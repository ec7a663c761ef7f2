"""Frames of different connections that have equal times may come in any order."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.model import Sighting
from tests.effort import examples
from tests.engine.scenes import DEEDS, ISN, policies
from tests.engine.traffic import PORTS, conversation, exchanges, frames, spoil
from tests.engine.world import Frame, Seen, difference, see
from tests.hostile.kit import Session

Placed = list[tuple[Frame, tuple[int, int]]]
"""A capture, and which frame of which conversation each is."""


@st.composite
def conversations(draw: Any, number: int) -> list[Frame]:
    """One conversation between hosts of its own; what several share has one first frame, which order decides."""
    protocol = draw(st.sampled_from(sorted(PORTS)))
    ends = draw(st.sampled_from([("10.0.2.{}", "10.0.1.{}"), ("fd00:2::{}", "fd00:1::{}")]))
    shots = conversation(
        Session(ends[0].format(number + 1), ends[1].format(number + 1), 49152, PORTS[protocol]),
        exchanges(protocol, draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))),
        opening=draw(st.booleans()),
        closing=draw(st.booleans()),
        isn=draw(ISN),
        step_ns=draw(st.sampled_from([1_000_000, 1_000_000, 500_000, 0])),
    )
    return frames(spoil(shots, draw(st.lists(DEEDS, max_size=3))))


def woven(made: list[list[Frame]], order: list[int], by_turns: bool) -> Placed:
    """By time; at equal times conversation by conversation in this order, or a frame of each in turn."""
    rank = {number: place for place, number in enumerate(order)}
    placed = [(frame, (number, at)) for number, one in enumerate(made) for at, frame in enumerate(one)]
    if by_turns:
        placed.sort(key=lambda item: (item[0].ts_ns, item[1][1], rank[item[1][0]]))
    else:
        placed.sort(key=lambda item: (item[0].ts_ns, rank[item[1][0]], item[1][1]))
    return placed


def renamed(value: Any, names: dict[int, int], key: str = "") -> Any:
    """With the frame numbers of another capture; lists of records in the order of their content."""
    if isinstance(value, dict):
        return {name: renamed(item, names, name) for name, item in value.items()}
    if key in ("frame", "first_frame") and value is not None:
        return [value[0], names[value[1]]]
    if key == "frames" and isinstance(value, list) and value and isinstance(value[0], list):
        return sorted([number, names[frame]] for number, frame in value)
    if isinstance(value, list):
        return sorted((renamed(item, names) for item in value), key=repr)
    return value


def retold(messages: list[dict[str, Any]], names: dict[int, int]) -> list[dict[str, Any]]:
    """Messages with other frame numbers, in the order that these give, numbered anew."""
    told = [{**m, "frames": [[i, names[f]] for i, f in m["frames"]]} for m in messages]
    told.sort(key=lambda m: (m["ts_ns"], m["frames"][-1], m["n"]))
    numbers = {m["n"]: place for place, m in enumerate(told)}
    connections: dict[int, int] = {}
    for m in told:
        m["n"], m["request_n"] = numbers[m["n"]], numbers.get(m["request_n"])
        m["connection"] = connections.setdefault(m["connection"], len(connections))
    return told


def told(seen: Seen, names: dict[int, int]) -> dict[str, Any]:
    picture = {**seen.picture, "messages": None, "frames": None, "connections": []}
    picture["habits"] = [
        {**habit, "signatures": {name: Sighting(*said)._asdict() for name, said in habit["signatures"].items()}}
        for habit in seen.picture["habits"]
    ]
    for connection in seen.picture["connections"]:
        counts = connection["frames"]
        picture["connections"].append({**connection, "frames": None, "counts": repr(counts)})
    return {**renamed(picture, names), "totals": seen.frames, "told": retold(seen.messages, names)}


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.integers(2, 3).flatmap(lambda n: st.tuples(*(conversations(number) for number in range(n)))),
    st.sampled_from(["none", "permitted", "refused"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_equal_times(made: tuple[list[Frame], ...], rules: str, by_turns: bool, chance: Any) -> None:
    order = list(range(len(made)))
    first = woven(list(made), order, by_turns=False)
    chance.shuffle(order)
    second = woven(list(made), order, by_turns)
    place = {which: number for number, (_, which) in enumerate(first, 1)}
    names = {number: place[which] for number, (_, which) in enumerate(second, 1)}
    a = told(see([frame for frame, _ in first], policies()[rules]), {n: n for n in place.values()})
    b = told(see([frame for frame, _ in second], policies()[rules]), names)
    assert a == b, difference(a, b)
