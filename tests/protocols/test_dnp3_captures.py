"""Every DNP3 capture segment by segment: key and decoder agree; what never ends is dropped once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from otmon.limits import MAX_PDU_BYTES
from otmon.model import Message
from otmon.protocols.dnp3 import DNP3
from otmon.wire.contract import (
    OUT_FROM_CLIENT,
    OUT_SIZE,
    OUT_WORDS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_MORE,
    UNWRAP_STATUS,
)
from tests.protocols.segments import CAPTURES, segments
from tests.protocols.test_dnp3_fuzz import check

OWN = Path(__file__).parents[2] / "captures"


class Reading(NamedTuple):
    """What otmon reads in one segment."""

    frame: int
    links: list[bytes]
    """Link header and transport octet of each frame."""
    messages: list[Message]
    bad: int
    """Units that damage or a missing beginning made unusable, and bytes that are no frame."""


def readings(path: Path) -> Iterator[Reading]:
    assembly: dict[Any, tuple[Any, int]] = {}
    out = np.zeros(OUT_SIZE, np.int64)
    for segment in segments(path):
        if 20000 not in segment.ports and 20001 not in segment.ports:
            continue
        buf, at, links, messages, bad = np.frombuffer(segment.payload, np.uint8), 0, [], [], 0
        flow = (segment.protocol, segment.ports)
        asm, fill = assembly.get(flow, (np.zeros(MAX_PDU_BYTES, np.uint8), 0))
        while at < len(buf):
            length = DNP3.frame(buf, at, len(buf))
            if length <= 0 or at + length > len(buf):
                bad += 1
                break
            links.append(segment.payload[at : at + 8] + segment.payload[at + 10 : at + min(length, 11)])
            status, a, b = DNP3.unwrap(buf, at, at + length, asm, fill)
            at += length
            outcome = status & UNWRAP_STATUS
            if outcome == UNWRAP_MORE:
                fill = b
                continue
            if status & UNWRAP_DROPPED or outcome == UNWRAP_BUILT:
                fill = a if outcome == UNWRAP_BUILT else b
            if outcome == UNWRAP_BAD:
                bad += 1
                continue
            pdu = bytes((asm if outcome == UNWRAP_BUILT else buf)[a:b])
            message = check(pdu)
            assert message, f"frame {segment.frame} is malformed"
            words = DNP3.key(np.frombuffer(pdu, np.uint8), 0, len(pdu), -1, out)
            assert words > 0 or message.kind == "link"
            assert out[OUT_FROM_CLIENT] == message.body["link"]["from_master"]
            assert words <= 0 or DNP3.operations(out[OUT_WORDS : OUT_WORDS + words].tolist()) == message.ops
            messages.append(message)
        assembly[flow] = asm, fill
        yield Reading(segment.frame, links, messages, bad)


def find(name: str) -> Path:
    if (OWN / name).exists():
        return OWN / name
    if not CAPTURES.is_dir():
        pytest.skip(f"no captures in {CAPTURES}")
    return next(CAPTURES.rglob(name))


@pytest.mark.parametrize(
    "name",
    [
        "dnp3_udp_select_operate.pcap",
        "dnp3-flowbuffer-overflow-assert.pcap",
        "dnp3_read_p20001.pcap",
        "dnp3.pcap",
        "dnp3_example.pcap",
        "DNP3-Malformed.pcap",
        "dnp3-flood.pcap",
        "dnp3-eve.pcap",
        "dnp3-too-long-reassembly-request.pcap",
        "dnp3_opendnp3.pcap",
        "dnp3_dnp3py.pcap",
        "dnp3_points.pcap",
        "plant.pcap",
    ],
)
def test_key_and_decoder_agree(name: str) -> None:
    """`readings` compares what each says of every fragment."""
    found = list(readings(find(name)))
    assert sum(len(reading.links) for reading in found) > 1


def test_bait_is_not_dnp3() -> None:
    """BitTorrent on UDP port 20000."""
    for segment in segments(find("bittorrent-dht.pcap")):
        buf = np.frombuffer(segment.payload, np.uint8)
        assert all(DNP3.frame(buf, at, len(buf)) <= 0 for at in range(len(buf) - 10))


def test_a_fragment_longer_than_any_buffer_is_dropped_once() -> None:
    """65 frames without an end (Suricata's rule 2270007): 8 KiB are held, then nothing until a first segment comes."""
    found = list(readings(find("dnp3-too-long-reassembly-request.pcap")))
    assert sum(len(reading.links) for reading in found) == 65
    assert not any(reading.messages for reading in found)
    assert [reading.bad for reading in found].index(1) == 8183 // 249
