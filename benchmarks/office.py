"""What else is on a plant's network: web, files, names, clocks, pings, ARP and the switch that says its name."""

import struct
from random import Random

from benchmarks.network import Event, Host, Tcp, Udp, arp, icmp_echo, lldp
from benchmarks.talk import Second

SEGMENT_BYTES = 1_460


def office(clients: list[Host], servers: list[Host], rng: Random) -> Second:
    """Every client now and then fetches a page, a name, a file; about 300 frames a second for 30 clients."""
    web = [Tcp(one, rng.choice(servers), (50_000 + n, 443), (None, None)) for n, one in enumerate(clients)]
    files = [Tcp(one, servers[0], (52_000 + n, 445), (None, None)) for n, one in enumerate(clients[::3])]
    names = [Udp(one, servers[1], (53_000 + n, 53), (None, None)) for n, one in enumerate(clients)]
    clocks = [Udp(one, servers[1], (123, 123), (None, None)) for one in clients]
    switch = clients[0]

    def transfer(events: list[Event], tcp: Tcp, at: int, ask: bytes, answer: bytes) -> None:
        events.append((at, tcp.data(0, ask)))
        at += 900
        for start in range(0, len(answer), SEGMENT_BYTES):
            events.append((at, tcp.data(1, answer[start : start + SEGMENT_BYTES])))
            at += 15
        events.append((at + 200, tcp.ack(0)))

    def second(events: list[Event], moment: int) -> None:
        for number, tcp in enumerate(web):
            at = moment + 20_000 + rng.randrange(900_000)
            if moment == 0:
                events.extend((at - 5_000 + 400 * n, frame) for n, frame in enumerate(tcp.handshake()))
            size = rng.choice((90, 1_200, 4_000))
            transfer(events, tcp, at, tls(rng, 200), tls(rng, size))
            query = struct.pack(">HHHHHH", rng.randrange(65_536), 0x0100, 1, 0, 0, 0)
            name = b"\x02h%d\x05plant\x07example\x00" % (number % 10) + b"\0\x01\0\x01"
            at = moment + rng.randrange(900_000)
            events.append((at, names[number].data(0, query + name)))
            reply = query[:2] + b"\x81\x80" + query[4:6] + b"\0\x01" + query[8:] + name
            events.append(
                (at + 3_000, names[number].data(1, reply + b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\x1f\0\x05"))
            )
        for tcp in files:
            if moment == 0:
                events.extend((moment + 400 * n, frame) for n, frame in enumerate(tcp.handshake()))
            number, at = moment // 1_000_000, moment + 10_000 + rng.randrange(900_000)
            transfer(events, tcp, at, smb_echo(number, 0), smb_echo(number, 1))
        one, other = rng.choice(clients), rng.choice(servers)
        for ask, tell in (arp(one, other), icmp_echo(one, other, moment // 1_000_000)):
            at = moment + rng.randrange(990_000)
            events += [(at, ask), (at + 400, tell)]
        clock = rng.choice(clocks)
        events.append((moment + 500_000, clock.data(0, b"\x23" + bytes(39) + rng.randbytes(8))))
        events.append((moment + 502_000, clock.data(1, b"\x24\x02\x06\xe9" + bytes(36) + rng.randbytes(8))))
        if moment % 30_000_000 == 0:
            events.append((moment + 600_000, lldp(switch)))

    return second


def tls(rng: Random, size: int) -> bytes:
    """An application data record."""
    return struct.pack(">BHH", 23, 0x0303, size) + rng.randbytes(size)


def smb_echo(number: int, response: int) -> bytes:
    """An SMB2 ECHO in its session message: a client that keeps its share open."""
    header = struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, 0, 13, 1, response, 0, number, 0, 0, 5, b"")
    return struct.pack(">I", 68) + header + b"\x04\0\0\0"
