"""Every DNP3 capture beside Wireshark's dissector, Zeek's logs (icsnpp-dnp3) and Suricata's EVE records.

tshark runs without TCP reassembly and sequence analysis: each frame is compared with what otmon reads in that segment.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ruamel.yaml import YAML

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
)
from tests.protocols.segments import CAPTURES, segments
from tests.protocols.test_dnp3_fuzz import STOPS, check

OWN = Path(__file__).parents[2] / "captures"
FIELDS = {
    "source": "dnp3.src",
    "destination": "dnp3.dst",
    "control": "dnp3.ctl",
    "transport": "dnp3.tr.ctl",
    "application": "dnp3.al.ctl",
    "function": "dnp3.al.func",
    "iin": "dnp3.al.iin",
    "object": "dnp3.al.obj",
    "prefix": "dnp3.al.objq.prefix",
    "range": "dnp3.al.objq.range",
    "point": "dnp3.al.point_index",
    "analog": "dnp3.al.ana.int",
    "output": "dnp3.al.anaout.int",
    "setpoint": "dnp3.al.anaout.float",
    "counter": "dnp3.al.cnt",
    "status": "dnp3.al.ctrlstatus",
    "operation": "dnp3.ctl.op",
    "trip_close": "dnp3.ctl.trip",
    "repeat": "dnp3.al.count",
    "on": "dnp3.al.on_time",
    "off": "dnp3.al.off_time",
    "malformed": "_ws.malformed",
}
LINK_FIELDS = {"source", "destination", "control", "transport"}
HEADER_FIELDS = LINK_FIELDS | {"application", "function", "iin", "object"}
# Where the two differ, and otmon is right.
DIFFERENT = {
    "dnp3.pcap": {
        # A reserved qualifier (0xED), which tshark passes over.
        **{key: {"malformed"} for key in (154, 156)},
        # It shows no objects of "stop application"; here too one has qualifier 0xED.
        **{key: {"malformed", "object", "prefix", "range"} for key in (163, 166, 174, 176)},
    },
    # It loses a fragment whose transport sequence goes on from 63 to 0; in 311 it joins two, 96 frames apart.
    "dnp3_example.pcap": dict.fromkeys((18, 114, 210, 311, 810), set(FIELDS) - LINK_FIELDS),
    "DNP3-Malformed.pcap": {
        # Group 0 variation 0 of type 0 ("none"): tshark reads no length octet behind this type.
        156: {"object"},
        # A range of 1 to 0, or an obsolete virtual address: tshark goes on behind them.
        **{key: {"malformed"} for key in (157, 160, 170)},
    },
    "dnp3_opendnp3.pcap": {
        # Open and delete file without an object: odd, but all there is can be read.
        **{key: {"malformed"} for key in (129, 133)},
        # "Stop application" again.
        140: {"object", "prefix", "range"},
    },
}


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
            outcome = status & ~UNWRAP_DROPPED
            if outcome == UNWRAP_MORE:
                fill = b
                continue
            if status & UNWRAP_DROPPED or outcome == UNWRAP_BUILT:
                fill = 0
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


def tshark(path: Path) -> dict[int, dict[str, list[str]]]:
    """Frame number -> for each field its values in order."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    options = ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"]
    options += ["-d", "tcp.port==20001,dnp3", "-Y", "dnp3", "-T", "fields", "-E", "aggregator=|", "-e", "frame.number"]
    options += [part for name in FIELDS.values() for part in ("-e", name)]
    done = subprocess.run(["tshark", "-r", path, *options], capture_output=True, text=True, check=True)
    rows = {}
    for line in done.stdout.splitlines():
        frame, *columns = line.split("\t")
        rows[int(frame)] = {name: text.split("|") if text else [] for name, text in zip(FIELDS, columns, strict=True)}
    return rows


def shown(reading: Reading) -> dict[str, list[str]]:
    """What tshark should show for a segment."""
    row: dict[str, list[str]] = {name: [] for name in FIELDS}

    def show(name: str, value: int | float, form: str = "d") -> None:
        row[name].append(format(value, form))

    for link in reading.links:
        show("source", link[6] | link[7] << 8)
        show("destination", link[4] | link[5] << 8)
        show("control", link[3], "#04x")
        if len(link) > 8:
            show("transport", link[8], "#04x")
    for message in reading.messages:
        if message.kind == "link":
            continue
        bits = message.body["application"]
        names = ("fir", "fin", "confirm", "unsolicited")
        show("application", sum(bits[name] << 7 - i for i, name in enumerate(names)) | bits["sequence"], "#04x")
        show("function", message.function_code or 0)
        if "iin_raw" in message.body:
            iin = message.body["iin_raw"]
            show("iin", (iin & 255) << 8 | iin >> 8, "#06x")
        for header in message.body["objects"]:
            show("object", header["group"] << 8 | header["variation"], "#06x")
            show("prefix", header["qualifier"] >> 4 & 7)
            show("range", header["qualifier"] & 15)
            _points(header, show)
    return row


def _points(header: dict[str, Any], show: Any) -> None:
    group, variation = header["group"], header["variation"]
    if header.get("values"):
        for i in range(len(header["values"])):
            show("point", header["first"] + i)
    for i, point in enumerate(header.get("points", ())):
        if header["qualifier"] < 16:
            show("point", point.get("index", i))
        if group in (30, 32, 40) and variation in (1, 2, 3, 4) and isinstance(point.get("value"), int):
            show("output" if group == 40 else "analog", point["value"])
        if group in (20, 21, 22, 23):
            show("counter", point["value"])
        if group == 41:
            if variation < 3:
                show("output", point["value"])
            elif variation == 3:
                show("setpoint", point["value"], "g")
        if "status" in point:
            show("status", point["status"])
        if group == 12 and "operation" in point:
            show("operation", point["control_code"] & 15)
            show("trip_close", point["control_code"] >> 6)
            show("repeat", point["repeat"])
            show("on", point["on_ms"])
            show("off", point["off_ms"])


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
        "plant.pcap",
    ],
)
def test_capture_decodes_as_in_wireshark(name: str) -> None:
    path = find(name)
    theirs, known = tshark(path), DIFFERENT.get(name, {})
    differences, found, compared = [], {}, 0
    for reading in readings(path):
        row, mine = theirs.pop(reading.frame, {field: [] for field in FIELDS}), shown(reading)
        stopped = any(STOPS & set(message.flags) for message in reading.messages)
        unlike = {"malformed"} if stopped != bool(row["malformed"]) else set()
        if stopped:
            # Where an object is damaged, each shows what it likes of it; those before it are the same.
            row["object"] = row["object"][: len(mine["object"])]
        fields = HEADER_FIELDS if stopped else set(FIELDS) - {"malformed"}
        unlike |= {field for field in fields if row[field] != mine[field]}
        compared += 1
        if unlike - known.get(reading.frame, set()):
            differences.append((reading.frame, [(field, row[field], mine[field]) for field in sorted(unlike)]))
        if unlike:
            found[reading.frame] = unlike
    assert not differences, f"{name}: {len(differences)} frames differ (field, tshark, otmon): {differences[:4]}"
    assert set(found) == set(known)
    assert compared
    # Frames that are DNP3 to tshark for their port alone show nothing.
    assert not [frame for frame, row in theirs.items() if any(row.values())]


def zeek(name: str) -> list[dict[str, str]]:
    """Rows of one of the logs that icsnpp-dnp3 keeps of dnp3_example.pcap."""
    path = find("dnp3_example.pcap").parent / "oracle" / "analyzer.basic" / name
    lines = path.read_text().splitlines()
    (names,) = (line.split("\t")[1:] for line in lines if line.startswith("#fields"))
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines if not line.startswith("#")]


OBJECT_NAMES = {
    (60, 1): "Class 0 Data",
    (60, 2): "Class 1 Data",
    (60, 3): "Class 2 Data",
    (60, 4): "Class 3 Data",
    (1, 2): "Binary Input With Status",
    (10, 2): "Binary Output Status",
    (30, 2): "16-Bit Analog Input",
    (40, 2): "16-Bit Analog Output Status",
}


def test_zeek_sees_the_same_controls_and_objects() -> None:
    controls: Counter[tuple[str, ...]] = Counter()
    objects: Counter[tuple[str, ...]] = Counter()
    for reading in readings(find("dnp3_example.pcap")):
        for message in reading.messages:
            for header in message.body["objects"]:
                for point in header.get("points", ()) if header["group"] == 12 else ():
                    controls[
                        message.function.upper(),
                        str(point["index"]),
                        point["trip_close"],
                        point["operation"].replace("_", " "),
                        "T" if point["clear"] else "F",
                        *(str(point[name]) for name in ("repeat", "on_ms", "off_ms")),
                        point["status_name"] if message.kind == "response" else "-",
                    ] += 1
                kind = OBJECT_NAMES.get((header["group"], header["variation"]))
                if kind and message.function_code in (1, 129):
                    interval = (header["first"], header["last"]) if "first" in header else ()
                    size = (str(interval[1] - interval[0] + 1), *map(str, interval)) if interval else ("-", "-", "-")
                    objects[message.function.upper(), kind, *size] += 1
    names = ("function_code", "index_number", "trip_control_code", "operation_type", "clear_bit", "execute_count")
    names += ("on_time", "off_time", "status_code")
    logged = Counter(
        (row["function_code"], *(row[name] if row[name] in "TF" else row[name].lower() for name in names[1:]))
        for row in zeek("dnp3_control.log")
    )
    assert controls == logged
    assert objects == Counter(
        tuple(row[name] for name in ("function_code", "object_type", "object_count", "range_low", "range_high"))
        for row in zeek("dnp3_objects.log")
        if row["object_type"] in OBJECT_NAMES.values()
    )


POINT_FIELDS = {"state": "value", "value": "value", "count": "value", "timestamp": "time_ms"}
POINT_FLAGS = {
    **{name: name for name in ("online", "restart", "comm_lost", "remote_forced", "local_forced", "chatter_filter")},
    **{name: name for name in ("over_range", "rollover", "discontinuity")},
    "reference_err": "reference_error",
}


def eve(message: Message, key: str) -> object:
    """What a Suricata record says under a key, of a message."""
    body = message.body
    parts = key.replace("]", "").replace("[", ".").split(".")[1:]
    match parts:
        case ["src" | "dst" as end]:
            return message.extra["link_source" if end == "src" else "link_destination"]
        case ["control", name]:
            names = {"dir": "from_master", "pri": "primary", "function_code": "code"}
            return body["link"][names.get(name, name)]
        case ["application", "control", name]:
            names = {"con": "confirm", "uns": "unsolicited"}
            return body["application"][names.get(name, name)]
        case ["application", "function_code"]:
            return message.function_code
        case ["application", "complete"]:
            return not STOPS & set(message.flags)
        case ["iin", "indicators", _]:
            return "device_restart" if "device_restart" in body["iin"] else None
        case ["application", "objects", number, name]:
            header = body["objects"][int(number)]
            qualifier = header["qualifier"]
            count = header.get("count", header["last"] - header["first"] + 1 if "last" in header else 0)
            return {
                "prefix_code": qualifier >> 4,
                "range_code": qualifier & 15,
                "start": header.get("first", 0),
                "stop": header.get("last", 0),
                "count": count,
            }.get(name, header.get(name))
        case ["application", "objects", number, "points", place, name]:
            header = body["objects"][int(number)]
            if "values" in header:
                point = {"index": header["first"] + int(place), "value": header["values"][int(place)]}
            else:
                point = header["points"][int(place)]
            if name == "prefix":
                return point["index"] if header["qualifier"] > 15 else 0
            if name == "index":
                return point.get("index", int(place))
            if name == "state" and (header["group"], header["variation"]) == (2, 1):
                # Suricata shows the whole octet as state; it holds the flags too (Annex A, g2v1).
                return point["value"] << 7 | ("online" in point["flags"])
            if name in POINT_FLAGS:
                return int(POINT_FLAGS[name] in point["flags"])
            return point.get(POINT_FIELDS.get(name, name), 0)
    raise AssertionError(key)


def test_suricata_sees_the_same_values() -> None:
    path = find("dnp3-eve.pcap")
    checks = YAML(typ="safe").load(path.parent / "oracle" / "dnp3-eve.test.yaml")["checks"]
    records = [check["filter"]["match"] for check in checks if "dnp3.src" in check["filter"]["match"]]
    assert len(records) == 55
    messages = [m for reading in readings(path) for m in reading.messages if m.function_code]
    differences = []
    for kinds in (("request",), ("response", "unsolicited")):
        mine = [m for m in messages if m.kind in kinds]
        theirs = [r for r in records if (r["dnp3.type"] == "request") == (kinds == ("request",))]
        assert len(mine) == len(theirs)
        for message, record in zip(mine, theirs, strict=True):
            for key, value in record.items():
                if key.startswith("dnp3.") and key != "dnp3.type" and eve(message, key) != value:
                    differences.append((key, value, eve(message, key)))
    assert not differences, f"{len(differences)} differ (key, Suricata, otmon): {differences[:9]}"


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
