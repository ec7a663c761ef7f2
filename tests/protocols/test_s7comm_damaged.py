"""Damaged PDUs keep what can be read of them: their function, flags and bytes, and never a password."""

import json

import pytest

from otmon.model import UNPARSED, Malformed, Message
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import FLAG_DAMAGED, OUT_FLAGS, OUT_WORDS
from tests.protocols.s7_corpus import corpus
from tests.protocols.s7_streams import FILES, any_item, cotp, key, pdus, s7


def left_of(pdu: bytes) -> Message | None:
    """What a PDU still says if it is damaged; None if it is sound, or says nothing."""
    try:
        S7COMM.decode(pdu, True, None)
    except Malformed as error:
        return error.read
    return None


def read(pdu: bytes) -> Message | None:
    """What a damaged PDU still says."""
    assert key(pdu)[0] == -1
    with pytest.raises(Malformed) as caught:
        S7COMM.decode(pdu, True, None)
    assert str(caught.value)
    return caught.value.read


@pytest.mark.parametrize(
    ("pdu", "function", "code"),
    [
        (s7(1, b"\4\2" + any_item(2, 1, 1, 0x84, 0)), "read_var", 4),
        (s7(1, b"\x1a\0\0\0\0\0\0\0\x09_0A"), "request_download", 0x1A),
        (s7(1, b"\x28\0\0\0\0\0\0\xfd\xff\xff\5_INSE"), "pi_service", 0x28),
        (s7(1, b"\x29\0\0\0\0\0\x09P_PROGRAM")[:-4], "plc_stop", 0x29),
        (s7(3, b"\4\1", b"\xff\4\0\x10\1\2")[:-1], "read_var", 4),
        (s7(7, b"\0\1\x12\4\x11\x44\1"), "read_szl", None),
        (s7(7, b"\0\1\x12\4\x11\x41\x08\0", b"\xff\x09\0\4\1\2\3\4")[:-1], "modify_variable", None),
        (cotp(b"\x72\1\0\x80\x31\0\0\4\xca\0\0\0\1\0\0\1\x20\x36\0"), "create_object", None),
        (b"\3\xe0\0\0\0", "cotp_connect_request", None),
    ],
)
def test_the_function_is_kept(pdu: bytes, function: str, code: int | None) -> None:
    message = read(pdu)
    assert message is not None
    assert (message.function, message.function_code, message.ops) == (function, code, ())


@pytest.mark.parametrize(
    "pdu", [b"", b"\x02\xf0", cotp(b"\x32"), cotp(b"\x33\1\0\0\0\0\0\1\0\0\4"), s7(1, b""), cotp(b"\x72\5\0\0")]
)
def test_without_a_function_there_is_no_message(pdu: bytes) -> None:
    assert read(pdu) is None


def test_every_damage_of_a_corpus_is_json_and_has_no_operation() -> None:
    kept = [message for pdu in corpus(9, 3000) if (message := left_of(pdu)) is not None]
    for message in kept:
        json.dumps(message.body)
        assert message.ops == ()
        assert S7COMM.identity(message) == ()
    assert len(kept) > 300


def test_every_cut_of_real_pdus_has_its_function() -> None:
    """Of each kind of PDU in the captures the first one, cut at every place behind its function."""
    seen = set()
    for name in ("snap7", "s7ident", "download", "plus_v2"):
        if not FILES[name].exists():
            pytest.skip(f"no {FILES[name]}")
        for pdu in pdus(FILES[name]):
            whole = S7COMM.decode(pdu.data, True, None)
            if whole.kind == "link" or (whole.function, whole.kind) in seen:
                continue
            seen.add((whole.function, whole.kind))
            for size in range(3 + 19, len(pdu.data)):
                left = left_of(pdu.data[:size])
                # What a PI service does is said by the name at its end.
                if left is not None and left.function != "pi_service":
                    assert left.function == whole.function, (name, pdu.frame, size)
    assert len(seen) > 30


def test_a_password_is_in_no_damaged_record_either() -> None:
    login = b"\x28\0\0\0\0\0\0\xfd\xff\xff\x02aa\0\x06SUNRIS\x09_N_LOGIN_"
    whole = b"\x28\0\0\0\0\0\0\xfd\0\x0c\x02aa\0\x06SUNRIS\0\x09_N_LOGIN_"
    cut = [s7(1, whole)[:-n] for n in range(1, 17)]
    for pdu in (s7(1, login), s7(7, b"\0\1\x12\4\x11\x45\1\0", b"\xff\x09\0\x08SUNRISE1")[:-1], *cut):
        message = read(pdu)
        assert message is not None
        assert "SUNRIS" not in json.dumps(message.body)
        assert b"SUNRIS".hex() not in json.dumps(message.body)
        assert message.body["raw"] is None
    start = read(s7(1, b"\x28\0\0\0\0\0\0\xfd\0\0\x09P_PROGRAM\0")[:-1])
    assert start is not None
    assert "raw" not in start.body, "all of it is shown"


@pytest.mark.parametrize("kind", [0, 4, 8])
@pytest.mark.parametrize("more", [b"", b"\0\0\0\0", b"\1\1\0\0", b"\1\0\0\0"])
def test_a_password_is_not_shown_whichever_way_it_goes(kind: int, more: bytes) -> None:
    """Pushed, asked or answered, in one part or in several."""
    param = bytes([0, 1, 0x12, 4 + len(more), 0x11, kind << 4 | 5, 1, 0]) + more
    asked = s7(7, bytes.fromhex("000112081245010100000000"), b"\x0a\0\0\0")
    for request in (None, asked):
        shown = json.dumps(S7COMM.decode(s7(7, param, b"\xff\x09\0\x08SUNRISE1"), True, request).body)
        assert "SUNRIS" not in shown
        assert b"SUNRIS".hex() not in shown


BYTE = any_item(2, 1, 1, 0x84, 0)
WORD = b"\0\4\0\x10\1\2"
DB = "DB1"
UNREAD = UNPARSED[:3]


@pytest.mark.parametrize(
    ("param", "data", "reached", "flag"),
    [
        (b"\5\1" + BYTE, b"\0\4\0\x08\1", [(DB, 0, 0)], None),
        (b"\5\1" + BYTE, b"\0\4\0\x08\1\0", [(DB, 0, 0)], None),  # padded
        (b"\5\1" + BYTE, WORD, [(DB, 0, 1)], "data_longer_than_address"),
        (b"\5\1" + BYTE, b"\0\4\0\x08\1" + bytes(9), [(DB, 0, 9)], "data_longer_than_address"),
        (b"\5\1" + BYTE, b"\0\4\xff\xff\1\2", [(DB, 0, 1)], "data_truncated"),
        (b"\5\1" + BYTE, b"", [(DB, 0, 0)], "data_truncated"),
        (b"\5\2" + BYTE, b"\0\4\0\x08\1", [(DB, 0, 0), UNREAD], "malformed"),
        (b"\5\1" + BYTE + BYTE, b"\0\4\0\x08\1\0\0\4\0\x08\1", [(DB, 0, 0)] * 2, "malformed"),
        (b"\5\0" + BYTE, b"\0\4\0\x08\1", [(DB, 0, 0)], "malformed"),
        (b"\5\1" + BYTE[:-1], b"\0\4\0\x08\1", [UNREAD], "malformed"),
        (b"\5\2" + BYTE + b"\x12", WORD, [(DB, 0, 1), UNREAD], "malformed"),
        (b"\5\1" + any_item(28, 2, 0, 0x1D, 3), b"\0\x09\0\x08" + bytes(8), [("T", 3, 6)], "data_longer_than_address"),
        (b"\5\1" + any_item(1, 1, 1, 0x84, 7), b"\0\3\0\1\1", [(DB, 0, 0)], None),
        (b"\5\1" + any_item(1, 1, 1, 0x84, 7), b"\0\x09\0\4" + bytes(4), [(DB, 0, 3)], "data_longer_than_address"),
        (b"\5\1\x12\x07\xb0\1\2\0\1\0\x08", b"\0\4\0\x28" + bytes(5), [(DB, 8, 12)], "data_longer_than_address"),
    ],
)
def test_a_write_reaches_as_far_as_its_bytes(
    param: bytes, data: bytes, reached: list[object], flag: str | None
) -> None:
    """Snap7 for Python writes all bytes it is given, whatever the address says."""
    pdu = s7(1, param, data)
    message = S7COMM.decode(pdu, True, None)
    assert [op.target[:3] for op in message.ops if op.target] == reached
    assert set(message.flags) >= ({flag} if flag else set())
    assert flag is not None or not message.flags
    count, out = key(pdu)
    assert S7COMM.operations(out[OUT_WORDS : OUT_WORDS + count].tolist()) == message.ops
    assert bool(out[OUT_FLAGS] & FLAG_DAMAGED) == ("malformed" in message.flags)


def test_a_write_with_wrong_lengths_is_judged_by_what_stands_in_it() -> None:
    sound = s7(1, b"\5\1" + BYTE, WORD)
    for size in range(len(sound) - 1, 16, -1):
        pdu = sound[:size]
        message = S7COMM.decode(pdu, True, None)
        count, out = key(pdu)
        assert "malformed" in message.flags
        assert message.body["raw"] == pdu[3:].hex()
        assert out[OUT_FLAGS] & FLAG_DAMAGED
        assert S7COMM.operations(out[OUT_WORDS : OUT_WORDS + count].tolist()) == message.ops
        targets = [op.target for op in message.ops]
        assert (UNPARSED in targets) == (size < 15 + 12)


def test_what_a_write_calls_a_return_code_hides_no_value() -> None:
    (item,) = S7COMM.decode(s7(1, b"\5\1" + BYTE, b"\5\4\0\x08\x07"), True, None).body["items"]
    assert (item["written"]["return_code"], item["written"]["values"]) == (5, [7])
