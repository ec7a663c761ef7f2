"""A segment that overtakes the one before it: the compiled path puts the two in order itself, and says of whatever
comes between what the slow path says, which it then asks.
"""

from dataclasses import replace
from itertools import permutations, product

import pytest

from otmon.stream.slow import SlowPath
from otmon.wire.loads import INTERPRETED
from tests.engine.traffic import PORTS, Shot, conversation, exchanges, frames, split
from tests.engine.world import same, see
from tests.hostile.kit import ACK, FIN, RST, SYN, Session


def talk(protocol: str, kinds: tuple[int, ...] = (1, 4, 2, 3)) -> list[Shot]:
    session = Session("10.0.2.1", "10.0.1.1", 49152, PORTS[protocol])
    return conversation(session, exchanges(protocol, kinds), closing=True, step_ns=100_000)


def overtaken(shots: list[Shot], at: int, *between: Shot) -> list[Shot]:
    """The data of shot `at` in two segments, the second first; what comes between them."""
    first, second = split(shots[at], [len(shots[at].data) // 2])
    return [*shots[:at], second, *between, first, *shots[at + 1 :]]


@pytest.mark.parametrize("protocol", PORTS)
def test_the_slow_path_is_not_asked(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = SlowPath.take

    def counted(self: SlowPath, state: object, segment: object) -> None:
        taken.append(1)
        take(self, state, segment)

    monkeypatch.setattr(SlowPath, "take", counted)
    shots = talk(protocol)
    plain = see(frames(shots))
    before = len(taken)
    data = [n for n, shot in enumerate(shots) if len(shot.data) > 1]
    for at in data[3:]:  # it is known by then what they speak
        del taken[:]
        found = see(frames(overtaken(shots, at)))
        assert len(taken) <= before, f"shot {at}"
        assert [m["function"] for m in found.messages] == [m["function"] for m in plain.messages]
        same(found, see(frames(overtaken(shots, at)), force_slow=True), f"shot {at} in the slow path")


@pytest.mark.parametrize("protocol", PORTS)
def test_whatever_comes_between(protocol: str) -> None:
    """The same as in the slow path, and in one frame at a time; a RST, a copy, a repetition, a third segment."""
    shots = talk(protocol)
    data = [n for n, shot in enumerate(shots) if len(shot.data) > 3]
    for at in data[2:5]:
        shot = shots[at]
        pieces = split(shot, [len(shot.data) // 3, 2 * len(shot.data) // 3])
        first, second = split(shot, [len(shot.data) // 2])
        other = replace(shot, from_client=not shot.from_client, seq=shot.ack, data=b"", ack=shot.seq, ip_id=900)
        between = [
            [other],
            [replace(other, ack=second.seq)],
            [replace(other, ack=second.seq + len(second.data))],
            [replace(other, flags=RST | ACK)],
            [replace(other, flags=FIN | ACK)],
            [replace(shot, flags=SYN, data=b"", seq=shot.seq + 77, ip_id=901)],
            [second],
            [replace(second, ip_id=902)],
            [replace(second, data=bytes(len(second.data)), ip_id=903)],
            [replace(first, data=first.data[:1], ip_id=904)],
            [replace(shot, ip_id=905)],
            [replace(shot, data=shot.data[: len(first.data) + 1], ip_id=906)],
            [replace(second, seq=second.seq + len(second.data), ip_id=907)],
            [replace(first, flags=ACK | 32, ip_id=908)],
            [replace(first, cut=1, ip_id=909)],
            [replace(other, ts_ns=shot.ts_ns + 3 * 10**9)],
        ]
        orders = [
            *(overtaken(shots, at, *parts) for parts in between),
            *([*shots[:at], *order, *shots[at + 1 :]] for order in permutations(pieces)),
            *([*shots[:at], second, *parts] for parts in between),
            [*shots[:at], second],
            [*shots[:at], second, *shots[at + 1 :]],
        ]
        for number, order in enumerate(orders):
            found = see(frames(order), seed=1)
            same(found, see(frames(order), seed=1, force_slow=True), f"shot {at}, order {number}, in the slow path")
            same(found, see(frames(order), seed=1, batch_frames=1), f"shot {at}, order {number}, frame by frame")


@pytest.mark.skipif(INTERPRETED, reason="small tables are what makes it ask")
def test_many_at_once() -> None:
    """More connections with a held segment than there are slots: some go the slow way, with the same result."""
    talks = [talk("modbus", (1, 2)) for _ in range(400)]
    for n, shots in enumerate(talks):
        session = Session(f"10.0.2.{n % 200 + 1}", "10.0.1.1", 40000 + n, 502)
        talks[n] = overtaken([replace(shot, session=session) for shot in shots], 6)
    turns = [shots[i] for i, shots in product(range(len(talks[0])), talks)]
    found = see(frames(turns), seed=1)
    same(found, see(frames(turns), seed=1, force_slow=True), "in the slow path")
    assert found.ot_bytes["decoded"] == found.ot_bytes["seen"]
