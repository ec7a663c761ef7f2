"""Make the captures: `python -m benchmarks.make [NAME...] [--frames N] [--out DIR] [--seed N]`."""

import argparse
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks import pdus
from benchmarks.network import Event, Host, Tcp, host, write_pcap
from benchmarks.office import office
from benchmarks.talk import S7, Conversation, Dnp3, Faults, Modbus, Wire, control, seconds

DATA = Path(__file__).parent / "data"
PROTOCOLS = (Modbus, Dnp3, Modbus, S7)
"""In this turn: half Modbus, a quarter each DNP3 and S7."""
TAGGED, HALF_TAGGED, IPV6 = 0.3, 0.05, 0.1
"""Shares of connections: with VLAN tags, with tags in one direction only (as mirrors do), over IPv6."""
MIDSTREAM = 0.2
NO_FAULTS = Faults(0, 0, 0, 0)


def _panels(version: int, count: int) -> list[Host]:
    return [host(f"10.10.0.{n + 1}" if version == 4 else f"fd00:10::{n + 1:x}") for n in range(count)]


def _plcs(version: int, count: int) -> list[Host]:
    return [host(f"10.20.{n // 250}.{n % 250 + 1}" if version == 4 else f"fd00:20::{n + 1:x}") for n in range(count)]


def _vlans(rng: Random) -> tuple[int | None, int | None]:
    chance, vlan = rng.random(), rng.randrange(10, 20)
    if chance < TAGGED:
        return vlan, vlan
    return (vlan, None) if chance < TAGGED + HALF_TAGGED else (None, None)


def conversations(rng: Random, count: int, panels: int, plcs: int, fastest: int) -> list[Conversation]:
    """`count` connections, each between a panel and a PLC of its own protocol."""
    clients, servers = ({v: make(v, n) for v in (4, 6)} for make, n in ((_panels, panels), (_plcs, plcs)))
    made = []
    for number in range(count):
        kind = PROTOCOLS[number % len(PROTOCOLS)]
        version = 6 if rng.random() < IPV6 else 4
        server = servers[version][number % plcs]
        ports = (40_000 + number // panels, kind.ports[0])
        tcp = Tcp(clients[version][number % panels], server, ports, _vlans(rng))
        rate, phase = rng.randrange(1, fastest + 1), 0.1 + 0.5 * rng.random()
        made.append(Conversation(tcp, kind(rng), rate, phase, rng.random() < MIDSTREAM))
    return made


def mixed(rng: Random, count: int = 200, panels: int = 20, plcs: int = 120, fastest: int = 4) -> Iterator[Event]:
    """The plant: `count` connections of three protocols, an office beside them, faults."""
    clients = [host(f"10.30.0.{n + 1}") for n in range(30)]
    servers = [host(f"10.31.0.{n + 1}") for n in range(4)]
    plant = control(conversations(rng, count, panels, plcs, fastest), rng, Faults())
    return seconds([plant, office(clients, servers, rng)])


def many(rng: Random) -> Iterator[Event]:
    """The same with 20,000 connections."""
    return mixed(rng, 20_000, 40, 2_000, 1)


def novel(rng: Random) -> Iterator[Event]:
    """Every request is a new shape, all are permitted; one connection asks more than a function may keep."""
    wire = Wire(rng, NO_FAULTS)
    talks = conversations(rng, 100, 20, 100, 1)
    used: set[bytes] = set()
    moment = 0
    for tcp, talker, *_ in talks:
        setup: list[Event] = [(moment + n, frame) for n, frame in enumerate(tcp.handshake())]
        setup += [(moment + 10 + n, tcp.data(*said)) for n, said in enumerate(talker.setup())]
        yield from setup
        moment += 100
    busy = next(one for one in talks if isinstance(one.talker, Modbus))
    for number in cycle(range(110)):
        tcp, talker, *_ = talks[number] if number < len(talks) else busy
        exchange = talker.new()
        key = tcp.pipes[0].addresses + _essence(tcp.ports[0][1], exchange[0][1])
        if key in used:
            continue
        used.add(key)
        events: list[Event] = []
        for side, payload in exchange:
            wire.data(events, tcp, moment, side, payload)
            moment += 200
        yield from events


def _essence(port: int, request: bytes) -> bytes:
    """A request without its transaction, sequence and checksum octets."""
    if port == Dnp3.ports[0]:
        return request[4:8] + request[12:-2]
    return request[2:11] + request[13:] if port == S7.ports[0] else request[6:]


WRITES = ((5, 1), (6, 1), (15, 8), (16, 2), (22, 1))


def alerts(rng: Random) -> Iterator[Event]:
    """20,000 violations: 40 clients that may only read write with five functions to 100 PLCs."""
    moment = 0
    for number in range(4_000):
        client, server = host(f"10.40.0.{number % 40 + 1}"), host(f"10.20.0.{number // 40 + 1}")
        tcp = Tcp(client, server, (40_000 + number // 40, 502), (None, None))
        frames = [*tcp.handshake()]
        for turn, (code, quantity) in enumerate(WRITES):
            ask = pdus.modbus_request(rng, code, 100, quantity)
            frames.append(tcp.data(0, pdus.modbus(turn, 1, code, ask)))
            frames.append(tcp.data(1, pdus.modbus(turn, 1, code, pdus.modbus_response(rng, code, ask, quantity))))
        for frame in frames:
            yield moment, frame
            moment += 300


class Recipe(NamedTuple):
    """A capture: its events, and how many frames are kept."""

    events: Callable[[Random], Iterator[Event]]
    frames: int


RECIPES = {
    "tiny": Recipe(mixed, 100),
    "mixed": Recipe(mixed, 1_000_000),
    "long": Recipe(mixed, 10_000_000),
    "many": Recipe(many, 1_000_000),
    "decoded": Recipe(mixed, 60_000),
    "novel": Recipe(novel, 200_000),
    "alerts": Recipe(alerts, 10**9),
}
USUAL = ("tiny", "mixed", "long", "many", "novel", "alerts")


def make(name: str, out: Path = DATA, frames: int | None = None, seed: int = 1) -> Path:
    """Make one capture unless it is there; its path."""
    path = out / f"{name}.pcap"
    if path.exists() and frames is None:
        return path
    out.mkdir(parents=True, exist_ok=True)
    recipe = RECIPES[name]
    part = path.with_suffix(".part")
    written = write_pcap(part, recipe.events(Random(seed)), frames or recipe.frames)
    part.rename(path)
    print(f"{path}: {written:,} frames, {path.stat().st_size:,} bytes")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; default: {' '.join(USUAL)}")
    parser.add_argument("--frames", type=int, help="so many instead of the usual number")
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if unknown := set(args.names) - RECIPES.keys():
        parser.error(f"no such capture: {' '.join(sorted(unknown))}")
    for name in args.names or USUAL:
        make(name, args.out, args.frames, args.seed)


if __name__ == "__main__":
    main()
