"""The id of an alert: the same for the same traffic, another one for another site or a later recurrence (DESIGN 1)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otmon.policy import load_policy
from otmon.policy.load import load_bytes
from tests.engine.scenes import REFUSED
from tests.engine.traffic import conversation, exchanges, frames
from tests.engine.world import Frame, Seen, see, see_files
from tests.hostile.kit import Session
from tests.policy.policy_kit import policy

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "captures" / "plant.pcap"
HOUR = 3600 * 10**9


def site(name: str) -> Any:
    return policy(REFUSED.replace("site: works", f"site: {name}"))


def capture(delay_ns: int = 0) -> list[Frame]:
    shots = conversation(Session("10.0.2.1", "10.0.1.1"), exchanges("modbus", range(6)), closing=True)
    return [frame._replace(ts_ns=frame.ts_ns + delay_ns) for frame in frames(shots)]


def ids(seen: Seen) -> list[str]:
    found = [alert["id"] for alert in seen.alerts()]
    assert len(set(found)) == len(found)
    return found


def test_the_same_traffic_gives_the_same_ids() -> None:
    first = see(capture(), site("works"), seed=1)
    assert ids(first)
    assert ids(see(capture(), site("works"), seed=2, force_slow=True, batch_frames=1)) == ids(first)
    assert ids(see(capture(), site("works"), jobs=2)) == ids(first)


def test_two_sites_share_no_id() -> None:
    assert not set(ids(see(capture(), site("works")))) & set(ids(see(capture(), site("mill"))))


def test_of_the_demo() -> None:
    """The plant's capture, replayed, and as another site."""
    text = (ROOT / "rules" / "plant.yaml").read_text()
    here = ids(see_files([PLANT], load_policy(ROOT / "rules" / "plant.yaml")))
    other = load_bytes(text.replace("site: demo-plant", "site: other-plant").encode(), "plant.yaml")
    assert len(here) == 6
    assert ids(see_files([PLANT], load_bytes(text.encode(), "copy.yaml"))) == here
    assert not set(here) & set(ids(see_files([PLANT], other)))


@pytest.mark.parametrize(("delay_ns", "again"), [(10 * 60 * 10**9, False), (HOUR, False), (HOUR + 10**9, True)])
def test_a_recurrence_within_the_hour_is_the_same_episode(delay_ns: int, again: bool) -> None:
    """The whole capture once more later: while the episode lasts, its alerts count on; afterwards they are new ones."""
    once = see(capture(), site("works"))
    both = see([*capture(), *capture(delay_ns)], site("works"))
    first = {alert["id"]: alert for alert in once.policy_alerts()}
    later = {alert["id"]: alert for alert in both.policy_alerts()}
    assert set(first) <= set(later)
    assert len(later) == len(first) * (2 if again else 1)
    assert sum(a["count"] for a in later.values()) == 2 * sum(a["count"] for a in first.values())
    if again:
        moved = {(a["operation"]["function"], a["first_ts_ns"] + delay_ns) for a in first.values()}
        assert {(a["operation"]["function"], a["first_ts_ns"]) for i, a in later.items() if i not in first} == moved


def test_a_replay_of_the_later_part_alone_gives_its_ids() -> None:
    """What is analysed apart has the ids that it has within the whole, if its episodes began there."""
    whole = see([*capture(), *capture(2 * HOUR)], site("works"))
    part = see(capture(2 * HOUR), site("works"))
    assert set(ids(part)) < set(ids(whole))


def test_what_makes_an_episode_another_one() -> None:
    shots = conversation(Session("10.0.2.1", "10.0.1.1"), exchanges("modbus", [1, 2, 0]))
    other_client = conversation(Session("10.0.2.2", "10.0.1.1"), exchanges("modbus", [1]))
    other_port = [replace(s, ts_ns=s.ts_ns + 10**9) for s in conversation(Session("10.0.2.1", "10.0.1.1", 50_000),
                                                                            exchanges("modbus", [1]))]  # fmt: skip
    seen = see(frames(sorted([*shots, *other_client, *other_port], key=lambda s: s.ts_ns)), site("works"))
    told = sorted((a["client"]["endpoint"], a["operation"]["function"], a["count"]) for a in seen.policy_alerts())
    assert told == [
        ("10.0.2.1", "read_holding_registers", 1),
        ("10.0.2.1", "write_multiple_registers", 1),
        ("10.0.2.1", "write_single_register", 2),
        ("10.0.2.2", "write_single_register", 1),
    ]
