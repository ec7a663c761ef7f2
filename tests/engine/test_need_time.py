"""A DNP3 outstation that asks for the time (IIN1.4): a fact, by which learning permits that its clock is set."""

import pytest

from otmon.model import NEED_TIME
from otmon.policy.functions import REASONS
from otmon.policy.learn import blank, update
from otmon.policy.load import load_bytes
from otmon.site.site import Site
from tests.engine.test_points_asked import World, dnp3

POLL = "01 3c0206"
WRITE_TIME = "02 32010701 010203040506"
CALM, ASKING = "0000", "1000"


def exchange(world: World, n: int, request: str, iin: str) -> None:
    world.see(*dnp3(world, f"{0xC0 | n:02x}{request}", True, 0))
    world.see(*dnp3(world, f"{0xC0 | n:02x}81 {iin}", False, 0))


@pytest.mark.parametrize(("asking", "unsolicited"), [(False, False), (True, False), (True, True)])
def test_the_clock_is_set_when_it_was_asked_for(asking: bool, unsolicited: bool) -> None:
    world = World(port=20_000)
    exchange(world, 0, POLL, CALM)
    if unsolicited:
        world.see(*dnp3(world, f"F182 {ASKING}", False, 0))
    exchange(world, 1, POLL, ASKING if asking and not unsolicited else CALM)
    exchange(world, 2, POLL, CALM)
    exchange(world, 3, WRITE_TIME, CALM)
    world.run.finish()
    part = world.run.harvest()
    asked = {(fact.realm, fact.address): fact.ts_ns for fact in part.facts if fact.name == NEED_TIME}
    assert bool(asked) == asking
    records = list(part.operations)
    (write,) = [record.key for record in records if record.key.function == "write"]
    assert write.target is not None
    assert write.target.space == "g50"
    text = update(blank(records), "p", records, source="s", asked=asked).text
    verdict = load_bytes(text.encode(), "p").judge(write, 0)
    assert (verdict.permit, verdict.review) == (asking, None if asking else REASONS["time"])
    attributes = {name for asset in Site(part).assets for name in asset.attributes}
    assert NEED_TIME not in attributes
