"""Damaged PDUs keep what can be read of them: their function, flags and bytes, and never a password."""

import json

import pytest

from otmon.model import Malformed, Message
from otmon.protocols.s7comm import S7COMM
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
        (s7(1, b"\5\1" + any_item(2, 1, 1, 0x84, 0))[:-3], "write_var", 5),
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
    for pdu in (s7(1, login), s7(7, b"\0\1\x12\4\x11\x45\1\0", b"\xff\x09\0\x08SUNRISE1")[:-1]):
        message = read(pdu)
        assert message is not None
        assert "SUNRIS" not in json.dumps(message.body)
        assert b"SUNRIS".hex() not in json.dumps(message.body)
        assert message.body["raw"] is None
