"""H17, H20, H21, H31, H32, H34: work grows with the frames and no faster, caps hold, what counts goes on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otmon.stream import identify
from otmon.wire import state
from tests.engine.scenes import policies
from tests.engine.traffic import conversation, frames
from tests.engine.world import START_NS, see
from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, VALUES, reported, survive
from tests.hostile.work import FLOODS, churn, colliding, syns, undecided

SIZES = (60, 110, 160)


def worked() -> dict[str, list[int]]:
    """Lines executed by flood and size: in a process of its own, which is sure to be interpreted."""
    command = [sys.executable, "-m", "tests.hostile.work", *map(str, SIZES)]
    environment = {**os.environ, "OTMON_INTERPRET": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: [int(count) for count in counts] for name, *counts in rows}


def test_work_grows_with_the_frames_and_no_faster() -> None:
    found = worked()
    assert set(found) == set(FLOODS)
    for flood, (small, middle, large) in found.items():
        assert large - middle < 1.25 * (middle - small), flood
        assert large / SIZES[-1] < 4000, flood


@pytest.mark.parametrize("flood", FLOODS)
def test_what_comes_later_is_still_judged(flood: str) -> None:
    seen = survive(FLOODS[flood](200))
    assert not [a for a in seen.alerts("visibility") if a["operation"] is None and "internal" in a["title"]]


def capped(monkeypatch: pytest.MonkeyPatch, **caps: int) -> None:
    """Tables that may not grow past what they begin with."""
    tables = tuple(t._replace(cap=caps.get(t.rows, t.cap)) for t in state._TABLES)
    monkeypatch.setattr(state, "_TABLES", tables)


def surrounded(flood: list[bytes]) -> Any:
    """A conversation that was there before the flood and goes on behind it."""
    shots = conversation(Session(CLIENT, SERVER), [(READ, VALUES), (FORBIDDEN, FORBIDDEN)], start_ns=START_NS)
    known = frames(shots)
    middle = [known[0]._replace(ts_ns=START_NS + 10**8 + n * 1000, data=data) for n, data in enumerate(flood)]
    late = [frame._replace(ts_ns=START_NS + 10**10) for frame in known[6:]]
    return see([*known[:6], *middle, *late], policies()["refused"])


def test_connections_are_capped_and_those_known_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """H34: frames of new connections are shed and counted, and a finding says that they were."""
    capped(monkeypatch, conns=1024, flows=2048)
    seen = surrounded(syns(1500))
    assert seen.frames["shed"] == 1500 - 1023
    assert reported(seen) == 1
    assert len(seen.picture["connections"]) == 1024
    (finding,) = (a for a in seen.alerts("visibility") if "477" in a["title"])
    assert finding["severity"] == "medium"


def test_bindings_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """H21: MACs and addresses without end; the devices that were there first stay."""
    capped(monkeypatch, bindings=1024)
    seen = surrounded(churn(1500))
    assert len(seen.picture["bindings"]) == 1024
    assert reported(seen) == 1
    assert {h["address"] for h in seen.picture["hosts"]} >= {CLIENT, SERVER}


def test_ipv6_addresses_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    capped(monkeypatch, hosts6=1024)
    seen = surrounded(colliding(1500))
    assert seen.frames["shed"] == 1500 - 1023
    assert reported(seen) == 1


def test_undecided_connections_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond are not held: their bytes are unrecognised, and nothing else suffers."""
    monkeypatch.setattr(identify, "MAX_IDENTIFYING", 8)
    seen = survive(undecided(400))
    assert seen.ot_bytes["pending"] + seen.ot_bytes["unrecognised"] + seen.ot_bytes["malformed"] >= 300


def test_tables_grow_when_they_may() -> None:
    """Past what every table begins with, by one frame after the other, nothing is lost and nothing is shed."""
    seen = surrounded(syns(2500))
    assert seen.frames["shed"] == 0
    assert len(seen.picture["connections"]) == 2501
    assert reported(seen) == 1
