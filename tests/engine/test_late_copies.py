"""A mirror whose copies come late: every conversation is still one, with nothing counted twice."""

from heapq import merge
from pathlib import Path
from typing import Any

import pytest

from otmon.policy import load_policy
from tests.engine.world import START_NS, Frame, see
from tests.hostile.kit import Session
from tests.sensor.test_intake import frames_of

ROOT = Path(__file__).parents[2]
CAPTURES = ("plant", "dnp3_opendnp3", "modbus_pymodbus", "s7_download", "s7_snap7")


def counted(frames: Any) -> tuple[Any, ...]:
    picture = see(frames, load_policy(ROOT / "rules" / "plant.yaml"), seed=1).picture
    attempts = [(o["key"], o["counts"]["attempted"]) for o in picture["operations"]]
    return attempts, len(picture["alerts"]), picture["visibility"]["gaps"], picture["ot_bytes"]["malformed"]


OVER_BY_THEN = {("modbus_pymodbus", 20), ("s7_download", 5), ("s7_download", 20)}
"""After RST or FIN a connection may begin anew with the same number: a copy that comes then is taken at its word."""


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("late_ns", [200_000, 10**6, 5 * 10**6, 20 * 10**6])
def test_every_frame_again(name: str, late_ns: int) -> None:
    if (name, late_ns // 10**6) in OVER_BY_THEN:
        pytest.skip("the connection is over by then")
    frames = [Frame(frame[0], frame[1]) for frame in frames_of(f"{name}.pcap")]
    late = [Frame(frame.ts_ns + late_ns, frame.data) for frame in frames]
    assert counted(merge(frames, late, key=lambda frame: frame.ts_ns)) == counted(frames)


@pytest.mark.parametrize("closed", [True, False])
def test_a_connection_that_begins_with_the_same_number_later_is_another_one(closed: bool) -> None:
    request, answer = bytes.fromhex("000100000006010300000002"), bytes.fromhex("00010000000701030400010002")
    frames: list[Frame] = []
    for start_ns in (START_NS, START_NS + 3 * 10**9):
        one = Session("10.0.2.1", "10.0.1.1", 40000)
        told = [
            *one.handshake(),
            one.send(request),
            one.send(answer, from_client=False),
            *(one.close() if closed else ()),
        ]
        frames += [Frame(start_ns + i * 10**6, data) for i, data in enumerate(told)]
    seen = see(frames, seed=1)
    assert len(seen.picture["connections"]) == 2
    assert sum(o["counts"]["attempted"] for o in seen.picture["operations"]) == 2


@pytest.mark.parametrize("second", [1000, 77_777])
def test_a_number_used_again_hides_nothing_where_one_direction_is_seen(second: int) -> None:
    """RST, and the same ports with the same initial number within a second: the write is no copy of what was read."""
    read = bytes.fromhex("000100000006010300000001")
    one = Session("10.0.2.1", "10.0.1.1", 40000)
    told = [one.handshake()[0], *(one.send(read * 100) for _ in range(40)), one.send(flags=0x04)]
    one.seq = [second, 9000]
    told += [one.handshake()[0], one.send(bytes.fromhex("0007000000060106000a0001"))]
    seen = see([Frame(START_NS + i * 10**6, data) for i, data in enumerate(told)], seed=1)
    assert "write_single_register" in {o["key"][8] for o in seen.picture["operations"]}
