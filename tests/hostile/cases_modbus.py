"""H37-H43, and broadcasts, function 23 and functions in the wrong direction."""

import struct
from collections.abc import Iterable, Sequence

from tests.engine.traffic import Exchange, conversation, frames, split
from tests.engine.world import Frame, Seen
from tests.hostile.evasion import Case, alerted, told
from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, VALUES
from tests.protocols.modbus_corpus import adu

WRITES, READS, MANY = "write_single_register", "read_holding_registers", "write_multiple_registers"
TALK = (READS, "<" + READS)


def talk(*exchanges: Exchange, cuts: Sequence[int] = ()) -> list[Frame]:
    """A read, these exchanges, and the write."""
    shots = conversation(Session(CLIENT, SERVER), [(READ, VALUES), *exchanges, (FORBIDDEN, FORBIDDEN)])
    return frames(part for shot in shots for part in (split(shot, cuts) if shot.data in dict(exchanges) else [shot]))


def header(length: int, protocol: int = 0, unit: int = 1, code: int = 6, body: bytes = b"\0\x32\0\x01") -> bytes:
    """An ADU whose length field says what it likes."""
    return struct.pack(">HHHBB", 9, protocol, length, unit, code) + body


def each(lengths: Iterable[int]) -> list[Frame]:
    return talk(*((header(length), b"") for length in lengths))


def every_code(size: int, *, answers: bool) -> list[Frame]:
    """Every function code with a body of so many bytes, asked or answered."""
    made = []
    for code in range(256):
        body = bytes([min(size, 250)] * size)
        asked = adu(code, body, transaction=code)
        made.append((adu(3, b"\0\1\0\2", transaction=code), asked) if answers else (asked, b""))
    return talk(*made)


def wrote(seen: Seen) -> None:
    """The write behind it all was decoded, and judged."""
    alerted(seen, WRITES)
    assert told(seen).messages[-2:] == (WRITES, "<" + WRITES)


def has(seen: Seen, *functions: str) -> None:
    for function in functions:
        alerted(seen, function)
    wrote(seen)


def pipelined(count: int) -> list[Frame]:
    """So many requests under way at once, all with one transaction id."""
    session = Session(CLIENT, SERVER)
    asked = [(adu(3, struct.pack(">HH", n, 1), transaction=7), adu(3, b"\2\0\7", transaction=7)) for n in range(count)]
    return frames(conversation(session, [*asked, (FORBIDDEN, FORBIDDEN)], pipelined=count))


TWENTY_THREE = struct.pack(">HHHHB", 1, 2, 50, 2, 4) + b"\0\1\0\2"
IDENTITY = b"\x0e\1\1\xff\7\1" + bytes([0, 12]) + b"<b>\x1b[2J\0x\r\n\x9b"


def text_is_safe(seen: Seen) -> None:
    wrote(seen)
    for fact in seen.picture["facts"]:
        assert str(fact).isprintable() or "\\x" not in str(fact)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for f in seen.picture["facts"] for c in str(f.get("value", "")))


CASES = [
    Case("H37-length", "MBAP lengths of 0, 1, 254, 255, 256 and 65,535 before six bytes",
         "resynchronised at a later request; no buffer beyond a PDU", lambda: each((0, 1, 254, 255, 256, 65_535)),
         check=lambda seen: alerted(seen, WRITES)),
    Case("H37-length-2", "an MBAP length of 2 before six bytes", "what the length leaves over is malformed",
         lambda: each((2,)), check=lambda seen: alerted(seen, WRITES)),
    Case("H37-protocol-id", "a protocol id other than 0", "malformed; the next request is decoded",
         lambda: talk((header(6, protocol=1), b"")), check=wrote),
    Case("H37-long", "a write whose length field claims 100 bytes more than are there",
         "malformed or given up; the next requests are judged",
         lambda: talk((header(106), b""), (READ, VALUES), *[(READ, VALUES)] * 6),
         check=lambda seen: alerted(seen, READS)),
    Case("H37-units", "writes to unit 0 (a broadcast) and to unit 255", "both are judged",
         lambda: talk((adu(6, b"\0\x32\0\x01", unit=0), b""), (adu(6, b"\0\x32\0\x01", unit=255), b"")),
         check=lambda seen: alerted(seen, WRITES, 3)),
    Case("H38-empty", "every function code without a body, as a request", "a message each, with flags",
         lambda: every_code(0, answers=False), check=lambda seen: alerted(seen, WRITES)),
    Case("H38-one-byte", "every function code with one byte, as a request", "a message each, with flags",
         lambda: every_code(1, answers=False), check=lambda seen: alerted(seen, WRITES)),
    Case("H38-longest", "every function code with 252 bytes, as a request", "a message each, with flags",
         lambda: every_code(252, answers=False), check=lambda seen: alerted(seen, WRITES)),
    Case("H38-answers-empty", "every function code without a body, as an answer", "a message each, with flags",
         lambda: every_code(0, answers=True), check=wrote),
    Case("H38-answers-longest", "every function code with 252 bytes, as an answer", "a message each, with flags",
         lambda: every_code(252, answers=True), check=wrote),
    Case("H38-exceptions", "exceptions 0 and 255, and function code 0x80", "messages; the requests are rejected",
         lambda: talk((READ, adu(0x83, b"\0", transaction=5)), (READ, adu(0x83, b"\xff", transaction=5)),
                      (READ, adu(0x80, b"\1", transaction=5))), check=wrote),
    Case("H39-byte-count", "a write of two registers with a byte count of 200, of 0 and of 3",
         "flagged; judged by what it claims",
         lambda: talk(*((adu(16, struct.pack(">HHB", 50, 2, n) + b"\0\1\0\2"), b"") for n in (200, 0, 3))),
         check=lambda seen: has(seen, MANY)),
    Case("H39-quantity", "writes of 0, 2,001 and 65,535 registers in four bytes", "flagged; judged by what they claim",
         lambda: talk(*((adu(16, struct.pack(">HHB", 50, n, 4) + b"\0\1\0\2"), b"") for n in (0, 2001, 65_535))),
         check=lambda seen: has(seen, MANY)),
    Case("H39-coils", "writes of 0, 1,969 and 65,535 coils with one byte", "flagged; judged by what they claim",
         lambda: talk(*((adu(15, struct.pack(">HHB", 50, n, 1) + b"\1"), b"") for n in (0, 1969, 65_535))),
         check=lambda seen: has(seen, "write_multiple_coils")),
    Case("H39-beyond", "a write from register 65,535 on of two registers", "flagged; the range ends at the last one",
         lambda: talk((adu(16, struct.pack(">HHB", 65_535, 2, 4) + b"\0\1\0\2"), b"")),
         check=lambda seen: has(seen, MANY)),
    Case("H39-function-23", "function 23 with a byte count that belies its quantity", "flagged; judged as a write",
         lambda: talk((adu(23, TWENTY_THREE[:7] + b"\x09" + TWENTY_THREE[8:]), b"")),
         check=lambda seen: has(seen, "read_write_multiple_registers")),
    Case("H40-length", "file records with a sub-record length of 65,535 and of 0", "bounded; flagged",
         lambda: talk(*((adu(21, b"\x09" + struct.pack(">BHHH", 6, 1, 0, n) + b"\0\1"), b"") for n in (65_535, 0))),
         check=lambda seen: has(seen, "write_file_record")),
    Case("H40-many", "35 sub-records in one request", "bounded; each is judged",
         lambda: talk((adu(20, bytes([245]) + struct.pack(">BHHH", 6, 1, 0, 1) * 35), b"")),
         check=lambda seen: has(seen, "read_file_record")),
    Case("H41-silence", "force listen only (8/4) and restart (8/1)", "named and judged",
         lambda: talk((adu(8, b"\0\4\0\0"), b""), (adu(8, b"\0\1\xff\0"), b"")),
         check=lambda seen: has(seen, "diagnostics_force_listen_only", "diagnostics_restart")),
    Case("H41-text", "a device identification with ESC, CSI, NUL and HTML, and more to follow without end",
         "text is made safe", lambda: talk(*[(adu(43, b"\x0e\1\0"), adu(43, IDENTITY))] * 3), check=text_is_safe),
    Case("H42-pipelined", "500 requests under way with one transaction id", "at most 64 are remembered; each is judged",
         lambda: pipelined(500),
         check=lambda seen: alerted(seen, READS, 500) or wrote(seen)),
    Case("H42-other-function", "an answer with another function code, and one that nobody asked for",
         "they answer nothing; the request stays open",
         lambda: talk((READ, adu(4, b"\4\0\1\0\2", transaction=5)), (b"", adu(3, b"\2\0\1", transaction=99))),
         check=wrote),
    Case("H43-two", "two ADUs in one segment, the second a write", "both are judged",
         lambda: talk((READ + FORBIDDEN, b"")), check=lambda seen: alerted(seen, WRITES, 2)),
    *(
        Case(f"H43-cut-{n}", f"a write cut after {n} byte{'s' * (n > 1)}", "put together",
             lambda n=n: talk((adu(6, b"\0\x33\0\2", transaction=8), b""), cuts=[n]),
             alerts={READS: 1, WRITES: 2})
        for n in (1, 6, 7, 11)
    ),
    Case("H43-garbage", "five bytes that are no PDU behind a read in the same segment",
         "malformed; the next request is decoded", lambda: talk((READ + b"\xff" * 5, VALUES)), check=wrote,
         buckets={"ot_bytes.malformed": 5}),
    Case("broadcast", "a write to unit 0", "judged like any other",
         lambda: talk((adu(6, b"\0\x32\0\x01", unit=0), b"")),
         alerts={READS: 1, WRITES: 2}),
    Case("function-23", "function 23, which writes beside reading", "judged as a write",
         lambda: talk((adu(23, TWENTY_THREE), adu(23, b"\4\0\1\0\2"))),
         check=lambda seen: has(seen, "read_write_multiple_registers")),
    Case("wrong-direction", "the server sends a write to the client", "judged; roles stay as they are",
         lambda: talk((b"", adu(6, b"\0\x32\0\x05", transaction=40))), check=wrote),
]  # fmt: skip
