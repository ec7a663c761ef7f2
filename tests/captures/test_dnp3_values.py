"""Every point, variation and command field of a real stack (opendnp3): read back as its script wrote it."""

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run

CAPTURES = Path(__file__).parents[2] / "captures"
sys.path.insert(0, str(CAPTURES / "make" / "endpoints"))
try:
    import dnp3_values as wrote  # type: ignore[import-not-found]  # a script of captures/make, beside its own stack
finally:
    sys.path.pop(0)

NAMES = ("online", "restart", "comm_lost", "remote_forced", "local_forced")
REST = {
    "Binary": ("chatter_filter",),
    "Counter": ("rollover", "discontinuity"),
    "FrozenCounter": ("rollover", "discontinuity"),
    "Analog": ("over_range", "reference_error"),
    "AnalogOutputStatus": ("over_range", "reference_error"),
}
KIND_OF = {group: kind for kind, (static, _, event, _) in wrote.KINDS.items() for group in (static, event)}
INTEGERS = {30: {1: 32, 2: 16, 3: 32, 4: 16}, 32: {1: 32, 2: 16, 3: 32, 4: 16}, 40: {1: 32, 2: 16}}
INTEGERS[42] = INTEGERS[32]
SINGLES = {(30, 5), (32, 5), (32, 7), (40, 3), (42, 5), (42, 7)}
TIMED = {
    **dict.fromkeys(((2, 2), (2, 3), (4, 2), (4, 3), (11, 2)), True),
    **{(group, variation): True for group in (22, 23) for variation in (5, 6)},
    **{(group, variation): True for group in (32, 42) for variation in (3, 4, 7, 8)},
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("dnp3_points") / "out"
    assert run(["analyze", str(CAPTURES / "dnp3_points.pcap"), "--out", str(out), "--messages"]) == 0
    return [json.loads(line) for line in (out / "messages.jsonl").read_text().splitlines()]


def expected(group: int, variation: int, index: int) -> dict[str, Any]:
    """What the stack must have sent for a point; it cuts what an integer cannot hold, and says so."""
    kind = KIND_OF[group]
    value, over = wrote.value(kind, index), False
    if bits := INTEGERS.get(group, {}).get(variation):
        whole, limit = int(value), 1 << bits - 1
        value = max(-limit, min(limit - 1, whole))
        over = whole != value
    elif (group, variation) in SINGLES:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    octet = wrote.flags(kind, index) | (0x20 if over else 0)
    names = NAMES + REST.get(kind, ())
    point = {"value": value, "flags": [name for bit, name in enumerate(names) if octet >> bit & 1]}
    if (group, variation) in TIMED:
        point["time_ms"] = wrote.time_ms(kind, index)
    return point


def shown(messages: list[dict[str, Any]]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for message in messages:
        for header in message["dnp3"].get("objects", ()) if message["kind"] != "request" else ():
            if header["group"] in KIND_OF:
                for point in header.get("points", ()):
                    yield header["group"], header["variation"], point
                for index, value in enumerate(header.get("values", ()), header.get("first", 0)):
                    yield header["group"], header["variation"], {"index": index, "value": value}


def test_points_are_what_the_outstation_holds(messages: list[dict[str, Any]]) -> None:
    seen = set()
    for group, variation, point in shown(messages):
        wanted = expected(group, variation, point["index"])
        assert {name: point[name] for name in wanted if name in point} == {
            name: wanted[name] for name in wanted if name in point
        }, (group, variation, point)
        assert ("time_ms" in point) == ("time_ms" in wanted)
        seen.add((group, variation, point["index"]))
    for kind, (static, _, event, events) in wrote.KINDS.items():
        for index, variation in enumerate(events):
            assert (event, variation, index) in seen, kind
            assert any((static, v, index) in seen for v in range(1, 11)), kind
    # Every variation that the outstation has was asked for; it answers some of them with another.
    assert {(g, v) for g, v, _ in seen} >= {(30, v) for v in range(1, 7)} | {(40, v) for v in range(1, 5)} | {(1, 2)}


def test_relative_times_count_from_the_common_time(messages: list[dict[str, Any]]) -> None:
    relative = [point for _, _, point in shown(messages) if "relative_ms" in point]
    assert {point["time_ms"] for point in relative} == {
        wrote.time_ms("Binary", 2),
        wrote.time_ms("DoubleBitBinary", 2),
    }


def commands(messages: list[dict[str, Any]], group: int, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (message["function"], point)
        for message in messages
        if message["kind"] == kind
        for header in message["dnp3"].get("objects", ())
        if header["group"] == group
        for point in header["points"]
    ]


@pytest.mark.parametrize("kind", ["request", "response"])
def test_controls_are_what_the_master_sent(messages: list[dict[str, Any]], kind: str) -> None:
    fields = ("control_code", "repeat", "on_ms", "off_ms")
    sent = [tuple(point[field] for field in fields) for _, point in commands(messages, 12, kind)]
    assert sent == list(wrote.CONTROLS)
    for _, point in commands(messages, 12, kind):
        code = point["control_code"]
        said = ("nul", "pulse_on", "pulse_off", "latch_on", "latch_off")[code & 15]
        assert (point["operation"], point["clear"], point["queue"]) == (said, bool(code & 0x20), False)
        assert point["trip_close"] == ("nul", "close", "trip")[code >> 6]
        assert point["status_name"] == "success"


def test_set_points_are_what_the_master_sent(messages: list[dict[str, Any]]) -> None:
    sent = [(function, point["index"], point["value"]) for function, point in commands(messages, 41, "request")]
    assert sent == [
        (function, index, value)
        for index, (_, value) in enumerate(wrote.SETPOINTS)
        for function in ("select", "operate")
    ]


def test_the_interval_is_what_the_master_wrote(messages: list[dict[str, Any]]) -> None:
    (point,) = (point for function, point in commands(messages, 50, "request") if function == "write")
    start, interval, units = wrote.INTERVAL
    assert (point["time_ms"], point["interval"], point["interval_units"]) == (start, interval, units)
    assert point["interval_units_name"] == "minutes"


def test_attributes_are_asked_for_by_name(messages: list[dict[str, Any]]) -> None:
    asked = [
        header["attribute"]
        for message in messages
        for header in message["dnp3"].get("objects", ())
        if header["group"] == 0
    ]
    assert asked == ["all_attributes", "manufacturer"]
