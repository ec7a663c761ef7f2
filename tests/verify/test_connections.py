"""Connections, copies and holes of every capture, counted anew from the headers that Wireshark shows."""

import shutil
import subprocess
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import pytest

from tests.verify.captures import find, seen

CHECKSUMS = ("tcp.checksum", "udp.checksum", "icmp.checksum", "icmpv6.checksum", "igmp.checksum")
FIELDS = (
    "frame.number", "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.id", "ip.proto", "ipv6.nxt",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "ip.len", "ipv6.plen", "tcp.seq_raw", "tcp.len",
    *CHECKSUMS, "tcp.flags.ack", "tcp.analysis.lost_segment",
)  # fmt: skip


class Header(NamedTuple):
    """What of a frame's headers says whether it is a copy of another."""

    ends: tuple[str, ...]
    ts_ns: int
    same: tuple[str, ...]
    ident: int
    row: dict[str, str]


@cache
def headers(name: str) -> list[Header]:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    command = ["tshark", "-r", str(find(name)), "-T", "fields", "-E", "occurrence=f", "-Y", "ip || ipv6"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        row = dict(zip(FIELDS, line.split("\t"), strict=True))
        seconds, _, fraction = row["frame.time_epoch"].partition(".")
        ports = (row["tcp.srcport"] or row["udp.srcport"], row["tcp.dstport"] or row["udp.dstport"])
        ends = (
            row["ip.src"] or row["ipv6.src"], row["ip.dst"] or row["ipv6.dst"], *ports,
            row["ip.proto"] or row["ipv6.nxt"],
        )  # fmt: skip
        same = tuple(row[field] for field in ("ip.id", "ip.len", "ipv6.plen", "tcp.seq_raw", "tcp.len", *CHECKSUMS))
        found.append(
            Header(ends, int(seconds) * 10**9 + int(fraction.ljust(9, "0")), same, int(row["ip.id"] or "0", 16), row)
        )
    return found


def test_copies_are_the_frames_that_came_twice(name: str) -> None:
    """The same identification, length and checksum again between the same ends: within a second in TCP, else 10 ms."""
    latest: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    copies = 0
    for header in headers(name):
        near = 10**9 if header.row["tcp.seq_raw"] and header.ident else 10**7
        flow = latest.setdefault(header.ends, {})
        before = flow.get(header.same)
        if before is not None and header.ts_ns - before <= near:
            copies += 1
        flow[header.same] = header.ts_ns
    frames = seen(name).summary
    assert frames["frames"]["copy"] == frames["visibility"]["copies"] == copies


def test_one_sided_connections(name: str) -> None:
    """TCP where only one side was seen, and that one acknowledges what the other sent."""
    sides: dict[frozenset[Any], dict[tuple[str, ...], bool]] = {}
    for header in headers(name):
        if header.row["tcp.seq_raw"]:
            ends = header.ends
            directions = sides.setdefault(frozenset((ends[::2][:2], ends[1::2][:2])), {})
            acknowledges = header.row["tcp.flags.ack"] in ("1", "True")
            directions[ends] = directions.get(ends, False) or acknowledges
    alone = sum(len(directions) == 1 and any(directions.values()) for directions in sides.values())
    assert seen(name).summary["visibility"]["one_sided"] == alone


def test_holes_are_those_of_wireshark(name: str) -> None:
    """In connections of control protocols. In fuzz-72 sequence numbers are mutated: neither count means anything."""
    if name == "fuzz-72.pcap":
        pytest.skip("mutated sequence numbers")
    control = {tuple(map(str, (*r["src"], *r["dst"]))) for r in seen(name).messages}
    lost = Counter(
        bool(header.row["tcp.analysis.lost_segment"])
        for header in headers(name)
        if (header.ends[0], header.ends[2], header.ends[1], header.ends[3]) in control and header.row["tcp.len"] != "0"
    )
    assert seen(name).summary["visibility"]["gaps"] == lost[True]


def test_messages_go_between_the_ends_of_their_frames(name: str) -> None:
    """And the client is who asks: by port in Modbus and S7 here, by the DIR bit in DNP3, whoever connected."""
    rows = {int(header.row["frame.number"]): header.ends for header in headers(name)}
    for record in seen(name).messages:
        ends = [(*record["src"], *record["dst"])]
        for _, frame in record["frames"]:
            source, destination, source_port, destination_port, _ = rows[frame]
            ends.append((source, int(source_port), destination, int(destination_port)))
        assert len(set(ends)) == 1, record
        by_port = record["dst"][1] in (102, 502, *([4001] if name == "modbus_rtu.pcap" else []))
        asks = record["dnp3"]["link"]["from_master"] if record["protocol"] == "dnp3" else by_port
        assert record["from_client"] == asks, record
