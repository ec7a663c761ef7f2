"""Capture begins within a connection, and no segment says enough by itself."""

import pytest

from tests.hostile.kit import Session
from tests.hostile.witness import CLIENT, FORBIDDEN, READ, SERVER, reported, survive


@pytest.mark.parametrize("cuts", [[6], [7], [11], [4, 8], list(range(2, 12))], ids=str)
def test_a_write_in_pieces_is_the_first_thing_captured(cuts: list[int]) -> None:
    """No SYN was seen, and no segment holds a whole PDU: they do together."""
    session = Session(CLIENT, SERVER)
    seen = survive([*session.send_cut(FORBIDDEN, cuts), session.send(READ)])
    assert (reported(seen), seen.ot_bytes.get("gap", 0)) == (1, 0)


def test_single_bytes_without_a_beginning_are_no_keep_alives() -> None:
    """The first may be one (RFC 9293 3.8.4): not those behind it, whose numbers go on."""
    session = Session(CLIENT, SERVER)
    seen = survive(session.send_cut(FORBIDDEN, range(1, 12)))
    assert seen.ot_bytes["seen"] - survive([]).ot_bytes["seen"] == 11
