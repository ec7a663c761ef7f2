"""Two decodings of one capture, message by message and field by field: what agrees, what differs, what one lacks."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from otmon.opinion.rows import Record, Row
from otmon.opinion.table import NOT_COMPARED, TABLE
from otmon.opinion.tshark import MALFORMED, Fields, Shown

MESSAGE: Final = "message"
"""In place of a field: the whole message."""
_IDENTITY: Final = {
    "modbus": ("mbtcp.trans_id", "mbtcp.unit_id", "modbus.func_code"),
    "dnp3": ("dnp3.src", "dnp3.dst", "dnp3.al.func", "dnp3.al.seq"),
    "s7comm": ("cotp.type", "s7comm.header.rosctr", "s7comm.header.pduref", "s7comm.param.func"),
}
"""What tells the messages of a frame apart where the two do not see the same number of them."""
_ROW: Final = {(protocol, row.theirs): row for protocol, rows in TABLE.items() for row in rows}


class Difference(NamedTuple):
    """One value that the two do not share; None stands for nothing."""

    capture: str
    frame: int
    protocol: str
    field: str
    otmon: Any
    tshark: Any


class Count:
    """Of one field: how many values."""

    __slots__ = ("agree", "differ", "first", "only_otmon", "only_tshark")

    def __init__(self) -> None:
        self.agree = self.differ = self.only_otmon = self.only_tshark = 0
        self.first: list[Difference] = []
        """The first differences."""

    @property
    def unlike(self) -> int:
        """All that do not agree."""
        return self.differ + self.only_otmon + self.only_tshark


class Comparison:
    """Counts over one capture or several; of each field `keep` differences are kept."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.capture = ""
        self.counts: dict[str, dict[str, Count]] = {
            protocol: {name: Count() for name in (MESSAGE, *(row.theirs for row in rows))}
            for protocol, rows in TABLE.items()
        }
        """Protocol -> field of tshark -> count."""
        self.not_compared: Counter[str] = Counter()
        """Field of tshark without a row -> values."""
        self.plus = 0
        """Messages of S7comm-plus, for which tshark has no dissector of its own."""

    @property
    def unknown(self) -> dict[str, int]:
        """Fields that neither have a row nor are named with a reason, with the number of their values."""
        return {field: n for field, n in sorted(self.not_compared.items()) if field not in NOT_COMPARED}

    @property
    def unlike(self) -> int:
        """Values, or whole messages, that do not agree."""
        return sum(count.unlike for counts in self.counts.values() for count in counts.values())

    def run(
        self, capture: str, theirs: Iterable[Shown], ours: Iterable[tuple[int, list[dict[str, Any]]]]
    ) -> Iterator[int]:
        """Compare two streams of messages in the order of frames; gives each frame once it is done."""
        self.capture = capture
        for frame, shown, records in _side_by_side(theirs, ours):
            for protocol in TABLE:
                self._frame(
                    frame,
                    protocol,
                    [one.fields for one in shown if one.protocol == protocol],
                    [record for record in records if record["protocol"] == protocol],
                )
            yield frame

    def _frame(self, frame: int, protocol: str, shown: list[Fields], records: list[dict[str, Any]]) -> None:
        for fields, record in _paired(protocol, shown, records):
            if record is None:
                self._note(protocol, MESSAGE, frame, None, "a message")
            elif fields is None:
                self._note(protocol, MESSAGE, frame, _named(record), None)
            else:
                damaged = "malformed" in record["flags"]
                self._note(protocol, MESSAGE, frame, *_verdicts(record, MALFORMED in fields))
                self.plus += "s7comm_plus" in record
                self._fields(frame, protocol, fields, record, damaged)

    def _fields(self, frame: int, protocol: str, fields: Fields, record: Record, damaged: bool) -> None:
        """Of a damaged message otmon shows no more than its header: what else tshark shows is not counted."""
        counts = self.counts[protocol]
        for field in fields:
            if field not in counts and field != MALFORMED:
                self.not_compared[field] += len(fields[field])
        body = record[protocol]
        for row in TABLE[protocol]:
            if row.theirs not in fields and row.lacking(body):
                continue
            mine = row.of_otmon(record)
            if row.theirs in fields and (mine or not damaged):
                theirs = row.of_tshark(fields[row.theirs])
                if mine == theirs:
                    counts[row.theirs].agree += len(mine)
                    continue
                for pair in zip_longest(mine, theirs):
                    self._note(protocol, row.theirs, frame, *pair)
            else:
                for value in mine:
                    self._note(protocol, row.theirs, frame, value, None)

    def _note(self, protocol: str, field: str, frame: int, otmon: Any, tshark: Any) -> None:
        count = self.counts[protocol][field]
        if otmon == tshark:
            count.agree += 1
            return
        if otmon is None:
            count.only_tshark += 1
        elif tshark is None:
            count.only_otmon += 1
        else:
            count.differ += 1
        if len(count.first) < self._keep:
            count.first.append(Difference(self.capture, frame, protocol, field, otmon, tshark))


def _named(record: Record) -> str:
    body = record[record["protocol"]]
    return f"malformed: {body['reason']}" if "malformed" in record["flags"] else str(record["function"])


def _verdicts(record: Record, malformed: bool) -> tuple[str, str]:
    """What otmon says of a whole message, and what tshark does: the same but where otmon alone calls it malformed."""
    said = _named(record)
    return said, said if malformed or "malformed" not in record["flags"] else "a message"


def _side_by_side(
    theirs: Iterable[Shown], ours: Iterable[tuple[int, list[dict[str, Any]]]]
) -> Iterator[tuple[int, list[Shown], list[dict[str, Any]]]]:
    """Frames of both, in order."""
    left, right = iter(theirs), iter(ours)
    shown, found = next(left, None), next(right, None)
    while shown is not None or found is not None:
        frame = min(one for one in (shown and shown.frame, found and found[0]) if one is not None)
        here: list[Shown] = []
        while shown is not None and shown.frame == frame:
            here.append(shown)
            shown = next(left, None)
        records: list[dict[str, Any]] = []
        if found is not None and found[0] == frame:
            records, found = found[1], next(right, None)
        yield frame, here, records


def _paired(
    protocol: str, shown: list[Fields], records: list[dict[str, Any]]
) -> Iterator[tuple[Fields | None, dict[str, Any] | None]]:
    """Messages of one frame: in order if there are as many, else by what tells them apart."""
    if len(shown) == len(records):
        yield from zip(shown, records, strict=True)
        return
    rows: list[Row] = [_ROW[protocol, field] for field in _IDENTITY[protocol]]
    waiting: dict[tuple[Any, ...], deque[int]] = defaultdict(deque)
    for i, fields in enumerate(shown):
        waiting[tuple(tuple(row.of_tshark(fields.get(row.theirs, ()))) for row in rows)].append(i)
    for record in records:
        like = waiting.get(tuple(tuple(row.of_otmon(record)) for row in rows))
        yield (shown[like.popleft()] if like else None), record
    for left in waiting.values():
        for i in left:
            yield shown[i], None
