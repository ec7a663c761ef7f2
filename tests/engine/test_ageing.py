"""Tables that forget: what is still known is judged and counted as if nothing had been forgotten."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.capture.inputs import open_inputs
from otmon.engine import cache
from otmon.engine.blind import blindness, times
from otmon.policy import load_policy
from otmon.site.part import Part, merge
from otmon.wire import columns as c
from tests.engine.scenes import captures, policies
from tests.engine.test_harvest import OWN, RELAXED, ROOT, added
from tests.engine.world import START_NS, Frame, difference, picture_of, scratch, see_files, write
from tests.hostile.kit import Session

OVER = (("192.0.2.1", "10.0.1.199"), ("fd00:9::1", "fd00:1::c7"))
"""Client and server of what is over."""
REQUEST = bytes.fromhex("000100000006010300000002")
ANSWER = bytes.fromhex("00010000000701030400010002")
MACS = (bytes.fromhex("020000aa0001"), bytes.fromhex("020000aa0002"))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw tables together at every turn, though nothing is old: rows that are free go, all others move."""
    cache.choose(["-"])
    from otmon.engine import ageing

    monkeypatch.setattr(ageing, "FEW", 0)
    monkeypatch.setattr(ageing, "FREE_SHARE", -1.0)
    monkeypatch.setattr(ageing, "HOSTS_SHARE", -1.0)


def long_over(run: Any) -> None:
    """Fill the first rows of every table with what is over, so that all others move when it goes."""
    frames = []
    for number in range(8):
        client, server = OVER[number % 4 // 2]
        one = Session(client, server, 40_000 + number, 502 if number % 2 else 8000 + number)
        request = bytes([0, number]) + REQUEST[2:9] + bytes([number]) + REQUEST[10:]
        answer = bytes([0, number]) + ANSWER[2:]
        frames += [*one.handshake(), one.send(request), one.send(answer, from_client=False), *one.close()]
    frames = [MACS[0] + MACS[1] + frame[12:] for frame in frames]
    long_ago = START_NS - 3 * 86_400 * 10**9
    path = write(scratch() / "old.pcap", (Frame(long_ago + i * 1000, frame) for i, frame in enumerate(frames)))
    for batch in open_inputs([str(path)]):
        run.feed(batch)
    assert (run.state.ctl[[c.CTL_CONNS, c.CTL_SHAPES]] > 0).all()
    run.harvest(START_NS - 1)


def newer(part: Part) -> None:
    """Without what is over."""
    gone = {address for pair in OVER for address in pair}
    part.operations = [o for o in part.operations if o.key.client not in gone]
    part.connections = [r for r in part.connections if r.client not in gone]
    part.hosts = [h for h in part.hosts if h.address not in gone]
    part.habits = [h for h in part.habits if h.address not in gone]
    part.episodes = [e for e in part.episodes if e.key.client not in gone]


def aged(path: Path, policy: Any, dice: random.Random) -> dict[str, Any]:
    from otmon.engine.run import Run

    run, parts, inputs = Run(policy, seed=1), [], open_inputs([str(path)], batch_frames=dice.choice([1, 5, 50]))
    ended = []
    long_over(run)
    for batch in inputs:
        run.feed(batch)
        now_ns = int(batch.records[-1, 2])
        if dice.random() < 0.3:
            run.age(now_ns)
        if dice.random() < 0.3:
            parts.append(run.harvest(now_ns))
            ended += run.retire(now_ns)
            run.forget(now_ns)
    run.finish()
    parts.append(run.harvest())
    parts[-1].episodes += ended
    for part in parts:
        newer(part)
    whole = added(parts)
    whole.frames["captured"] = sum(whole.frames.values())
    dark = blindness(policy.site if policy else "default", whole, times(inputs.info), policy)
    whole = merge([whole, Part(episodes=dark)])
    return picture_of(whole, policy)


def check(path: Path, policy: Any, seed: int) -> None:
    usual = see_files([path], policy, messages=False, seed=1).picture
    found = aged(path, policy, random.Random(seed))
    for name, value in found.items():
        assert value == usual[name], (difference(usual[name], value, name) or "")[:600]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.long)])
def test_own_captures_while_rows_move(path: Path, seed: int) -> None:
    check(path, load_policy(ROOT / "rules" / "plant.yaml") if seed else None, seed)


@pytest.mark.usefixtures("hasty")
@RELAXED
@given(captures(), st.sampled_from(sorted(policies())), st.integers(0, 2**30))
def test_any_traffic_while_rows_move(frames: list[Frame], name: str, seed: int) -> None:
    check(write(scratch() / "h.pcap", frames), policies()[name], seed)


def elsewhere(frame: bytes, at: int, more: int) -> bytes:
    """A TCP frame whose port at this place is so much higher, with the checksum that belongs to it (RFC 1624)."""
    port, checksum = (int.from_bytes(frame[place : place + 2], "big") for place in (at, 50))
    checksum = (0xFFFF ^ checksum) + more
    checksum = 0xFFFF ^ ((checksum & 0xFFFF) + (checksum >> 16))
    moved = frame[:at] + (port + more).to_bytes(2, "big") + frame[at + 2 :]
    return moved[:50] + checksum.to_bytes(2, "big") + moved[52:]


def test_connections_that_ended_make_room() -> None:
    """Twice as many connections as the tables hold at once, beside one that polls all along."""
    cache.choose(["-"])
    from otmon.engine.run import Run

    poll, run = Session("10.0.2.1", "10.0.1.1"), Run(None, seed=1)
    others = [Session("10.0.3.1", f"10.0.4.{number % 50}", 10_000 + number, 8000) for number in range(5000)]
    ended = [(one.handshake()[0], one.send(flags=0x14, from_client=False)) for one in others]
    frames, ts_ns, sizes, total = [*poll.handshake()], START_NS, [], 0
    for round_ in range(7):
        for number, (asked, refused) in enumerate(ended):
            frames += [elsewhere(asked, 36, round_), elsewhere(refused, 34, round_)]
            if number % 1000 == 0:
                frames += [poll.send(REQUEST), poll.send(ANSWER, from_client=False)]
        path = write(scratch() / "many.pcap", (Frame(ts_ns + i * 1000, frame) for i, frame in enumerate(frames)))
        for batch in open_inputs([str(path)]):
            run.feed(batch)
        frames, ts_ns = [], ts_ns + 120 * 10**9
        run.judge_connections(ts_ns)
        for _ in range(12):
            run.age(ts_ns)
        part = run.harvest(ts_ns)
        total += sum(o.counts.attempted for o in part.operations if o.key.protocol == "modbus")
        run.forget(ts_ns)
        sizes.append(int(run.state.ctl[c.CTL_CONNS]))
    assert max(sizes) < 6000
    assert total == 35
    assert len(run.state.conns) <= 16384


def test_bindings_that_are_known_are_known_in_a_larger_table_too() -> None:
    cache.choose(["-"])
    from otmon.engine.run import Run

    run = Run(None, seed=1)
    frames = [
        b"\xff" * 6
        + mac
        + bytes.fromhex("08060001080006040001")
        + mac
        + bytes([10, 0, *number.to_bytes(2, "big")])
        + bytes(10)
        for number in range(3000)
        for mac in [bytes.fromhex("0200") + number.to_bytes(4, "big")]
    ]
    path = write(scratch() / "arp.pcap", frames * 2)
    for batch in open_inputs([str(path)]):
        run.feed(batch)
    assert int(run.state.ctl[c.CTL_BINDINGS]) == len({(b.mac, b.address) for b in run.harvest().bindings}) == 3000


def test_what_a_flood_made_is_counted_as_shed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.choose(["-"])
    from otmon.engine import ageing
    from otmon.engine.run import Run

    monkeypatch.setattr(ageing, "CROWDED", 0)
    monkeypatch.setattr(ageing, "FEW", 0)
    run = Run(None, seed=1)
    syns = [Session("10.0.3.1", "10.0.4.1", 10_000 + n, 8000).handshake()[0] for n in range(50)]
    for batch in open_inputs([str(write(scratch() / "syns.pcap", syns))]):
        run.feed(batch)
    monkeypatch.setattr(ageing, "FREE_SHARE", 2.0)
    for _ in range(5):
        run.age(START_NS + 5 * 10**9)
    assert run.harvest(START_NS + 5 * 10**9).shed == 0, "not worth drawing the table together: nothing is shed"
    monkeypatch.setattr(ageing, "FREE_SHARE", 0.25)
    for _ in range(5):
        run.age(START_NS + 5 * 10**9)
    assert run.harvest(START_NS + 5 * 10**9).shed == 50


def told(run: Any, days: int) -> Part:
    """What is harvested after everybody said who they are, so many days later."""
    shift_ns = days * 86_400 * 10**9
    for batch in open_inputs([str(ROOT / "captures" / "plant.pcap")]):
        batch.records[:, 2] += shift_ns
        run.feed(batch)
    part: Part = run.harvest(run.last_ts_ns)
    return part


def names(part: Part) -> set[Any]:
    return {fact[:6] for fact in part.facts}


def test_who_devices_are_is_told_once_a_day() -> None:
    cache.choose(["-"])
    from otmon.engine.run import Run

    run = Run(seed=1)
    first = told(run, 0)
    assert first.facts
    assert not first.shed
    assert not told(run, 1).facts
    assert not told(run, 3).facts
    assert names(told(run, 4)) == names(first)
    assert not told(run, 5).facts


def test_a_full_table_of_facts_is_begun_anew_and_what_found_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.choose(["-"])
    from otmon.engine import collect
    from otmon.engine.run import Run

    monkeypatch.setattr(collect, "MAX_FACTS", 3)
    run = Run(seed=1)
    for turn in range(2):
        part = told(run, turn)
        assert len(part.facts) == 3
        assert part.shed > 0


def test_so_much_waits_that_a_harvest_should_come(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.choose(["-"])
    from otmon import limits
    from otmon.engine.run import Run

    run = Run(seed=1)
    long_over(run)
    for batch in open_inputs([str(ROOT / "captures" / "plant.pcap")]):
        run.feed(batch)
    assert not run.age(run.last_ts_ns)
    monkeypatch.setattr(limits, "MAX_UNSAVED", 3)
    assert run.age(run.last_ts_ns + 2 * limits.CONTROL_IDLE_NS)  # all connections are closed, and wait to be told
    run.harvest(run.last_ts_ns + 2 * limits.CONTROL_IDLE_NS)
    assert not run.age(run.last_ts_ns + 2 * limits.CONTROL_IDLE_NS)
