"""Conversations: who polls whom for what, and what the network does to the segments."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from benchmarks import pdus
from benchmarks.network import Event, Tcp

Exchange = Sequence[tuple[int, bytes]]
"""Payloads in order: (side, bytes); side 0 is the client."""


@dataclass(frozen=True)
class Faults:
    """Shares of all frames (`new`: of all frames belong to an exchange whose request is a new shape)."""

    loss: float = 0.0005
    reordering: float = 0.0005
    retransmission: float = 0.005
    new: float = 0.001


DATA_SHARE = 0.65
"""Of all frames: those of control conversations that carry data, to which alone some faults happen."""
FRAMES_PER_EXCHANGE = 2.8


class Wire:
    """Turns the payloads of a connection into frames as a mirror port shows them, faults included."""

    def __init__(self, rng: Random, faults: Faults) -> None:
        self.rng, self.faults = rng, faults
        self.reorder = faults.reordering / DATA_SHARE
        self.retransmit = faults.retransmission / DATA_SHARE

    def see(self, events: list[Event], moment: int, frame: bytes) -> None:
        """A frame passes the mirror: captured, or lost."""
        if self.rng.random() >= self.faults.loss:
            events.append((moment, frame))

    def data(self, events: list[Event], tcp: Tcp, moment: int, side: int, payload: bytes) -> None:
        """A payload: mostly one segment; seldom two that overtake each other; seldom sent again."""
        chance = self.rng.random()
        if chance < self.reorder and len(payload) > 8:
            cut = self.rng.randrange(1, len(payload))
            first, second = tcp.data(side, payload[:cut]), tcp.data(side, payload[cut:])
            self.see(events, moment + 40, first)
            self.see(events, moment, second)
            return
        self.see(events, moment, tcp.data(side, payload))
        if chance > 1 - self.retransmit:
            self.see(events, moment + 250 + self.rng.randrange(400), tcp.again(side, payload))

    def exchange(self, events: list[Event], tcp: Tcp, moment: int, exchange: Exchange) -> None:
        """Payloads to and fro, with the acknowledgements between and after them."""
        previous = 0
        for side, payload in exchange:
            if side != previous:
                if self.rng.random() < 0.15:
                    self.see(events, moment + 700, tcp.ack(side))
                moment += 2_000 + self.rng.randrange(8_000)
            previous = side
            self.data(events, tcp, moment, side, payload)
            moment += 60
        if self.rng.random() < 0.6:
            self.see(events, moment + 40_000, tcp.ack(1 - previous))


class Modbus:
    """A client that polls blocks of all four tables, now and then writes, sometimes sends several requests at once."""

    ports = (502,)

    def __init__(self, rng: Random) -> None:
        self.rng, self.unit, self.transaction = rng, 1, rng.randrange(0x10000)
        base = rng.randrange(50) * 10
        self.polls = [(3, base, 40), (3, base + 100, 20), (4, base, 16), (1, 0, 32), (2, 0, 64), (3, base + 200, 10)]
        self.polls = self.polls[: rng.randrange(3, 7)]
        self.writes = [(6, base + 40, 1), (16, base + 42, 4), (5, 3, 1)]
        self.burst = 3 if rng.random() < 0.1 else 1
        self.turn = 0

    def setup(self) -> Exchange:
        return ()

    def _pair(self, code: int, address: int, quantity: int) -> tuple[bytes, bytes]:
        self.transaction = (self.transaction + 1) & 0xFFFF
        ask = pdus.modbus_request(self.rng, code, address, quantity)
        answer = pdus.modbus_response(self.rng, code, ask, quantity)
        return pdus.modbus(self.transaction, self.unit, code, ask), pdus.modbus(
            self.transaction, self.unit, code, answer
        )

    def usual(self) -> Exchange:
        pairs = []
        for _ in range(self.burst):
            self.turn += 1
            write = self.turn % 50 == 0
            pairs.append(
                self._pair(*(self.rng.choice(self.writes) if write else self.polls[self.turn % len(self.polls)]))
            )
        return [(0, ask) for ask, _ in pairs] + [(1, answer) for _, answer in pairs]

    def new(self) -> Exchange:
        pair = self._pair(3, self.rng.randrange(1_000, 60_000), self.rng.randrange(1, 126))
        return [(0, pair[0]), (1, pair[1])]


class Dnp3:
    """A master that polls event classes, seldom all of them, and operates a point now and then."""

    ports = (20_000,)

    def __init__(self, rng: Random) -> None:
        self.rng, self.master, self.outstation = rng, 3, rng.randrange(10, 60)
        self.sequence = self.turn = 0
        self.transport = [0, 0]

    def setup(self) -> Exchange:
        return ()

    def _say(self, side: int, application: bytes) -> tuple[int, bytes]:
        number = self.transport[side]
        self.transport[side] = number + (len(application) + 248) // 249
        return side, pdus.dnp3(side == 0, self.master, self.outstation, number, application)

    def usual(self) -> Exchange:
        self.sequence, self.turn = self.sequence + 1, self.turn + 1
        rng, sequence = self.rng, self.sequence
        if self.turn % 60 == 0:
            objects = pdus.binaries(rng, 40) + pdus.analogs(rng, 0, 60)
            return [
                self._say(0, pdus.dnp3_read(sequence, pdus.ALL_CLASSES)),
                self._say(1, pdus.dnp3_response(sequence, objects)),
            ]
        if self.turn % 40 == 0:
            operate = bytes((0xC0 | sequence & 15, 5)) + pdus.crob(3)
            return [self._say(0, operate), self._say(1, pdus.dnp3_response(sequence, pdus.crob(3)))]
        ask = self._say(0, pdus.dnp3_read(sequence, pdus.EVENT_CLASSES))
        if rng.random() < 0.3:
            answer = pdus.dnp3_response(sequence, pdus.binary_events(rng, rng.randrange(1, 4)), confirm=True)
            return [ask, self._say(1, answer), self._say(0, pdus.dnp3_confirm(sequence))]
        return [ask, self._say(1, pdus.dnp3_response(sequence, b""))]

    def new(self) -> Exchange:
        self.sequence += 1
        start = self.rng.randrange(60_000)
        stop = start + self.rng.randrange(30)
        ask = pdus.dnp3_read(
            self.sequence, bytes((30, 1, 1)) + start.to_bytes(2, "little") + stop.to_bytes(2, "little")
        )
        return [self._say(0, ask), self._say(1, pdus.dnp3_response(self.sequence, pdus.analogs(self.rng, start, stop)))]


class S7:
    """A panel that reads several items at once, writes one now and then and asks for the operating mode."""

    ports = (102,)

    def __init__(self, rng: Random) -> None:
        self.rng, self.reference, self.turn = rng, 0, 0
        dbs = [rng.randrange(1, 40) for _ in range(4)]
        self.reads = [
            [(dbs[0], 0, 64)],
            [(dbs[1], 0, 20), (dbs[1], 40, 4), (dbs[2], 0, 8)],
            [(dbs[3], 10 * n, 4) for n in range(12)],
        ]
        self.write = (dbs[0], 100, 4)

    def setup(self) -> Exchange:
        return [(0, pdus.COTP_CONNECT), (1, pdus.COTP_CONFIRM), (0, pdus.SETUP), (1, pdus.SETUP_ACK)]

    def usual(self) -> Exchange:
        self.reference, self.turn = self.reference + 1, self.turn + 1
        if self.turn % 100 == 0:
            pair = pdus.s7_szl(self.rng, self.reference)
        elif self.turn % 30 == 0:
            pair = pdus.s7_write(self.rng, self.reference, *self.write)
        else:
            pair = pdus.s7_read(self.rng, self.reference, self.reads[self.turn % 3])
        return [(0, pair[0]), (1, pair[1])]

    def new(self) -> Exchange:
        self.reference += 1
        item = (self.rng.randrange(100, 4_000), self.rng.randrange(5_000), self.rng.randrange(1, 200))
        pair = pdus.s7_read(self.rng, self.reference, [item])
        return [(0, pair[0]), (1, pair[1])]


Talker = Modbus | Dnp3 | S7


class Conversation(NamedTuple):
    """One connection that polls `rate` times a second, beginning at `phase` (below 0.6) of each slot."""

    tcp: Tcp
    talker: Talker
    rate: int
    phase: float
    midstream: bool
    """The capture began after it: no handshake is seen."""


Second = Callable[[list[Event], int], None]
"""Adds the events of the second that begins at a moment (microseconds)."""


def seconds(sources: Sequence[Second]) -> Iterator[Event]:
    """All events in the order of time: each source's of one second, sorted, then the next."""
    moment = 0
    while True:
        events: list[Event] = []
        for source in sources:
            source(events, moment)
        events.sort(key=lambda event: event[0])
        yield from events
        moment += 1_000_000


def control(conversations: Sequence[Conversation], rng: Random, faults: Faults) -> Second:
    """The control traffic."""
    wire = Wire(rng, faults)
    new = faults.new * FRAMES_PER_EXCHANGE / 2

    def second(events: list[Event], moment: int) -> None:
        for tcp, talker, rate, phase, midstream in conversations:
            slot = 1_000_000 // rate
            at = moment + int(phase * slot)
            if moment == 0 and not midstream:
                for number, frame in enumerate(tcp.handshake()):
                    events.append((at - 9_000 + 300 * number, frame))
                for number, (side, payload) in enumerate(talker.setup()):
                    events.append((at - 6_000 + 1_000 * number, tcp.data(side, payload)))
            for _ in range(rate):
                exchange = talker.new() if rng.random() < new else talker.usual()
                wire.exchange(events, tcp, at + rng.randrange(300), exchange)
                at += slot

    return second
