"""Modbus of every capture, message by message, beside Wireshark; frames on which the two differ are named with why."""

from collections import Counter
from typing import Any

import pytest

from otmon.text import safe_text
from tests.protocols.test_modbus_tshark import FIELDS, expected
from tests.verify.captures import Row, by_frame, message, seen, tshark
from tests.verify.fields import REQUEST_FRAME

GAP = "tshark shows nothing of a segment that it takes for a retransmission, or that follows a hole; otmon goes on"
DIFFERENT: dict[str, dict[int, str]] = {
    "fuzz-72.pcap": {
        # Sequence and acknowledgement numbers are mutated. Zeek's log has the PDUs of 2, 19 and 21 too.
        **dict.fromkeys((2, 19, 21, 25, 26, 27, 32), GAP),
        20: "the IP header says 35124 bytes, the frame has 52: no receiver takes it, and Zeek does not either",
    },
    "modbusBig.pcap": {
        3150: "acknowledged in frame 3149, before it was captured: no retransmission, though tshark says so",
    },
    "modbus_test_data_part1.pcap": dict.fromkeys(
        (91, 93, 95, 97, 99, 101, 103, 105, 107, 109, 111),
        "exceptions with a byte too many, then bytes that are no MBAP: no sound PDU in the whole connection, "
        "so it is not called Modbus (nor by Zeek)",
    ),
}
MALFORMED: dict[str, dict[int, str]] = {
    "modbus_test_data_part1.pcap": dict.fromkeys((32, 34), "43/14 request with a byte too many"),
    "modbus_test_data_part2.pcap": dict.fromkeys(
        (22, 35, 37, 50, 57, 60, 62, 64, 66), "zeros behind functions that take no data, or fewer"
    ),
    "modbus-eit.pcap": {2: "43/14 response without objects, and four bytes more"},
    "4SICS-GeekLounge-151022-min.pcap": {1: "23 with a byte count of 253, of which 239 are there"},
}
"""PDUs that tshark dissects as far as they go, and that are not as the specification has them."""

UNPAIRED: dict[str, dict[int, str]] = {
    "modbus_test_data_part1.pcap": dict.fromkeys(
        (9, 11, 13),
        "the request, 08/04 (force listen only), has no response by the specification; a gateway refuses it",
    ),
}
"""Responses that answer nothing, though a like request came before."""


def shown(records: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What tshark should show of these messages."""
    row: dict[str, list[str]] = {field: [] for field in FIELDS}
    for record in records:
        expected(message(record), row)
    return row


def unlike(row: Row, records: list[dict[str, Any]]) -> dict[str, tuple[list[str], list[str]]]:
    found, mine = {}, shown(records)
    for field, key in FIELDS.items():
        theirs = [safe_text(text) for text in row[key]] if field == "object" else row[key]
        if field == "data" and {record["function_code"] for record in records} - {5, 6, 15, 23}:
            continue  # tshark shows as data whatever it has no field for
        if theirs != mine[field]:
            found[field] = theirs, mine[field]
    return found


def test_messages_are_those_of_wireshark(name: str) -> None:
    theirs = {frame: row for frame, row in tshark(name).items() if row[FIELDS["code"]]}
    ours = by_frame(seen(name).of("modbus"))
    malformed = {frame for frame, records in ours.items() if any("malformed" in r["flags"] for r in records)}
    assert malformed == set(MALFORMED.get(name, {}))
    differences: dict[int, Any] = {}
    for frame in sorted(set(theirs) | set(ours) - malformed):
        if frame not in theirs or frame not in ours:
            differences[frame] = "otmon only" if frame in ours else "tshark only"
        elif frame not in malformed and (fields := unlike(theirs[frame], ours[frame])):
            differences[frame] = fields
    assert set(differences) == set(DIFFERENT.get(name, {})), differences


def test_totals_are_those_of_wireshark(name: str) -> None:
    """By unit, function, and whether it is an exception; of frames that both see."""
    known = set(DIFFERENT.get(name, {})) | set(MALFORMED.get(name, {}))
    found = seen(name)
    theirs: Counter[tuple[int, int]] = Counter()
    exceptions = 0
    for frame, row in tshark(name).items():
        if frame not in known and row[FIELDS["code"]]:
            theirs.update(zip(map(int, row[FIELDS["unit"]]), map(int, row[FIELDS["code"]]), strict=True))
            exceptions += len(row[FIELDS["exception"]])
    records = [r for r in found.of("modbus") if r["frames"][-1][1] not in known]
    assert Counter((r["unit"], r["function_code"]) for r in records) == theirs
    assert sum("exception_code" in r["modbus"] for r in records) == exceptions
    section = found.summary["protocols"].get("modbus")
    if section is not None:
        counted = {
            int(code): (row["requests"], row["responses"], row["exceptions"])
            for code, row in section["functions"].items()
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


def test_responses_answer_the_requests_that_wireshark_says(name: str) -> None:
    """tshark pairs no exceptions: of those the transaction, unit and function say what they answer."""
    records = {record["n"]: record for record in seen(name).of("modbus")}
    theirs, known = tshark(name), DIFFERENT.get(name, {})
    differences, compared = [], 0
    for frame, ours in by_frame(list(records.values())).items():
        plain = [r for r in ours if r["kind"] == "response" and "exception_code" not in r["modbus"]]
        if frame in known or any("malformed" in r["flags"] for r in ours):
            continue
        mine = [str(records[r["request_n"]]["frames"][-1][1]) for r in plain if r["request_n"]]
        compared += len(mine)
        if theirs[frame][REQUEST_FRAME] != mine:
            differences.append((frame, theirs[frame][REQUEST_FRAME], mine))
    assert not differences
    assert compared or not any(r["request_n"] for r in records.values() if "exception_code" not in r["modbus"])


def identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["modbus"]["transaction_id"], record["unit"], record["function_code"]


def test_responses_answer_the_oldest_like_request(name: str) -> None:
    """Written anew: of each connection the open requests in order; a response takes the first that is like it."""
    waiting: dict[int, list[dict[str, Any]]] = {}
    unpaired = set()
    for record in seen(name).of("modbus"):
        if "malformed" in record["flags"]:
            continue
        queue = waiting.setdefault(record["connection"], [])
        if record["kind"] == "request":
            queue.append(record)
            continue
        like = next((request for request in queue if identity(request) == identity(record)), None)
        if record["request_n"] != (like and like["n"]):
            unpaired.add(record["frames"][-1][1])
        if like is not None:
            queue.remove(like)
    assert unpaired == set(UNPAIRED.get(name, {}))


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
        # 08/04, force listen only, has no response by the specification.
        if record["modbus"].get("sub_function") == 4 and record["function_code"] == 8:
            mine["unseen"] += 1
        elif end - record["ts_ns"] <= 5 * 10**9:
            mine["pending"] += 1
        else:
            mine["unanswered" if record["connection"] in heard else "unseen"] += 1
    counted: Counter[str] = Counter()
    for record in found.operations:
        if record["operation"]["protocol"] == "modbus":
            counted.update({kind: record[kind] for kind in ("unanswered", "unseen", "pending")})
    assert +counted == mine
