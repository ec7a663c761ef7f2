"""S7 of every capture, message by message, beside Wireshark. S7comm-plus is compared by its COTP data units alone."""

from collections import Counter
from typing import Any

from tests.verify.captures import Row, by_frame, seen, tshark
from tests.verify.fields import COTP, S7

NO_S7 = {"rdp-proprietary-encryption.pcap": "remote desktop on port 3389: framed by TPKT and COTP as S7 is"}


def numbers(row: Row, field: str) -> list[int]:
    return [int(text, 0) for text in row[S7[field]] if text]


def test_units_are_those_of_wireshark(name: str) -> None:
    """A message for each COTP unit that ends something: frame by frame, and their rosctr and references."""
    theirs = {frame: row for frame, row in tshark(name).items() if row[COTP["type"]]}
    ours = by_frame(seen(name).of("s7comm"))
    if name in NO_S7:
        assert theirs
        assert not ours
        return
    # No capture has an S7 PDU in several COTP units: each is a message.
    assert {frame: len(records) for frame, records in ours.items()} == {
        frame: len(row[COTP["type"]]) for frame, row in theirs.items()
    }
    for frame, records in ours.items():
        classic = [record for record in records if "rosctr" in record]
        row = theirs[frame]
        assert [record["rosctr"] for record in classic] == numbers(row, "rosctr")
        assert [record["s7comm"]["pdu_reference"] for record in classic] == numbers(row, "reference")
        codes = [record["function_code"] for record in classic if record["function_code"] is not None]
        assert codes == numbers(row, "function")
        groups = [
            f"{group}/{sub}" for group, sub in zip(numbers(row, "group"), numbers(row, "subfunction"), strict=True)
        ]
        assert [record["userdata"] for record in classic if "userdata" in record] == groups
        errors = [(r["s7comm"]["error_class"], r["s7comm"]["error_code"]) for r in classic if r["rosctr"] in (2, 3)]
        assert errors == list(zip(numbers(row, "error_class"), numbers(row, "error_code"), strict=True))


def test_totals_are_those_of_wireshark(name: str) -> None:
    theirs: Counter[tuple[str, str]] = Counter()
    for row in tshark(name).values():
        theirs.update(("rosctr", str(number)) for number in numbers(row, "rosctr"))
        theirs.update(("functions", str(number)) for number in numbers(row, "function"))
        pairs = zip(numbers(row, "group"), numbers(row, "subfunction"), strict=True)
        theirs.update(("userdata", f"{group}/{sub}") for group, sub in pairs)
    section = seen(name).summary["protocols"].get("s7comm", {})
    ours = Counter({("rosctr", key): count for key, count in section.get("rosctr", {}).items()})
    for part in ("functions", "userdata"):
        for key, row in section.get(part, {}).items():
            ours[part, key] = row["requests"] + row["responses"]
    # The functions of S7comm-plus are 0x04xx and 0x05xx; of S7comm one byte.
    ours = Counter({key: n for key, n in ours.items() if key[0] != "functions" or int(key[1]) < 256})
    assert +ours == theirs


def items(records: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Of read and write requests, what tshark shows of items of the usual syntax."""
    found: dict[str, list[int]] = {field: [] for field in ("area", "db", "length", "address")}
    for record in records:
        for item in record["s7comm"].get("items", []) if record["kind"] == "request" else []:
            if item["syntax"] == "s7any":
                bit = item["address"] if item["bit"] is None else item["address"] << 3 | item["bit"]
                for field, value in zip(found, (item["area_raw"], item["db"], item["count"], bit), strict=True):
                    found[field].append(value)
    return found


def test_items_and_data_are_those_of_wireshark(name: str) -> None:
    theirs, compared = tshark(name), 0
    for frame, records in by_frame(seen(name).of("s7comm")).items():
        mine, row = items(records), theirs[frame]
        assert mine == {field: numbers(row, field) for field in mine}, frame
        compared += len(mine["area"])
        plain = [record for record in records if record["function_code"] in (4, 5) and "rosctr" in record]
        if len(plain) < len(records):
            continue
        shown = [item for record in plain for item in record["s7comm"]["items"]]
        shown = [item.get("written", item) for item in shown if "written" in item or "return_code" in item]
        assert [item["return_code"] for item in shown] == numbers(row, "return_code"), frame
        assert [item["raw"] for item in shown if item.get("raw")] == [text for text in row[S7["data"]] if text], frame
    asked = sum(len(numbers(row, "area")) for row in theirs.values())
    assert compared == asked


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
    """From Wireshark's error class and return codes: 0xff is success, some of it partial."""
    theirs = tshark(name)
    for frame, records in by_frame(seen(name).of("s7comm")).items():
        if len(records) != 1 or records[0].get("rosctr") not in (2, 3) or not records[0]["request_n"]:
            continue
        (record,), row = records, theirs[frame]
        refused = any(numbers(row, "error_class") + numbers(row, "error_code"))
        codes = numbers(row, "return_code") if record["function_code"] in (4, 5) else []
        good = sum(code == 0xFF for code in codes)
        expected = "accepted" if good == len(codes) else "partial" if good else "rejected"
        assert record["outcome"] == ("rejected" if refused else expected), record
