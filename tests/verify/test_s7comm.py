"""S7 of every capture: what answers what, with which outcome, and what the summary counts."""

from collections import Counter
from typing import Any

from tests.verify.captures import seen

PLUS = 256
"""The functions of S7comm-plus are 0x04xx and 0x05xx; of S7comm one byte."""


def test_the_summary_counts_the_messages(name: str) -> None:
    found = seen(name)
    ours: Counter[tuple[str, str]] = Counter()
    for record in found.of("s7comm"):
        if "rosctr" not in record or "malformed" in record["flags"]:
            continue
        ours["rosctr", str(record["rosctr"])] += 1
        if "userdata" in record:
            ours["userdata", record["userdata"]] += 1
        elif record["function_code"] is not None:
            ours["functions", str(record["function_code"])] += 1
    section = found.summary["protocols"].get("s7comm", {})
    counted = Counter({("rosctr", key): count for key, count in section.get("rosctr", {}).items()})
    for part in ("functions", "userdata"):
        for key, row in section.get(part, {}).items():
            if part == "userdata" or int(key) < PLUS:
                counted[part, key] = row["requests"] + row["responses"]
    assert +counted == ours


def test_responses_answer_the_request_with_their_reference(name: str) -> None:
    """Written anew: an answer takes the oldest open job or userdata request with its reference."""
    waiting: dict[int, list[dict[str, Any]]] = {}
    for record in seen(name).of("s7comm"):
        if "rosctr" not in record:
            continue
        queue = waiting.setdefault(record["connection"], [])
        if record["kind"] == "request":
            queue.append(record)
            continue
        if record["kind"] == "unsolicited":
            assert record["request_n"] is None
            continue
        like = next(
            (
                request
                for request in queue
                if request["s7comm"]["pdu_reference"] == record["s7comm"]["pdu_reference"]
                and request["from_client"] != record["from_client"]
                and (request["rosctr"] == 7) == (record["rosctr"] == 7)
            ),
            None,
        )
        assert record["request_n"] == (like and like["n"]), record
        if like is not None:
            queue.remove(like)


def test_outcomes_are_what_the_answers_say(name: str) -> None:
    """By error class and return codes: 0xff is success, some of it partial."""
    for record in seen(name).of("s7comm"):
        if record.get("rosctr") not in (2, 3) or not record["request_n"] or "malformed" in record["flags"]:
            continue
        body = record["s7comm"]
        codes = [item["return_code"] for item in body.get("items", ())] if record["function_code"] in (4, 5) else []
        good = sum(code == 0xFF for code in codes)
        expected = "accepted" if good == len(codes) else "partial" if good else "rejected"
        assert record["outcome"] == ("rejected" if body["error_class"] or body["error_code"] else expected), record
