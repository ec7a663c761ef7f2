"""Episodes over time, exactly counted however batches are cut."""

import struct
from dataclasses import replace
from typing import Any

import pytest

from tests.engine.scenes import policies
from tests.engine.traffic import Exchange, Shot, conversation, exchanges, frames
from tests.engine.world import START_NS, Seen, see
from tests.hostile.kit import Session
from tests.protocols.modbus_corpus import adu

SECOND = 10**9
HOUR = 3600 * SECOND
WAYS: list[dict[str, Any]] = [{}, {"batch_frames": 1}, {"batch_frames": 2}, {"force_slow": True}]


def write(address: int, value: int, transaction: int = 1) -> Exchange:
    body = struct.pack(">HH", address, value)
    return adu(6, body, transaction=transaction), adu(6, body, transaction=transaction)


def read(address: int, transaction: int = 1) -> Exchange:
    return adu(3, struct.pack(">HH", address, 1), transaction=transaction), adu(3, b"\2\0\1", transaction=transaction)


def at_times(exchanges: list[tuple[int, Exchange]], server: str = "10.0.1.1", port: int = 49152) -> list[Shot]:
    """Each exchange at its time after the start; the response a millisecond later, then the acknowledgement."""
    session = Session("10.0.2.1", server, port)
    shots = conversation(session, [e for _, e in exchanges])
    placed = shots[:3]
    for number, (after, _) in enumerate(exchanges):
        trio = shots[3 + 3 * number : 6 + 3 * number]
        placed += [replace(s, ts_ns=START_NS + after + n * 1_000_000) for n, s in enumerate(trio)]
    return placed


def every_way(shots: list[Shot], rules: str = "permitted") -> Seen:
    seen = [see(frames(shots), policies()[rules], **way) for way in WAYS]
    assert all(s.picture == seen[0].picture for s in seen)
    return seen[0]


def test_an_hour_of_silence_ends_an_episode() -> None:
    times = [10 * SECOND, 20 * SECOND, HOUR + 20 * SECOND, 2 * HOUR + 20 * SECOND + 1, 2 * HOUR + 30 * SECOND]
    seen = every_way(at_times([(t, write(50, 1)) for t in times]))
    first, second = seen.policy_alerts()
    assert (first["count"], second["count"]) == (3, 2)
    assert first["first_ts_ns"] == START_NS + 10 * SECOND
    assert first["last_ts_ns"] == START_NS + HOUR + 20 * SECOND
    assert second["first_ts_ns"] == START_NS + 2 * HOUR + 20 * SECOND + 1
    assert first["id"] != second["id"]
    assert first["outcomes"]["accepted"] == 3


def test_shapes_of_one_episode_keep_it_alive_together() -> None:
    """Reads of two addresses are one violation: neither alone comes within the hour."""
    turns = [(n * 50 * 60 * SECOND + SECOND, read((10, 20)[n % 2])) for n in range(8)]
    (alert,) = every_way(at_times(turns)).policy_alerts()
    assert alert["count"] == 8
    assert [(t["target"]["start"], t["attempted"]) for t in alert["targets"]] == [(10, 4), (20, 4)]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_alerts_are_counted_exactly(count: int) -> None:
    turns = [(n * 5_000_000 + SECOND, write(50 + n % 3, n, n + 1)) for n in range(count)]
    (alert,) = every_way(at_times(turns)).policy_alerts()
    assert alert["count"] == count
    assert alert["outcomes"]["accepted"] == count
    assert sum(t["attempted"] for t in alert["targets"]) == count


def test_values_beside_their_bounds() -> None:
    """0-20 is permitted: permitted messages of the same shape are not counted, and make no alert of their own."""
    values = [0, 20, 21, 5, 65535, 20, 21, 0]
    (alert,) = every_way(at_times([(n * SECOND, write(7, v, n + 1)) for n, v in enumerate(values, 1)])).policy_alerts()
    assert (alert["kind"], alert["count"]) == ("value", 3)
    assert "such as 21 " in alert["title"]


def test_a_window_opens_and_closes_between_two_messages() -> None:
    """Capture begins at 22:13:20; maintenance is from 22:14:00 to 22:20:00."""
    at = [39 * SECOND, 40 * SECOND, 300 * SECOND, 399 * SECOND, 400 * SECOND]
    seen = every_way(at_times([(t, write(50, 1)) for t in at]))
    (alert,) = seen.policy_alerts()
    assert alert["count"] == 2
    assert (alert["first_ts_ns"], alert["last_ts_ns"]) == (START_NS + 39 * SECOND, START_NS + 400 * SECOND)


def test_outcomes_of_every_kind_reach_the_alert() -> None:
    session = Session("10.0.2.1", "10.0.1.1")
    refused = adu(0x86, b"\2", transaction=2)
    answered, rejected, silent = write(50, 1, 1), (write(50, 2, 2)[0], refused), (write(50, 3, 3)[0], b"")
    shots = conversation(session, [answered, rejected, silent, answered], step_ns=SECOND)
    (alert,) = every_way([*shots, replace(shots[-1], ts_ns=shots[-1].ts_ns + 60 * SECOND)]).policy_alerts()
    outcomes = {name: n for name, n in alert["outcomes"].items() if n}
    assert outcomes == {"attempted": 4, "accepted": 2, "rejected": 1, "unanswered": 1}


def test_a_late_delivery_does_not_turn_the_clock_back() -> None:
    """A request held behind a hole is delivered after a younger one of the same shape on another connection."""
    held = conversation(Session("10.0.2.1", "10.0.1.1", 50001), [read(10), read(10)])
    opening, first, second = held[:3], held[3], held[6]
    second = replace(second, ack=first.ack, ts_ns=START_NS + SECOND)
    first = replace(first, ts_ns=START_NS + 1_600_000_000)
    other = at_times([(SECOND // 2, read(10)), (1_500_000_000, read(10))], port=50002)
    shots = sorted([*opening, second, first, *other], key=lambda s: s.ts_ns)
    (alert,) = every_way(shots, "refused").policy_alerts()
    assert alert["count"] == 4
    assert alert["last_ts_ns"] == START_NS + 1_600_000_000


def test_a_conflicting_retransmission_is_judged_in_both_readings() -> None:
    session = Session("10.0.2.1", "10.0.1.1")
    shots = conversation(session, [write(5, 3)])
    evil = replace(shots[3], data=write(5, 999)[0], ip_id=77)
    seen = every_way([*shots[:4], evil, *shots[4:]])
    kinds = sorted(alert["kind"] for alert in seen.alerts("protocol", "value", "command"))
    assert "protocol" in kinds
    assert len(kinds) == 2, [a["title"] for a in seen.alerts()]
    assert seen.ot_bytes["copy"] == 12


def test_an_alert_lists_what_the_first_occurrence_wrote() -> None:
    turns = [(n * SECOND, write(50, v, n + 1)) for n, v in enumerate([111, 222, 333], 1)]
    (alert,) = every_way(at_times(turns)).policy_alerts()
    assert "111" in alert["title"]
    assert len(alert["frames"]) == 1


def test_a_mixed_conversation_is_counted_alike() -> None:
    every_way(conversation(Session("10.0.2.1", "10.0.1.1"), exchanges("modbus", list(range(6)) * 30), pipelined=3))
