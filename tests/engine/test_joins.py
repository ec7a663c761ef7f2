"""Messages in several PDUs: the last one shows all of it, and what it says of its sender is known."""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from otmon.engine import analyze
from otmon.engine.joins import Joins
from otmon.limits import MAX_JOINED_BYTES, MAX_JOINS, MAX_JOINS_EACH
from otmon.protocols import PROTOCOLS
from otmon.protocols.s7comm import S7COMM
from otmon.protocols.s7comm.joined import piece, whole
from otmon.wire import columns as c
from tests.verify.captures import find, seen


def joined(name: str) -> list[dict[str, Any]]:
    return [record for record in seen(name).messages if "joined" in record["flags"]]


def test_a_status_list_in_two_parts_tells_who_the_controller_is() -> None:
    (record,) = joined("snap7.pcap")
    body = record["s7comm"]
    # Ten records of 34 bytes, as the first part announces.
    assert (body["szl_id"], body["records"], body["data_bytes"], body["parts"]) == (0x1C, 10, 8 + 10 * 34, 2)
    assert body["components"]["manufacturer"] == "Siemens AG"
    # Without messages too, and from both parts.
    facts = {fact.name: fact.value for fact in analyze([str(find("snap7.pcap"))]).part.facts}
    assert facts["memory_card_serial"] == "MMC 4A1AC019", "it stands in the second part"


def test_a_list_of_blocks_in_two_parts() -> None:
    lists = joined("step7_s300_download.pcapng")
    # 208 octets and 100, four of each block; every number once.
    assert [len(record["s7comm"]["blocks"]) for record in lists] == [(208 + 100) // 4] * 2
    for record in lists:
        assert len({block["block_number"] for block in record["s7comm"]["blocks"]}) == (208 + 100) // 4


def test_fragments_of_s7comm_plus() -> None:
    (record,) = joined("S7-1200-Uploading-OB1-TIAV12.pcap")
    assert (record["function"], record["kind"], record["s7comm"]["parts"]) == ("create_object", "link", 3)
    assert record["s7comm"]["bytes"] == 1008 + 1009 + 216
    assert record["flags"] == ["joined"], "every byte was understood"


def part(reference: int, payload: bytes, *, last: bool, group: int = 4, number: int = 1) -> bytes:
    """An answer, as the canonical PDU has it."""
    param = bytes((0, 1, 0x12, 8, 0x12, 0x80 | group, number, 1, reference, not last, 0, 0))
    data = b"\xff\x09" + len(payload).to_bytes(2, "big") + payload
    return b"\x02\xf0\x80\x32\x07\0\0\0\1" + struct.pack(">HH", len(param), len(data)) + param + data


class Feed:
    """PDUs of connections, without a capture."""

    def __init__(self) -> None:
        self.ev_bytes: Any = b""
        self.conns = np.zeros((100, 64), np.int64)
        self.conns[:, c.C_PROTO], self.conns[:, c.C_NUMBER] = PROTOCOLS.index(S7COMM), range(100)
        self.joins = Joins(self)

    def take(self, pdu: bytes, connection: int = 1) -> bytes | None:
        event = [0] * 32
        event[c.E_CONN], event[c.E_LEN] = connection, len(pdu)
        self.ev_bytes = pdu
        found = self.joins.take(event, None)
        return None if found is None else found.pdu


LIST = struct.pack(">HHHH", 0x11, 0, 28, 4) + bytes(range(112))


def test_parts_are_the_message_they_were_cut_from() -> None:
    for cuts in ((50,), (8, 9), (1, 60, 119)):
        feed, edges = Feed(), [0, *cuts, len(LIST)]
        pieces = [LIST[a:b] for a, b in pairwise(edges)]
        told = [feed.take(part(7, one, last=n == len(pieces) - 1)) for n, one in enumerate(pieces)]
        assert told[:-1] == [None] * (len(pieces) - 1)
        whole_one = told[-1]
        assert whole_one is not None
        assert whole_one[29:] == LIST
        assert S7COMM.decode(whole_one, False, None).body["records"] == 4


def test_what_is_not_all_there_is_not_put_together() -> None:
    feed = Feed()
    assert feed.take(part(7, LIST[60:], last=True)) is None, "without its beginning"
    assert feed.take(part(7, LIST[:50], last=False)) is None
    assert feed.take(part(7, LIST[60:], last=True)) is None, "ten bytes are missing"
    feed.take(part(7, LIST[:50], last=False))
    assert feed.take(part(8, LIST[50:], last=True)) is None, "of another answer"
    assert feed.take(part(7, LIST[50:], last=True)), "which does not disturb this one"


def test_parts_without_end_are_bounded() -> None:
    feed = Feed()
    for _ in range(2 * MAX_JOINED_BYTES // 900):
        feed.take(part(7, bytes(900), last=False))
    assert sum(len(pdu) for one in feed.joins._open.values() for pdu in one.pdus) <= MAX_JOINED_BYTES
    for connection in range(100):
        feed.take(part(7, LIST[:50], last=False), connection)
    assert len(feed.joins._open) == MAX_JOINS


def test_a_connection_with_many_open_takes_no_place_of_another() -> None:
    feed = Feed()
    feed.take(part(7, LIST[:50], last=False), 2)
    for reference in range(1, 256):
        feed.take(part(reference, LIST[:50], last=False))
    assert len(feed.joins._open) == MAX_JOINS_EACH + 1
    assert feed.take(part(7, LIST[50:], last=True), 2)


@pytest.mark.parametrize("size", range(0, 60, 3))
def test_cut_anywhere_nothing_is_raised(size: int) -> None:
    for pdu in (part(7, LIST, last=False), b"\x02\xf0\x80\x72\x02\x00\x40\x31" + bytes(60)):
        cut = pdu[:size]
        if piece(cut, None) is not None:
            whole([cut, cut])
