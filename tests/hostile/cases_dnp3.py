"""H44-H48, and broadcasts."""

from collections.abc import Sequence

from tests.engine.traffic import Exchange, conversation, frames
from tests.engine.world import Frame, Seen
from tests.hostile.evasion import Case, alerted, told
from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, SERVER
from tests.protocols.dnp3_corpus import TO_MASTER, link_frame
from tests.protocols.dnp3_corpus import frames as link_frames

BACK = {"control": TO_MASTER, "destination": 1, "source": 10}


def asked(code: int, objects: bytes = b"", first: int = 0, **link: int) -> bytes:
    return b"".join(link_frames(bytes([0xC0 | first & 15, code]) + objects, first=first, **link))


def answered(objects: bytes = b"", iin: int = 0, first: int = 0) -> bytes:
    body = bytes([0xC0 | first & 15, 129]) + iin.to_bytes(2, "little") + objects
    return b"".join(link_frames(body, first=first, **BACK))


CROB = b"\x0c\x01\x28\x01\x00\x05\x00\x03\x01" + bytes(8) + b"\0"
READ = (asked(1, b"\x3c\x02\x06", first=1), answered(b"\x01\x02\x28\x01\x00\x01\x00\x81", first=1))
OPERATE = (asked(5, CROB, first=2), answered(CROB, first=2))
WHOLE = asked(5, CROB, first=3)
READS, OPERATES = "read", "direct_operate"


def talk(*exchanges: Exchange, server: int = 20_000) -> list[Frame]:
    """A read, these exchanges, and a control."""
    return frames(conversation(Session(CLIENT, SERVER, server_port=server), [READ, *exchanges, OPERATE]))


def alone(*requests: bytes) -> list[Frame]:
    return talk(*((request, b"") for request in requests))


def operated(seen: Seen) -> None:
    """The control behind it all was decoded, and judged."""
    alerted(seen, OPERATES)
    assert told(seen).messages[-2:] == (OPERATES, "<response"), told(seen)


def damaged(at: int) -> bytes:
    """A control with one bit changed at this place."""
    return WHOLE[:at] + bytes([WHOLE[at] ^ 4]) + WHOLE[at + 1 :]


def segment(octet: int, data: bytes = b"") -> bytes:
    """A link frame with this transport octet."""
    return link_frame(bytes([octet]) + data)


def begun(count: int) -> list[Frame]:
    """So many first segments of fragments that never end."""
    return alone(*(segment(0x40 | n & 63, bytes([0xC0, 1]) + bytes(200)) for n in range(count)))


def long(count: int) -> list[Frame]:
    """A fragment of so many segments."""
    body = bytes([0xC1, 5]) + bytes(249 * count - 2)
    return alone(b"".join(link_frames(body, first=0)))


def every_function() -> list[Frame]:
    return alone(*(asked(code, first=code) for code in range(256) if code not in (129, 130, 131)))


def datagrams() -> list[bytes]:
    """Two frames in a datagram; link frames alone; the control."""
    session = Session(CLIENT, SERVER, 20_000, 20_000, udp=True)
    status = link_frame(b"", control=0xC9)
    made = [session.send(READ[0] + status), session.send(READ[1], from_client=False), session.send(status)]
    return [*made, session.send(OPERATE[0]), session.send(OPERATE[1], from_client=False)]


def objects(*headers: bytes) -> list[Frame]:
    return alone(*(asked(1, header, first=4 + n) for n, header in enumerate(headers)))


def functions(seen: Seen, names: Sequence[str]) -> None:
    for name in names:
        alerted(seen, name)
    operated(seen)


RANGE, COUNT = b"\x01", b"\x08"
CASES = [
    Case("H44-start-within", "start octets (05 64) within the data of a control", "no frame begins there",
         lambda: alone(asked(5, CROB[:9] + b"\x05\x64\x08\xc4\x0a\0\1\0" + CROB[17:], first=3)),
         check=lambda seen: alerted(seen, OPERATES, 2)),
    Case("H44-length", "link lengths of 0 to 4 and 255", "malformed; resynchronised at the next frame",
         lambda: alone(*(WHOLE[:2] + bytes([n]) + WHOLE[3:] for n in (0, 1, 2, 3, 4, 255))), check=operated),
    Case("H44-header-crc", "a control with a wrong CRC in its link header", "malformed; the next one is judged",
         lambda: alone(damaged(3)), check=operated),
    Case("H44-block-crc", "controls with a wrong CRC in their first and in their last block",
         "malformed; the next one is judged", lambda: alone(damaged(12), damaged(len(WHOLE) - 1)), check=operated),
    Case("H44-lies", "a link length that is too short, its CRC right", "what follows is malformed; resynchronised",
         lambda: alone(link_frame(b"\xc0\xc1")[:10] + WHOLE[10:]), check=operated),
    Case("H44-garbage", "290 bytes of noise with start octets among them before a control", "skipped by scanning",
         lambda: alone(b"\x05\x64\xff" * 96 + WHOLE), check=lambda seen: alerted(seen, OPERATES, 2)),
    Case("H45-no-end", "40 first segments of which no fragment ever ends", "one is held at a time",
         lambda: begun(40), check=operated),
    Case("H45-no-beginning", "a last segment without a first one", "malformed; the next one is judged",
         lambda: alone(segment(0x85, WHOLE[11:20])), check=operated),
    Case("H45-sequence", "segments that leave out one number, and that repeat one", "the fragment is given up",
         lambda: alone(segment(0x40, b"\xc1\5\x0c"), segment(0x82, b"\1"), segment(0x40, b"\xc1\5\x0c"), segment(0x80)),
         check=operated),
    Case("H45-begins-again", "a first segment within a fragment", "the one before is given up, the new one counts",
         lambda: alone(segment(0x41, b"\xc1\5\x0c\1"), asked(5, CROB, first=9)),
         check=lambda seen: alerted(seen, OPERATES, 2)),
    Case("H45-long", "a fragment of 65 full segments", "no more is held than a PDU may have", lambda: long(65),
         check=operated),
    Case("H46-nothing", "65,535 objects of no size", "bounded; flagged", lambda: objects(b"\x3c\x01\x08\xff\xff"),
         check=operated),
    Case("H46-packed", "65,535 packed bits", "bounded; flagged", lambda: objects(b"\x01\x01\x08\xff\xff"),
         check=operated),
    Case("H46-range", "a range that ends before it begins", "flagged", lambda: objects(b"\x01\x02\x01\x09\0\x02\0"),
         check=operated),
    Case("H46-free-format", "free-format qualifiers with sizes beyond the fragment", "the walk stops with a flag",
         lambda: objects(b"\x46\x03\x5b\x01\xff\xff", b"\x46\x05\x5b\xff\x04\0abcd"), check=operated),
    Case("H46-attributes", "device attributes (group 0) with lengths beyond the fragment", "the walk stops with a flag",
         lambda: objects(b"\0\xfe\0\0\0", b"\0\xfa\0\0\0\1\xff"), check=operated),
    Case("H46-unknown", "an unknown group, and one behind it", "the walk stops with a flag",
         lambda: objects(b"\xc8\x01\x06" + CROB, b"\xc8\x01\0\0\0" + CROB), check=operated),
    Case("H47-functions", "every function code without objects", "named, or by number; never an exception",
         every_function, check=lambda seen: functions(seen, ("cold_restart", "warm_restart"))),
    Case("H47-no-answer", "a control that is not to be answered (direct operate, no acknowledgement)", "judged",
         lambda: alone(asked(6, CROB, first=3)),
         check=lambda seen: functions(seen, ("direct_operate_no_ack",))),
    Case("H47-broadcast", "controls to the broadcast addresses 0xFFFD to 0xFFFF", "judged; flagged",
         lambda: alone(*(asked(6, CROB, first=n & 15, destination=n) for n in (0xFFFD, 0xFFFE, 0xFFFF))),
         flags=frozenset({"broadcast"}), check=lambda seen: functions(seen, ("direct_operate_no_ack",))),
    Case("H47-self", "a control to the self address 0xFFFC, and one whose source is its destination", "judged; flagged",
         lambda: alone(asked(6, CROB, first=5, destination=0xFFFC), asked(6, CROB, first=6, source=10)),
         flags=frozenset({"self_address", "source_is_destination"}),
         check=lambda seen: functions(seen, ("direct_operate_no_ack",))),
    Case("H47-indications", "an answer with all internal indications set", "decoded; the request is rejected",
         lambda: talk((READ[0], answered(iin=0xFFFF, first=1))), check=operated),
    Case("H48-datagrams", "over UDP: two frames in a datagram, link frames alone, a control", "each frame is read",
         datagrams, check=operated),
    Case("H48-authentication", "secure authentication (group 120), a challenge and its reply", "decoded or flagged",
         lambda: alone(asked(32, b"\x78\x01\x5b\x01\x08\0" + bytes(8), first=7),
                       asked(33, b"\x78\x02\x5b\x01\x08\0" + bytes(8), first=8)), check=operated),
    Case("ports-20001-dnp3", "DNP3 on port 20001", "found by its CRCs, both ways", lambda: talk(server=20_001),
         check=operated),
    Case("segments-dnp3", "a control a byte a segment", "put together", lambda: bytewise(), check=operated),
]  # fmt: skip


def bytewise() -> list[Frame]:
    session = Session(CLIENT, SERVER, server_port=20_000)
    made = [*session.handshake(), session.send(READ[0]), session.send(READ[1], from_client=False)]
    made += session.send_cut(OPERATE[0], range(len(OPERATE[0])))
    return [*made, session.send(OPERATE[1], from_client=False)]  # type: ignore[return-value] # bare frames will do
