"""otmon and tshark on every capture with control protocols, each once."""

import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from otmon.engine import analyze
from otmon.opinion.compare import Comparison, Difference
from otmon.opinion.records import Records
from otmon.opinion.tshark import Reading, decode_as
from tests.verify.captures import LONG, PATHS, find

NO_CONTROL = {
    "bacnet_services.pcap",
    "bittorrent-dht.pcap",
    "enip_cip_example.pcap",
    "hart-ip_all_types_and_commands_sent.pcapng",
    "omron.pcap",
    "profinet_io_cm_mixed_1.pcap",
    "right.pcap",
}
"""Other protocols: neither decoder has anything to say (tests/verify/test_bait.py)."""
SLICE_FRAMES = 300
SLICES = {f"{name} {SLICE_FRAMES}": name for name in sorted(LONG - NO_CONTROL)}
"""The beginning of a large capture, for every run; the whole of it is for `make test-long`."""
NAMES = [*(name for name in PATHS if name not in NO_CONTROL), *SLICES]
KEEP = 10**9


class Compared(NamedTuple):
    """What came of it."""

    counts: Comparison
    differences: list[Difference]
    link_frames: tuple[int, int]
    """DNP3 frames that otmon and tshark find."""


@cache
def compared(name: str) -> Compared:
    """One capture, or slice of one. Skips if it or tshark is not here."""
    with tempfile.TemporaryDirectory() as folder:
        path = find(SLICES.get(name, name))
        return beside(name, beginning(path, Path(folder) / "slice.pcap") if name in SLICES else path)


def beside(name: str, path: Path) -> Compared:
    """A capture that is called so. Skips if tshark is not here."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    counts = Comparison(KEEP)
    with tempfile.TemporaryDirectory() as folder:
        messages = Path(folder) / "messages.jsonl"
        summary = analyze([str(path)], messages_path=messages).part.protocols
        records = Records(messages)
        reading = Reading(path, decode_as(records.servers))
        for _ in counts.run(name, reading, records.by_frame()):
            pass
        records.close()
        assert not reading.error
    found = [one for fields in counts.counts.values() for count in fields.values() for one in count.first]
    whole = counts.counts["dnp3"]["message"]
    theirs = whole.agree + whole.differ + whole.only_tshark
    link_frames = summary.get("dnp3", {}).get("link_frames", 0), theirs + reading.parts["dnp3"]
    return Compared(counts, found, link_frames)


def beginning(path: Path, target: Path) -> Path:
    """The first frames of a pcap file."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    for _ in range(SLICE_FRAMES):
        if at + 16 > len(data):
            break
        at += 16 + struct.unpack_from(f"{order}I", data, at + 8)[0]
    target.write_bytes(data[:at])
    return target
