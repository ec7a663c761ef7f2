"""What is harvested on the way adds up to what one harvest at the end gives, wherever the harvests fall."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.capture.inputs import open_inputs
from otmon.engine import cache
from otmon.engine.blind import blindness, times
from otmon.limits import SCAN_PORTS
from otmon.policy import load_policy
from otmon.site.ledger import enter
from otmon.site.part import Part, merge
from tests.effort import examples
from tests.engine.scenes import captures, policies
from tests.engine.world import START_NS, Frame, difference, picture_of, scratch, see_files, write
from tests.hostile.kit import Session

ROOT = Path(__file__).parents[2]
OWN = sorted((ROOT / "captures").glob("*.pcap"))
RELAXED = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def added(parts: list[Part]) -> Part:
    """Differences as one part: a connection told again replaces what was told of it, nothing that came to 0 is left."""
    latest = {
        (c.realm, c.client, c.client_port, c.server, c.server_port, c.first_frame): c
        for p in parts
        for c in p.connections
    }
    if any(part.episodes for part in parts[:-1]):
        assert {e.id for e in parts[-2].episodes} <= {e.id for e in parts[-1].episodes}
    for part in parts:
        part.connections = []
    for part in parts[:-1]:
        part.episodes = []
    whole = merge(parts)
    whole.connections = merge([Part(connections=list(latest.values()))]).connections
    whole.operations = [
        o for o in whole.operations if o.counts.attempted or o.bytes or any(o.counts.as_dict().values())
    ]
    for operation in whole.operations:
        operation.intervals.update({k: v for k, v in operation.intervals.items() if v})
    whole.blocks, _ = enter(whole.blocks)
    return whole


def harvested(path: Path, policy: Any, dice: random.Random) -> tuple[dict[str, Any], bool]:
    cache.choose([str(path)])
    from otmon.engine.run import Run

    run, parts, inputs = Run(policy, seed=1), [], open_inputs([str(path)], batch_frames=dice.choice([1, 5, 50]))
    for batch in inputs:
        run.feed(batch)
        now_ns = int(batch.records[-1, 2]) + dice.choice([0, 10**8, 10**9, 10**11])
        if dice.random() < 0.3:
            run.judge_connections(now_ns)
        if dice.random() < 0.3:
            parts.append(run.harvest(now_ns))
            seen, rest = parts[-1].ot_bytes["seen"], sum(parts[-1].ot_bytes.values()) - parts[-1].ot_bytes["seen"]
            assert seen == rest
    run.finish()
    parts.append(run.harvest())
    took_back = any(o.counts.attempted < 0 for part in parts for o in part.operations)
    whole = added(parts)
    whole.frames["captured"] = sum(whole.frames.values())
    dark = blindness(policy.site if policy else "default", whole, times(inputs.info), policy)
    whole = merge([whole, Part(episodes=dark)])
    return picture_of(whole, policy), took_back


def without_plain(picture: dict[str, Any]) -> dict[str, Any]:
    """Without what a connection leaves behind that was taken for a plain one at first: times, and its alert."""
    picture = {name: value for name, value in picture.items() if name not in ("alerts", "assets")}
    picture["episodes"] = [e for e in picture["episodes"] if e["key"][5] != "connect"]
    for o in picture["operations"]:
        if o["key"][8] in ("connect", "scan"):
            o.update(first_ts_ns=0, last_ts_ns=0, first_frame=0)
    return picture


def check(path: Path, policy: Any, seed: int) -> None:
    usual = see_files([path], policy, messages=False, seed=1).picture
    found, took_back = harvested(path, policy, random.Random(seed))
    if took_back:
        usual, found = without_plain(usual), without_plain(found)
    for name, value in found.items():
        assert value == usual[name], (difference(usual[name], value, name) or "")[:600]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.long)])
def test_own_captures(path: Path, seed: int) -> None:
    check(path, load_policy(ROOT / "rules" / "plant.yaml") if seed else None, seed)


@RELAXED
@given(captures(), st.sampled_from(sorted(policies())), st.integers(0, 2**30))
def test_any_traffic(frames: list[Frame], name: str, seed: int) -> None:
    check(write(scratch() / "h.pcap", frames), policies()[name], seed)


@pytest.mark.parametrize("name", ["none", "refused"])
@pytest.mark.parametrize("seed", range(4))
def test_a_scan_that_is_told_of_port_by_port(name: str, seed: int) -> None:
    frames = [
        frame
        for port in range(1000, 1000 + SCAN_PORTS + 6)
        for frame in Session("10.0.2.1", "10.0.1.1", 40000 + port, port).handshake()[: 1 + port % 3]
    ]
    path = write(scratch() / "scan.pcap", (Frame(START_NS + i * 10**7, frame) for i, frame in enumerate(frames)))
    check(path, policies()[name], seed)
    (operation,) = (o for o in see_files([path], policies()[name]).picture["operations"])
    assert operation["key"][8] == "scan"


def test_the_same_ports_again_are_two_connections() -> None:
    one = Session("10.0.2.1", "10.0.1.1", 40000, 8080)
    frames = [*one.handshake(), one.send(b"GET /"), *one.close()]
    two = Session("10.0.2.1", "10.0.1.1", 40000, 8080)
    two.seq = [2_000_000, 3_000_000]
    frames += [*two.handshake(), two.send(b"GET /")]
    seen = see_files([write(scratch() / "again.pcap", frames)]).picture
    (operation,) = seen["operations"]
    assert (len(seen["connections"]), operation["counts"]["attempted"]) == (2, 2)
