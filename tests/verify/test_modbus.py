"""Modbus of every capture: what answers what, with which outcome, and what the summary counts."""

from collections import Counter
from typing import Any

import pytest

from tests.verify.captures import seen


def test_the_summary_counts_the_messages(name: str) -> None:
    """By function, and whether it is a request, a response or an exception."""
    found = seen(name)
    section = found.summary["protocols"].get("modbus")
    if section is None:
        return
    counted = {
        int(code): (row["requests"], row["responses"], row["exceptions"]) for code, row in section["functions"].items()
    }
    sound = [r for r in found.of("modbus") if "malformed" not in r["flags"]]
    assert {code: row for code, row in counted.items() if any(row)} == {
        code: (
            sum(r["kind"] == "request" for r in sound if r["function_code"] == code),
            sum(r["kind"] == "response" for r in sound if r["function_code"] == code),
            sum("exception_code" in r["modbus"] for r in sound if r["function_code"] == code),
        )
        for code in {r["function_code"] for r in sound}
    }


def identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["modbus"].get("transaction_id"), record["unit"], record["function_code"]


def test_responses_answer_the_oldest_like_request(name: str) -> None:
    """Written anew: of each connection the open requests in order; a response takes the first that is like it."""
    waiting: dict[int, list[dict[str, Any]]] = {}
    for record in seen(name).of("modbus"):
        # Devices refuse writes of a wrong length, so those are asked like others.
        if "malformed" in record["flags"] and (record["kind"], record["access"]) != ("request", "write"):
            continue
        queue = waiting.setdefault(record["connection"], [])
        if record["kind"] == "request":
            queue.append(record)
            continue
        like = next((request for request in queue if identity(request) == identity(record)), None)
        assert record["request_n"] == (like and like["n"]), record
        if like is not None:
            queue.remove(like)


def test_outcomes_are_what_the_responses_say(name: str) -> None:
    for record in seen(name).of("modbus"):
        if record["kind"] == "request":
            assert record["outcome"] == "attempted"
        elif "malformed" not in record["flags"]:
            # Exception 5 says that the request was accepted and takes long (Modbus Application Protocol, 7).
            refused = record["modbus"].get("exception_code", 5) != 5
            assert record["outcome"] == ("rejected" if refused else "accepted")


def test_silence_means_what_was_seen_of_the_other_side(name: str) -> None:
    """A request without an answer: young at the end of the capture, or of a side never seen, or unanswered."""
    found = seen(name)
    if name == "fuzz-72.pcap":
        pytest.skip("holes everywhere: any answer may be lost")
    records = [record for record in found.of("modbus") if "malformed" not in record["flags"]]
    heard = {record["connection"] for record in found.of("modbus") if not record["from_client"]}
    answered = {record["request_n"] for record in records}
    end = max((entry["last_ts_ns"] for entry in found.summary["inputs"]), default=0)
    mine: Counter[str] = Counter()
    for record in records:
        if record["kind"] != "request" or record["n"] in answered:
            continue
        # 08/04, force listen only, has no response by the specification, and what is sent to all has none either.
        silent = record["modbus"].get("sub_function") == 4 and record["function_code"] == 8
        silent = silent or "broadcast_possible" in record["flags"]
        if end - record["ts_ns"] <= 5 * 10**9:
            kind = "pending"
        else:
            kind = "unanswered" if record["connection"] in heard and not silent else "unseen"
        mine[kind] += len(record["modbus"].get("records", [1]))  # each is an operation
    counted: Counter[str] = Counter()
    for record in found.operations:
        if record["operation"]["protocol"] == "modbus":
            counted.update({kind: record[kind] for kind in ("unanswered", "unseen", "pending")})
    assert +counted == mine
