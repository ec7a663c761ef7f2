"""TPKT and COTP: units in pieces, TSDUs in pieces, connections."""

import struct

import numpy as np
import pytest

from otmon.limits import MAX_PDU_BYTES
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import (
    FLAG_IDENTITY,
    KIND_LINK,
    NEED_MORE,
    NOT_THIS,
    OUT_EVIDENCE,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_MORE,
    UNWRAP_WHOLE,
)
from tests.protocols.s7_corpus import corpus
from tests.protocols.s7_streams import any_item, cotp, key, s7, words

CR = bytes.fromhex("11e00000000100c0010ac1020100c2020102")


def unit(data: bytes, last: bool = True) -> bytes:
    """User data as one DT TPDU in its TPKT."""
    return struct.pack(">BBH", 3, 0, 7 + len(data)) + b"\2\xf0" + (b"\x80" if last else b"\0") + data


def unwrap(raw: bytes, asm: np.ndarray, fill: int) -> tuple[int, int, int]:
    return S7COMM.unwrap(np.frombuffer(raw, np.uint8), 0, len(raw), asm, fill)


def frame(raw: bytes) -> int:
    return S7COMM.frame(np.frombuffer(raw, np.uint8), 0, len(raw))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", NEED_MORE),
        ("03", NEED_MORE),
        ("0300", NEED_MORE),
        ("030000", NEED_MORE),
        ("03000019", 25),
        ("0300001902f080", 25),
        ("0300000702f000", 7),
        ("02", NOT_THIS),
        ("0301", NOT_THIS),
        ("030021", NOT_THIS),
        ("03000006", NOT_THIS),
        ("03002001", NOT_THIS),
        ("0300001901", NOT_THIS),
        ("0300001915", NOT_THIS),
        ("0300001914", 25),
        ("03000019ff", NOT_THIS),
        ("030000190290", NOT_THIS),
        ("160301", NOT_THIS),
    ],
)
def test_frame(raw: str, expected: int) -> None:
    assert frame(bytes.fromhex(raw)) == expected


def test_whole_byte_by_byte_and_with_more_behind() -> None:
    """The same unit, however it arrives."""
    for pdu in corpus(9, 200):
        if len(pdu) < 3 or pdu[0] < 2 or pdu[0] + 1 > len(pdu) or pdu[1] >> 4 in (0, 3, 4, 9, 10, 11):
            continue
        raw = struct.pack(">BBH", 3, 0, 4 + len(pdu)) + pdu
        assert frame(raw) == len(raw)
        assert {frame(raw[:n]) for n in range(len(raw))} <= {NEED_MORE, len(raw)}
        assert frame(raw + b"\3\0\0\7") == frame(raw + b"\xff" * 9) == len(raw)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100, 239, 240, 5000])
def test_segmentation_does_not_show(size: int) -> None:
    items = b"".join(any_item(2, n + 1, n, 0x84, 8 * n) for n in range(20))
    user = s7(1, bytes([4, 20]) + items)[3:]
    asm, fill, built = np.zeros(MAX_PDU_BYTES, np.uint8), 0, b""
    pieces = [user[i : i + size] for i in range(0, len(user), size)]
    for i, piece in enumerate(pieces):
        # Acknowledgements of other stacks may stand between two pieces.
        assert unwrap(unit(b"", False), asm, fill)[0] == UNWRAP_WHOLE
        raw = unit(piece, i == len(pieces) - 1)
        status, a, b = unwrap(raw, asm, fill)
        if status == UNWRAP_MORE:
            assert (a, b) == (0, 3 + (i + 1) * size)
            fill = b
        else:
            assert status == (UNWRAP_WHOLE if len(pieces) == 1 else UNWRAP_BUILT)
            built = raw[a:b] if status == UNWRAP_WHOLE else asm[a:b].tobytes()
    assert built == cotp(user)
    assert S7COMM.decode(built, True, None).ops == S7COMM.decode(s7(1, bytes([4, 20]) + items), True, None).ops
    assert words(built) == words(cotp(user))


def test_last_piece_may_be_empty() -> None:
    asm = np.zeros(MAX_PDU_BYTES, np.uint8)
    assert unwrap(unit(b"\x32\1", False), asm, 0) == (UNWRAP_MORE, 0, 5)
    assert unwrap(unit(b""), asm, 5) == (UNWRAP_BUILT, 0, 5)
    assert asm[:5].tobytes() == cotp(b"\x32\1")


def test_endless_pieces_end_at_the_cap() -> None:
    asm, fill, seen = np.zeros(MAX_PDU_BYTES, np.uint8), 0, 0
    while True:
        status, _, fill_after = unwrap(unit(b"x" * 7, False), asm, fill)
        if status != UNWRAP_MORE:
            break
        assert fill_after == (fill or 3) + 7
        fill, seen = fill_after, seen + 1
    assert status == UNWRAP_BAD + UNWRAP_DROPPED
    assert seen == (MAX_PDU_BYTES - 3) // 7
    assert unwrap(unit(b"x" * (MAX_PDU_BYTES - 100), False), asm, 3 + 93)[0] == UNWRAP_MORE
    # Pieces of nothing are not stored, so they cannot go on for ever.
    assert unwrap(unit(b"", False), asm, 0) == (UNWRAP_WHOLE, 4, 7)
    assert unwrap(unit(b"", False), asm, 100) == (UNWRAP_WHOLE, 4, 7)


def test_connecting_again_drops_what_was_begun() -> None:
    asm = np.zeros(MAX_PDU_BYTES, np.uint8)
    raw = struct.pack(">BBH", 3, 0, 4 + len(CR)) + CR
    assert unwrap(raw, asm, 50) == (UNWRAP_WHOLE + UNWRAP_DROPPED, 4, len(raw))
    assert unwrap(raw, asm, 0) == (UNWRAP_WHOLE, 4, len(raw))
    # DT with a header that class 0 does not have.
    assert unwrap(bytes.fromhex("0300000904f000000080"[:18]), asm, 0)[0] == UNWRAP_BAD


def test_acknowledgement_without_data_is_a_link_pdu() -> None:
    for raw in ("02f000", "02f080"):
        count, out = key(bytes.fromhex(raw))
        assert count == 1
        assert (out[OUT_KIND], out[OUT_EVIDENCE], out[OUT_FUNC]) == (KIND_LINK, 0, -1)
        assert S7COMM.decode(bytes.fromhex(raw), True, None).function == "cotp_empty_data"


def test_connect() -> None:
    count, out = key(CR)
    assert count > 1
    assert [out[slot] for slot in (OUT_KIND, OUT_FUNC, OUT_FROM_CLIENT, OUT_EVIDENCE)] == [KIND_LINK, -1, 1, 1]
    message = S7COMM.decode(CR, True, None)
    assert (message.kind, message.function, message.ops) == ("link", "cotp_connect_request", ())
    assert message.body["called_tsap"] == {"raw": "0102", "type": "pg", "rack": 0, "slot": 2}
    assert message.body["tpdu_bytes"] == 1024
    named = bytes.fromhex("1ee00000001100c1020600c20f53494d415449432d524f4f542d4553c0010a")
    assert S7COMM.decode(named, True, None).body["called_tsap"]["name"] == "SIMATIC-ROOT-ES"
    assert S7COMM.decode(named, True, None).body["calling_tsap"] == {"raw": "0600"}
    assert key(named)[1][OUT_EVIDENCE] == 1
    confirm = CR[:1] + b"\xd0" + CR[2:]
    assert key(confirm)[1][OUT_FROM_CLIENT] == 0
    assert key(confirm)[1][OUT_FLAGS] == FLAG_IDENTITY
    assert S7COMM.identity(S7COMM.decode(confirm, False, None)) == (("rack_slot", "0/2", 0.5),)
    # Others use COTP too: RDP names no TSAP, MMS has other ones.
    for foreign in (
        "06e00000000000",
        "16e0000000000000c00109c10200 01c20200 01".replace(" ", ""),
        "2ae00000000000" + "41" * 36,
    ):
        raw = bytes.fromhex(foreign)
        pdu = bytes([len(raw) - 1]) + raw[1:]
        assert key(pdu)[0] > 0
        assert key(pdu)[1][OUT_EVIDENCE] == 0
