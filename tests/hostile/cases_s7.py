"""H49-H51."""

import struct
from collections.abc import Sequence

from tests.engine.traffic import Exchange, conversation, frames, s7comm, split, tpkt
from tests.engine.world import Frame, Seen
from tests.hostile.evasion import Case, alerted, told
from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, SERVER
from tests.protocols.s7_streams import any_item, s7

CONNECT, SETUP = s7comm(0, 1), s7comm(0, 5)
STOP = s7comm(4, 60)
STOPS = "plc_stop"


def talk(*exchanges: Exchange, cuts: Sequence[int] = ()) -> list[Frame]:
    """Connect and setup, these exchanges, and a stop."""
    session = Session(CLIENT, SERVER, server_port=102)
    shots = conversation(session, [CONNECT, SETUP, *exchanges, STOP])
    return frames(part for shot in shots for part in split(shot, cuts))


def alone(*units: bytes) -> list[Frame]:
    return talk(*((unit, b"") for unit in units))


def stopped(seen: Seen) -> None:
    """The stop behind it all was decoded, and judged."""
    alerted(seen, STOPS)
    assert told(seen).messages[-2:] == (STOPS, "<" + STOPS), told(seen)


def raw(length: int, body: bytes = b"\x02\xf0\x80" + bytes(16), version: int = 3) -> bytes:
    """A TPKT that says what it likes."""
    return struct.pack(">BBH", version, 0, length) + body


def data(payload: bytes, *, last: bool) -> bytes:
    """COTP data, in one TPKT."""
    return tpkt(b"\x02\xf0" + (b"\x80" if last else b"\0") + payload)


JOB = s7(1, b"\x29\0\0\0\0\0\x09P_PROGRAM", reference=70)[3:]
WRITE = s7(1, b"\5\1" + any_item(2, 2, 1, 0x84, 800), b"\0\4\0\x10\0\7", reference=71)
START = s7(1, b"\x28\0\0\0\0\0\0\xfd\0\0\x09P_PROGRAM", reference=72)
NAME = b"_0800001P"


def block(code: int, *, reference: int, name: bytes = NAME) -> bytes:
    """Upload (1D, 1E, 1F) and download (1A, 1B, 1C)."""
    session = struct.pack(">BBHI", 0, 1, 0, 7)
    rest = bytes([len(name)]) + name if code in (0x1A, 0x1B, 0x1C, 0x1D) else b""
    tail = b"\x0d1000256000192" if code == 0x1A else b""
    return tpkt(s7(1, bytes([code]) + session[1:] + rest + tail, reference=reference))


def named(seen: Seen, *functions: str) -> None:
    for function in functions:
        alerted(seen, function)
    stopped(seen)


CASES = [
    Case("H49-length", "TPKT lengths of 0 to 6 and 65,535", "malformed, or held within the cap; never an exception",
         lambda: alone(*(raw(n) for n in (0, 1, 2, 3, 4, 5, 6, 65_535))), check=lambda seen: told(seen)),
    Case("H49-short", "TPKT lengths of 0 to 6", "malformed; the stop is judged",
         lambda: alone(*(raw(n) for n in (0, 1, 2, 3, 4, 5, 6))), check=stopped),
    Case("H49-version", "a TPKT of version 2", "malformed; the stop is judged", lambda: alone(raw(23, version=2)),
         check=stopped),
    Case("H49-cotp-length", "a COTP length of 255 and of 0", "malformed; the stop is judged",
         lambda: alone(tpkt(b"\xff\xf0\x80" + bytes(16)), tpkt(b"\0\xf0\x80" + bytes(16))), check=stopped),
    Case("H49-no-end", "1,000 COTP data segments of which none is the last", "bounded; malformed",
         lambda: alone(*(data(bytes(40), last=False) for _ in range(1000))),
         check=lambda seen: alerted(seen, STOPS)),
    Case("H49-in-pieces", "a stop over four COTP data segments", "put together",
         lambda: alone(b"".join(data(JOB[at : at + 8], last=at + 8 >= len(JOB)) for at in range(0, len(JOB), 8))),
         check=lambda seen: alerted(seen, STOPS, 2)),
    Case("H50-lengths", "parameter and data lengths of 65,535 and of 0, other than what follows", "flagged",
         lambda: alone(*(tpkt(WRITE[:9] + struct.pack(">HH", n, m) + WRITE[13:])
                         for n, m in ((65_535, 0), (14, 65_535), (0, 0), (0, 20)))), check=stopped),
    Case("H50-items", "255 items of no size in one read", "bounded; flagged",
         lambda: alone(tpkt(s7(1, b"\4\xff" + b"\x12\0" * 255, reference=73))), check=stopped),
    Case("H50-alarms", "userdata: an alarm whose counts and lengths lie (CVE-2018-7329)", "bounded; flagged",
         lambda: alone(tpkt(s7(7, b"\0\1\x12\4\x11\x44\5\0", b"\xff\x09\0\xff\0\x01\xff\xff" + b"\x12\xff" * 30))),
         check=stopped),
    Case("H50-list", "an SZL answer whose count times length is beyond its data, with control characters in it",
         "bounded; text is made safe",
         lambda: talk((tpkt(s7(7, b"\0\1\x12\4\x11\x44\1\0", b"\xff\x09\0\4\0\x11\0\0", reference=74)),
                       tpkt(s7(7, b"\0\1\x12\x08\x12\x84\1\0\0\0\0\0",
                               b"\xff\x09\0\x24\0\x11\0\0\xff\xff\xff\xff" + b"\0\1\x1b]0;x\7<b>" * 2, reference=74)))),
         check=stopped),
    Case("H51-stop-start", "PLC start and stop", "named and judged", lambda: alone(tpkt(START)),
         check=lambda seen: named(seen)),
    Case("H51-out-of-order", "download: its end, a block and its request, in this order", "each is named and judged",
         lambda: alone(*(block(code, reference=80 + code) for code in (0x1C, 0x1B, 0x1A))),
         check=lambda seen: named(seen)),
    Case("H51-plus", "S7comm-plus (0x72) on the same connection", "named; what cannot be read is said",
         lambda: alone(tpkt(b"\x02\xf0\x80\x72\1\0\x20" + bytes(32) + b"\x72\1\0\0")), check=stopped),
    Case("H51-tcp", "a stop over COTP a byte a segment", "put together", lambda: talk(cuts=range(40)), check=stopped),
    Case("H51-cut", "a write cut within its TPKT header", "put together",
         lambda: talk((tpkt(WRITE), tpkt(s7(3, b"\5\1", b"\xff", reference=71))), cuts=[2]),
         check=lambda seen: named(seen, "write_var")),
]  # fmt: skip
