"""DNP3 of every capture, message by message, beside Wireshark; frames on which the two differ are named with why."""

from collections import Counter
from typing import Any

from tests.protocols.test_dnp3_captures import FIELDS, HEADER_FIELDS, LINK_FIELDS, STOPS, Reading
from tests.protocols.test_dnp3_captures import shown as shown_reading
from tests.verify.captures import by_frame, message, seen, tshark

STOP_APPLICATION = "tshark shows no objects of a stop application request"
SEQUENCE = "the transport sequence goes on from 63 to 0, and tshark loses the fragment"
DIFFERENT: dict[str, dict[int, str]] = {
    "dnp3.pcap": dict.fromkeys((163, 166, 174, 176), STOP_APPLICATION),
    "dnp3_opendnp3.pcap": {140: STOP_APPLICATION},
    "dnp3_example.pcap": {
        **dict.fromkeys((18, 114, 210, 810), SEQUENCE),
        311: "tshark joins it to frame 215, 96 frames before, whose fragment never ended",
    },
    "DNP3-Malformed.pcap": {
        156: "group 0 of type 0 (none): its length octet is there all the same (IEEE 1815, A.1)",
    },
}
UNANSWERED = (0, 6, 8, 10, 12, 33)
"""Confirm, and what is named "no acknowledgement" or "no response" (IEEE 1815, table 4-2)."""


def unlike(row: dict[str, list[str]], records: list[dict[str, Any]]) -> dict[str, tuple[list[str], list[str]]]:
    messages = [message(record) for record in records]
    mine = shown_reading(Reading(0, [], messages, 0))
    stopped = any(STOPS & set(m.flags) for m in messages)
    found = {}
    # Where an object is damaged, each shows what it likes of it; those before it are the same.
    for field in (HEADER_FIELDS if stopped else set(FIELDS) - {"malformed"}) - LINK_FIELDS:
        theirs = row[FIELDS[field]]
        if stopped and field == "object":
            theirs = theirs[: len(mine[field])]
        if theirs != mine[field]:
            found[field] = theirs, mine[field]
    return found


def test_messages_are_those_of_wireshark(name: str) -> None:
    theirs = tshark(name)
    found = seen(name).of("dnp3")
    assert not [record for record in found if "malformed" in record["flags"]]
    ours, differences = by_frame(found), {}
    nothing: dict[str, list[str]] = {key: [] for key in FIELDS.values()}
    for frame in set(theirs) | set(ours):
        if fields := unlike(theirs.get(frame, nothing), ours.get(frame, [])):
            differences[frame] = fields
    assert set(differences) == set(DIFFERENT.get(name, {})), differences


def test_link_frames_are_those_of_wireshark(name: str) -> None:
    """All of them, also those of fragments that never ended; and of what otmon shows, addresses and function."""
    rows = tshark(name)
    theirs = sum(len(row[FIELDS["control"]]) for row in rows.values())
    found = seen(name)
    assert found.summary["protocols"].get("dnp3", {}).get("link_frames", 0) == theirs
    for record in found.of("dnp3"):
        # The header shown is that of the fragment's first frame or last: one of its frames has it.
        seen_there = {
            ends
            for _, frame in record["frames"]
            for ends in zip(
                rows[frame][FIELDS["source"]],
                rows[frame][FIELDS["destination"]],
                (f"0x{int(control, 16):02x}" for control in rows[frame][FIELDS["control"]]),
                strict=True,
            )
        }
        mine = (
            str(record["link_source"]),
            str(record["link_destination"]),
            f"0x{record['dnp3']['link']['control']:02x}",
        )
        assert mine in seen_there, record


def test_functions_are_those_of_wireshark(name: str) -> None:
    known = DIFFERENT.get(name, {})
    theirs: Counter[int] = Counter()
    for frame, row in tshark(name).items():
        if frame not in known:
            theirs.update(map(int, row[FIELDS["function"]]))
    found = seen(name)
    records = [record for record in found.of("dnp3") if record["function_code"] is not None]
    mine = Counter(r["function_code"] for r in records if r["frames"][-1][1] not in known)
    assert mine == theirs
    section = found.summary["protocols"].get("dnp3", {"functions": {}})
    counted = {int(code): row["requests"] + row["responses"] for code, row in section["functions"].items()}
    assert counted == Counter(r["function_code"] for r in records)
    links = section.get("link_functions", {})
    assert sum(links.values()) == len(found.of("dnp3"))


def ends(record: dict[str, Any]) -> tuple[Any, ...]:
    """Master, outstation, application sequence."""
    link = record["link_source"], record["link_destination"]
    return (*(link if record["dnp3"]["link"]["from_master"] else link[::-1]), record["dnp3"]["application"]["sequence"])


def test_responses_answer_the_request_with_their_sequence(name: str) -> None:
    """Written anew: a response takes the oldest open request between the same link addresses with its sequence."""
    waiting: dict[int, list[dict[str, Any]]] = {}
    for record in seen(name).of("dnp3"):
        if record["kind"] == "link" or "direction_mismatch" in record["flags"]:
            continue
        queue = waiting.setdefault(record["connection"], [])
        if record["kind"] == "request":
            if record["function_code"] not in UNANSWERED:
                queue.append(record)
            continue
        if record["kind"] == "response" and record["dnp3"]["application"]["fir"]:
            like = next((request for request in queue if ends(request) == ends(record)), None)
            assert record["request_n"] == (like and like["n"]), record
            if like is not None:
                queue.remove(like)
        else:
            assert record["request_n"] is None


def test_outcomes_are_what_the_indications_say(name: str) -> None:
    """IIN2 bits 0 to 2 refuse a request; so does the status of a control."""
    for record in seen(name).of("dnp3"):
        if record["kind"] != "response" or record["outcome"] is None:
            continue
        refused = record["dnp3"]["iin_raw"] >> 8 & 7
        statuses = [
            point["status"]
            for header in record["dnp3"].get("objects", ())
            if header["group"] in (12, 41)
            for point in header.get("points", ())
            if "status" in point
        ]
        assert (record["outcome"] == "accepted") == (not refused and not any(statuses)), record
