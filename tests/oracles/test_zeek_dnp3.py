"""DNP3 beside Zeek's log and those of CISA's icsnpp-dnp3: every column."""

from collections import Counter
from typing import Any

from tests.oracles.logs import NEITHER, Log, Record, conn, sender
from tests.verify.captures import seen

DNP3 = "cisagov__icsnpp-dnp3/oracle/analyzer.basic"
CAPTURE = "dnp3_example.pcap"
REPLIES = {129: "RESPONSE", 130: "UNSOLICITED_RESPONSE"}
OBJECTS = {
    (1, 2): "Binary Input With Status",
    (10, 2): "Binary Output Status",
    (30, 2): "16-Bit Analog Input",
    (40, 2): "16-Bit Analog Output Status",
    (60, 1): "Class 0 Data",
    (60, 2): "Class 1 Data",
    (60, 3): "Class 2 Data",
    (60, 4): "Class 3 Data",
}
"""Those that it logs: static data and classes; no counters, no events, no controls."""


def replies() -> list[tuple[Record, Record | None]]:
    """Replies, each with the request that Zeek puts beside it."""
    records = {record["n"]: record for record in seen(CAPTURE).of("dnp3")}
    return [(r, records.get(r["request_n"])) for r in records.values() if r["function_code"] in REPLIES]


def of_reply(take: Any) -> Any:
    return lambda pair: take(pair[0])


REPLY_LOG = Log(
    f"{DNP3}/dnp3.log",
    {
        **{column: of_reply(take) for column, take in conn().items()},
        "fc_reply": lambda pair: REPLIES[pair[0]["function_code"]],
        "fc_request": lambda pair: pair[1] and pair[1]["function"].upper(),
        # It reads the indications as one big-endian number.
        "iin": lambda pair: (pair[0]["dnp3"]["iin_raw"] & 255) << 8 | pair[0]["dnp3"]["iin_raw"] >> 8,
    },
    NEITHER,
)
PAIRED_OTHERWISE = {
    ("RESPONSE", "0", "SELECT", "-"): 2,
    ("RESPONSE", "0", "OPERATE", "-"): 2,
    ("RESPONSE", "512", "SELECT", "-"): 11,
    ("RESPONSE", "512", "OPERATE", "-"): 11,
    ("UNSOLICITED_RESPONSE", "0", "-", "OPERATE"): 1,
}
"""Reply, indications, the request in otmon's record and in Zeek's log, which takes the last one that it saw: an
unsolicited response answers nothing, and where several requests are sent before the first response comes, the other
responses are left without one (IEEE 1815, 4.2.2.4: responses have the sequence number of their request)."""


def test_replies() -> None:
    """Among them those that tshark loses."""
    ours, theirs = REPLY_LOG.ours(replies()), REPLY_LOG.theirs()
    lacks, has = sorted((ours - theirs).elements()), sorted((theirs - ours).elements())
    key = REPLY_LOG.places("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "fc_reply", "iin")
    assert sorted(map(key, lacks)) == sorted(map(key, has))
    request = REPLY_LOG.places("fc_reply", "iin", "fc_request")
    differs = Counter(
        (*request(mine), request(other)[-1])
        for mine, other in zip(sorted(lacks, key=key), sorted(has, key=key), strict=True)
    )
    assert differs == PAIRED_OTHERWISE


def points() -> list[tuple[Record, dict[str, Any]]]:
    return [
        (record, point)
        for record in seen(CAPTURE).of("dnp3")
        for header in record["dnp3"].get("objects", ())
        if header["group"] == 12
        for point in header.get("points", ())
    ]


def of_point(name: str) -> Any:
    return lambda pair: pair[1][name]


def titled(name: str) -> Any:
    return lambda pair: pair[1][name].replace("_", " ").title()


CONTROL_LOG = Log(
    f"{DNP3}/dnp3_control.log",
    {
        **{column: of_reply(take) for column, take in (conn() | sender()).items()},
        "block_type": lambda _: "Control Relay Output Block",
        "function_code": lambda pair: pair[0]["function"].upper(),
        "index_number": of_point("index"),
        "trip_control_code": titled("trip_close"),
        "operation_type": titled("operation"),
        "clear_bit": of_point("clear"),
        "execute_count": of_point("repeat"),
        "on_time": of_point("on_ms"),
        "off_time": of_point("off_ms"),
        "status_code": lambda pair: pair[1]["status_name"].title() if pair[0]["kind"] == "response" else None,
    },
    NEITHER,
)


def test_controls() -> None:
    assert CONTROL_LOG.ours(points()) == CONTROL_LOG.theirs()


def headers() -> list[tuple[Record, dict[str, Any]]]:
    return [
        (record, header)
        for record in seen(CAPTURE).of("dnp3")
        if record["function_code"] in (1, 129)
        for header in record["dnp3"].get("objects", ())
        if (header["group"], header["variation"]) in OBJECTS
    ]


OBJECT_LOG = Log(
    f"{DNP3}/dnp3_objects.log",
    {
        **{column: of_reply(take) for column, take in (conn() | sender()).items()},
        "function_code": lambda pair: pair[0]["function"].upper(),
        "object_type": lambda pair: OBJECTS[pair[1]["group"], pair[1]["variation"]],
        "object_count": lambda pair: pair[1]["last"] - pair[1]["first"] + 1 if "last" in pair[1] else None,
        "range_low": lambda pair: pair[1].get("first"),
        "range_high": lambda pair: pair[1].get("last"),
    },
    NEITHER,
)


def test_objects() -> None:
    assert OBJECT_LOG.ours(headers()) == OBJECT_LOG.theirs()


def test_it_logs_no_other_object() -> None:
    """No event, counter or control has a row: the table above is all that it knows of these messages."""
    logged = Counter({row[-4]: n for row, n in OBJECT_LOG.theirs().items()})
    assert set(logged) <= set(OBJECTS.values())
