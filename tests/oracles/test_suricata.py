"""DNP3 beside Suricata's EVE records of its own test capture: every key of every record."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.oracles.logs import Record
from tests.protocols.segments import CAPTURES
from tests.protocols.test_dnp3_fuzz import STOPS
from tests.verify.captures import seen

ORACLE = CAPTURES / "OISF__suricata-verify" / "oracle"
NOT_OF_THE_MESSAGE = {
    "event_type": "dnp3",
    "dnp3.type": "told by the order: requests, and what answers or comes unasked",
    "pcap_cnt": "the frame at which Suricata logs, later than the message",
    **dict.fromkeys(("proto", "src_ip", "src_port", "dest_ip", "dest_port"), "of the flow, always client to server"),
}
"""Keys that are not compared."""
FIELDS = {"state": "value", "value": "value", "count": "value", "timestamp": "time_ms"}
FLAGS = {
    **{name: name for name in ("online", "restart", "comm_lost", "remote_forced", "local_forced", "chatter_filter")},
    **{name: name for name in ("over_range", "rollover", "discontinuity")},
    "reference_err": "reference_error",
}
RESERVED = ("reserved", "reserved0", "reserved1")


def eve(record: Record, key: str) -> object:
    """What a Suricata record says under a key, of a message record."""
    body = record["dnp3"]
    parts = key.replace("]", "").replace("[", ".").split(".")[1:]
    match parts:
        case ["src" | "dst" as end]:
            return record["link_source" if end == "src" else "link_destination"]
        case ["control", name]:
            names = {"dir": "from_master", "pri": "primary", "function_code": "code"}
            return body["link"][names.get(name, name)]
        case ["application", "control", name]:
            names = {"con": "confirm", "uns": "unsolicited"}
            return body["application"][names.get(name, name)]
        case ["application", "function_code"]:
            return record["function_code"]
        case ["application", "complete"]:
            return not STOPS & set(record["flags"])
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
            return _point(body["objects"][int(number)], int(place), name)
    raise AssertionError(key)


def _point(header: dict[str, Any], place: int, name: str) -> object:
    if "values" in header:
        point = {"index": header["first"] + place, "value": header["values"][place]}
    else:
        point = header["points"][place]
    if name == "prefix":
        return point["index"] if header["qualifier"] > 15 else 0
    if name == "index":
        return point.get("index", place)
    if name == "state" and (header["group"], header["variation"]) == (2, 1):
        # Suricata shows the whole octet as state; it holds the flags too (Annex A, g2v1).
        return point["value"] << 7 | ("online" in point["flags"])
    if name in FLAGS:
        return int(FLAGS[name] in point["flags"])
    if name in RESERVED:
        return int(any(flag.startswith("reserved") for flag in point["flags"]))
    return point[FIELDS[name]]


def test_every_key_of_every_record() -> None:
    path = ORACLE / "dnp3-eve.test.yaml"
    if not path.exists():
        pytest.skip(f"no {path}")
    checks = YAML(typ="safe").load(path)["checks"]
    records = [check["filter"]["match"] for check in checks if "dnp3.src" in check["filter"]["match"]]
    assert len(records) == 55
    messages = [record for record in seen("dnp3-eve.pcap").of("dnp3") if record["function_code"]]
    differences = []
    for kinds in (("request",), ("response", "unsolicited")):
        mine = [record for record in messages if record["kind"] in kinds]
        theirs = [record for record in records if (record["dnp3.type"] == "request") == (kinds == ("request",))]
        for record, match in zip(mine, theirs, strict=True):
            for key, value in match.items():
                if key not in NOT_OF_THE_MESSAGE and eve(record, key) != value:
                    differences.append((key, value, eve(record, key)))
    assert not differences


def test_floods_and_fragments_without_end() -> None:
    """dnp3-flood: 33 requests; dnp3-too-long-reassembly-request: fragments that never end give no message."""
    assert [r["function"] for r in seen("dnp3-flood.pcap").of("dnp3")] == ["select"] * 33
    assert not seen("dnp3-too-long-reassembly-request.pcap").of("dnp3")
