"""DNP3 outstations behind one terminal server: frames of their fragments among each other, and what goes wrong."""

import random

from tests.engine.world import Seen, see
from tests.hostile.kit import Session
from tests.protocols.dnp3_corpus import TO_MASTER, frames

ANSWER = b"\xc0\x81\0\0\x1e\x02\x01\0\0\xc7\0" + b"\x01\x10\x27" * 200
"""200 analog inputs."""


def answers(count: int) -> list[list[bytes]]:
    link = {"control": TO_MASTER, "destination": 1}
    return [frames(ANSWER, source, source=10 + source, **link) for source in range(count)]


def seen_of(units: list[bytes], cut: int = 0) -> Seen:
    session = Session("10.0.0.1", "10.0.0.2", server_port=20000)
    stream = b"".join(units)
    cuts = range(cut, len(stream), cut) if cut else ()
    return see([*session.handshake(), *session.send_cut(stream, cuts, from_client=False)])


def faults(seen: Seen) -> dict[str, int]:
    found: dict[str, int] = seen.picture["protocols"]["dnp3"].get("faults", {})
    return found


def test_every_fragment_is_whole() -> None:
    rng = random.Random(1)
    for cut in (0, 7, 300):
        queues, units = answers(6), []
        whole = sum(len(unit) for queue in queues for unit in queue)
        while queues:
            queue = rng.choice(queues)
            units.append(queue.pop(0))
            queues = [queue for queue in queues if queue]
        seen = seen_of(units, cut)
        assert sorted(message["link_source"] for message in seen.messages) == list(range(10, 16))
        for message in seen.messages:
            (header,) = message["dnp3"]["objects"]
            assert [point["value"] for point in header["points"]] == [10_000] * 200
        assert seen.ot_bytes["decoded"] == seen.ot_bytes["seen"] == whole
        assert faults(seen) == {}


def test_what_is_lost_is_counted_by_what_is_wrong() -> None:
    first, second, third = answers(3)
    damaged = second[1][:30] + bytes([second[1][30] ^ 1]) + second[1][31:]
    units = [first[0], second[0], third[0], first[2], damaged, second[2], *third[1:], *first]
    seen = seen_of(units)
    assert [message["link_source"] for message in seen.messages] == [12, 10]
    assert faults(seen) == {"block_crc": 1, "segment_sequence": 2}
    lost = len(first[0]) + len(first[2]) + len(damaged) + len(second[0]) + len(second[2])
    assert seen.ot_bytes["malformed"] == lost
    assert seen.ot_bytes["decoded"] == seen.ot_bytes["seen"] - lost


def test_what_is_not_ended_is_pending() -> None:
    first, second = answers(2)
    seen = seen_of([first[0], *second])
    assert [message["link_source"] for message in seen.messages] == [11]
    assert seen.ot_bytes["pending"] == len(first[0])
