"""Operations are those that the full decoding of each message shows: counted anew from the decoder alone."""

from collections import Counter
from typing import Any

from otmon.engine.events import SETTING
from otmon.model import UNPARSED, OperationKey
from otmon.site.records import key_record
from otmon.wire.columns import OUTCOME_ACCEPTED, OUTCOME_UNSEEN
from tests.verify.captures import Entry, seen

OUTCOMES = ("accepted", "rejected", "partial", "unanswered", "unseen", "pending")


def frozen(record: dict[str, Any]) -> tuple[Any, ...]:
    target = record["target"]
    return tuple(sorted({**record, "target": target and tuple(sorted(target.items()))}.items()))


def operations(entry: Entry) -> list[tuple[Any, ...]]:
    """What a message does, as the records name it; nothing if it is a response that is paired or goes on."""
    message = entry.message
    if message is None or message.kind == "link" or (message.kind == "response" and entry.shape < 0):
        return []
    if message.kind == "response" and entry.request_n:
        return []
    mine = (message.kind == "request") == entry.from_client and message.kind != "unsolicited"
    found = []
    for op in message.ops:
        if entry.unread:
            assert message.kind == "response"
            op = op._replace(target=UNPARSED) if op.access in SETTING else op
        key = OperationKey(
            "default", entry.ends.client, entry.ends.server, entry.ends.transport, entry.ends.server_port,
            entry.protocol, op.unit, op.function_code, op.function, op.access, op.target,
            "client" if mine else "server",
        )  # fmt: skip
        found.append(frozen(key_record(key)))
    return found


def test_operations_are_those_of_the_messages(name: str) -> None:
    found = seen(name)
    settled = {entry.request_n: entry.outcome for entry in found.ledger if entry.request_n}
    attempted: Counter[Any] = Counter()
    outcomes: dict[Any, Counter[str]] = {}
    times: dict[Any, list[int]] = {}
    for entry in found.ledger:
        assert entry.message is not None or entry.shape < 0
        for key in set(operations(entry)):
            attempted[key] += 1
            times.setdefault(key, []).append(entry.ts_ns)
            code = settled.get(entry.n, entry.outcome)
            if OUTCOME_ACCEPTED <= code <= OUTCOME_UNSEEN:
                outcomes.setdefault(key, Counter())[OUTCOMES[code - 1]] += 1
    recorded = {
        frozen(record["operation"]): record
        for record in found.operations
        if record["operation"]["protocol"] in found.summary["protocols"]
    }
    assert {key: record["attempted"] for key, record in recorded.items()} == attempted
    for key, record in recorded.items():
        known = outcomes.get(key, Counter())
        assert {kind: record[kind] for kind in ("accepted", "rejected", "partial")} == {
            kind: known[kind] for kind in ("accepted", "rejected", "partial")
        }, record
        assert (record["first_ts_ns"], record["last_ts_ns"]) == (min(times[key]), max(times[key]))
