"""DNP3 of every capture: what answers what, with which outcome, and what the summary counts."""

from collections import Counter
from typing import Any

from tests.verify.captures import seen

UNANSWERED = (0, 6, 8, 10, 12, 33)
"""Confirm, and what is named "no acknowledgement" or "no response" (IEEE 1815, table 4-2)."""


def test_the_summary_counts_the_messages(name: str) -> None:
    found = seen(name)
    section = found.summary["protocols"].get("dnp3", {"functions": {}})
    records = [record for record in found.of("dnp3") if record["function_code"] is not None]
    counted = {int(code): row["requests"] + row["responses"] for code, row in section["functions"].items()}
    assert counted == Counter(r["function_code"] for r in records)
    assert sum(section.get("link_functions", {}).values()) == len(found.of("dnp3"))


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
