"""Which messages are handed up for their values: the next of a shape that was asked for, and what answers it."""

import struct
from typing import Any

from otmon.engine.run import Run
from otmon.wire import columns as c
from tests.engine.world import START_NS, Frame
from tests.hostile.kit import Session
from tests.policy.policy_kit import policy
from tests.protocols import dnp3_corpus
from tests.sensor.deal import batch_of

INSPECTED = policy("""
    otmon: 1
    site: works
    zones:
      control: {hosts: [10.0.0.2]}
      supervision: {hosts: [10.0.0.1]}
    conduits:
      - id: polls
        from: supervision
        to: control
        allow:
          - {protocol: modbus, access: read}
          - {protocol: modbus, access: write, addresses: 0-7, values: 0-20}
""")


class World:
    """One conversation, frame by frame, and what was gathered of it."""

    def __init__(self, rules: Any = None, port: int = 502, handshake: bool = True) -> None:
        self.run, self._frames = Run(rules, points_per_s=1e9, seed=1), 0
        assert self.run.points is not None
        self.points, self.session = self.run.points, Session("10.0.0.1", "10.0.0.2", 40_000, port)
        if handshake:
            self.see(*self.session.handshake())

    def see(self, *frames: bytes) -> None:
        timed = [Frame(START_NS + (self._frames + i) * 1_000_000, frame) for i, frame in enumerate(frames)]
        self.run.feed(batch_of(timed, 0, self._frames + 1))
        self._frames += len(frames)

    def ask(self) -> None:
        shapes = self.run.state.shapes[: int(self.run.state.ctl[c.CTL_SHAPES])]
        shapes[:, c.S_SAMPLE] = c.SAMPLE_ONCE

    def told(self) -> list[tuple[Any, ...]]:
        """(access, space, start, value, count), and forget them."""
        points, _ = self.points.take_all()
        return [(p.access, p.target.space, p.target.start, p.value, p.messages) for p in points]

    def modbus(self, transaction: int, pdu: str, from_client: bool = True) -> bytes:
        data = bytes.fromhex(pdu)
        return self.session.send(struct.pack(">HHHB", transaction, 0, len(data) + 1, 1) + data, from_client)

    def poll(self, transaction: int, value: int) -> tuple[bytes, bytes]:
        return self.modbus(transaction, "0300050001"), self.modbus(transaction, f"0302{value:04x}", False)


def test_the_next_one_and_its_answer_once() -> None:
    world = World()
    for number in range(5):
        world.see(*world.poll(number, number))
    assert world.told() == []
    world.ask()
    for number in range(5, 8):
        world.see(*world.poll(number, number))
    assert world.told() == [("read", "holding_register", 5, 5, 6)]
    world.ask()
    world.see(*world.poll(8, 8))
    assert world.told() == [("read", "holding_register", 5, 8, 3)]


def test_the_answer_is_that_of_the_request() -> None:
    """Three requests at once, answered in another order: the value is the first one's."""
    world = World()
    world.see(*world.poll(1, 1))
    world.ask()
    world.see(*(world.modbus(number, "0300050001") for number in (2, 3, 4)))
    world.see(*(world.modbus(number, f"0302{number:04x}", False) for number in (4, 2, 3)))
    assert world.told() == [("read", "holding_register", 5, 2, 2)]


def test_no_answer_no_value() -> None:
    world = World()
    world.see(*world.poll(1, 1))
    world.ask()
    world.see(world.modbus(2, "0300050001"), *world.poll(3, 3))
    assert world.told() == []
    world.ask()
    world.see(world.modbus(4, "0300050001"), world.modbus(4, "8302", False))
    assert world.told() == []


def test_what_is_judged_one_by_one_is_taken_along() -> None:
    """A write that its bounds permit costs no Python; one that they do not is handed up, and the first of its shape."""
    world = World(INSPECTED)
    for number, value in enumerate((3, 4, 4, 99, 98)):
        world.see(world.modbus(number, f"060005{value:04x}"), world.modbus(number, f"060005{value:04x}", False))
    told = world.told()
    assert told[0] == ("write", "holding_register", 5, 3, 1)
    assert told[1] == ("write", "holding_register", 5, 99, 3)
    world.see(*world.poll(9, 7))
    assert not [one for one in world.told() if one[0] == "read"], "a new read has no values yet"


def dnp3(world: World, fragment: str, from_client: bool, sequence: int) -> list[bytes]:
    up = {} if from_client else {"control": dnp3_corpus.TO_MASTER, "destination": 1, "source": 10}
    frames = dnp3_corpus.frames(bytes.fromhex(fragment), first=sequence, **up)
    return [world.session.send(b"".join(frames), from_client)]


def integrity_poll(world: World, n: int, value: int) -> None:
    """Class 0, answered in three fragments, each confirmed; then another read, answered in one."""
    at = n * 4 % 16
    world.see(*dnp3(world, f"{0xC0 | at:02x}01 3c0106", True, 0))
    for place, control in enumerate((0xA0, 0x20, 0x60)):
        objects = f"1e0200 {place:02x}{place:02x} 01 {value:02x}00"
        world.see(*dnp3(world, f"{control | at + place:02x}81 0000 {objects}", False, place))
        world.see(*dnp3(world, f"{0xC0 | at + place:02x}00", True, place))
    world.see(*dnp3(world, f"{0xC0 | at + 3:02x}01 1e0200 0909", True, 0))
    world.see(*dnp3(world, f"{0xC0 | at + 3:02x}81 0000 1e0200 0909 01 {value:02x}00", False, 0))


def test_an_answer_in_fragments_is_sampled_to_its_end() -> None:
    world = World(port=20_000)
    integrity_poll(world, 0, 10)
    assert world.told() == []
    world.ask()
    integrity_poll(world, 1, 11)
    assert world.told() == [("read", "g30", place, 11, 2) for place in (0, 1, 2, 9)]
    integrity_poll(world, 2, 12)
    assert world.told() == []


def test_what_is_sent_unasked() -> None:
    world = World(port=20_000)
    integrity_poll(world, 0, 10)
    for value in (1, 2, 3):
        if value == 3:
            world.ask()
        world.see(*dnp3(world, f"{0xF0 | value:02x}82 0000 2002 1701 04 01 {value:02x}00", False, 0))
    assert world.told() == [("read", "g30", 4, 3, 3)]
