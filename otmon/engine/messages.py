"""messages.jsonl: every PDU decoded, one record a line, in the order of their last frames."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from otmon.engine.events import OUTCOMES, frames_of, pdu_of
from otmon.engine.joins import Joins
from otmon.engine.names import Names
from otmon.limits import MAX_PENDING
from otmon.model import Malformed, Message
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c

KINDS = {1: "request", 2: "response", 3: "unsolicited", 4: "link"}
_PAIRED: Final = {c.EVF_ORDER: "paired_by_order", c.EVF_LATE: "late_reply"}
RAW_BYTES: Final = 512
"""Of a malformed PDU, in its record."""
OWN: Final = ("pdu_reference", "data_unit", "last_data_unit")
"""Of the last part of a longer message, not of all of it."""
_SORTED = orjson.OPT_SORT_KEYS


class MessageWriter:
    """Decodes what the loop hands up and writes it, with a key in front for `join` to sort by."""

    def __init__(self, path: Path, state: Any, names: Names) -> None:
        self._file = path.open("wb")
        self._state, self._names = state, names
        self._requests: OrderedDict[int, bytes] = OrderedDict()
        self._joins = Joins(state)

    def close(self) -> None:
        """All was written."""
        self._file.close()

    def _joined(self, event: list[int], message: Message, request: bytes | None) -> Message:
        """The last part of a message in several PDUs shows all of it."""
        joined = self._joins.take(event, request)
        if joined is None:
            return message
        protocol = PROTOCOLS[int(self._state.conns[event[c.E_CONN], c.C_PROTO])]
        try:
            whole = protocol.decode(joined.pdu, event[c.E_FROM_CLIENT] == 1, joined.request)
        except Malformed:
            return message
        own: dict[str, Any] = {name: message.body[name] for name in OWN if name in message.body}
        body = {**whole.body, **own, "parts": joined.parts}
        return whole._replace(kind=message.kind, flags=(*whole.flags, "joined"), body=body, ops=message.ops)

    def write(self, event: list[int]) -> None:
        """One PDU."""
        state, conn, n, ts_ns = self._state, event[c.E_CONN], event[c.E_N], event[c.E_TS]
        proto, client = int(state.conns[conn, c.C_PROTO]), max(int(state.conns[conn, c.C_CLIENT]), 0)
        protocol, from_client = PROTOCOLS[proto], event[c.E_FROM_CLIENT] == 1
        pdu = pdu_of(state, event)
        request_n = event[c.E_REQUEST] or None
        request = self._requests.pop(request_n, None) if request_n else None
        if event[c.E_KIND] == 1 and event[c.E_PENDING] >= 0:
            self._requests[n] = pdu
            if len(self._requests) > MAX_PENDING:
                self._requests.popitem(last=False)
        try:
            message = protocol.decode(pdu, from_client, request)
        except Malformed as error:
            message = _malformed(event, error, pdu)
        if protocol.piece is not None:
            message = self._joined(event, message, request)
        if request_n and request is not None and "exception" in message.flags:
            self._requests[request_n] = request  # of a gateway's exception the device's own response may still come
        pair = self._names.flow(2 * conn + (client if from_client else 1 - client))
        frames = frames_of(state, event)
        record = {
            "n": n,
            "ts_ns": ts_ns,
            "frames": [[i + 1, f] for i, f in frames],
            "connection": int(state.conns[conn, c.C_NUMBER]),
            "transport": pair.transport,
            "protocol": protocol.name,
            "src": [pair.client, pair.client_port],
            "dst": [pair.server, pair.server_port],
            "from_client": from_client,
            "kind": message.kind,
            "request_n": request_n,
            "function_code": message.function_code,
            "function": message.function,
            "access": message.access,
            "outcome": "attempted" if message.kind == "request" else _outcome(event[c.E_OUTCOME]),
            "flags": [*message.flags, *(name for bit, name in _PAIRED.items() if event[c.E_FLAGS] & bit)],
            protocol.name: message.body,
            **message.extra,
        }
        if not isinstance(message.unit, tuple):
            record["unit"] = message.unit
        opened = state.conns[conn, c.C_FIRST_FRAME] & (1 << 40) - 1
        key = b"%019d %05d %012d %012d %012d " % (ts_ns, *frames[-1], opened, n)
        self._file.write(key + orjson.dumps(record, option=_SORTED) + b"\n")


def _outcome(code: int) -> str | None:
    return OUTCOMES[code - 1] if code else None


def _malformed(event: list[int], error: Malformed, pdu: bytes) -> Message:
    kind: Any = KINDS.get(event[c.E_KIND], "request")
    read = error.read or Message(kind, None, None, "malformed", "diagnose", (), {}, (), {})
    # A protocol that knows of secrets in these bytes has put its own word there.
    body = {"raw": pdu[:RAW_BYTES].hex(), **read.body, "reason": str(error)}
    return read._replace(kind=kind, flags=(*read.flags, "malformed"), body=body, ops=())


_KEY = 19 + 1 + 5 + 1 + 12 + 1 + 12 + 1 + 12 + 1


def join(files: Sequence[Path], target: Path) -> None:
    """Merge the files of all jobs into one, in the order of last frames, with record and connection numbers given anew.

    Lines are sorted by their keys alone, which are kept in memory (80 bytes a message); the file is read twice.
    """
    order: list[tuple[bytes, int, int]] = []
    for number, path in enumerate(files):
        with path.open("rb") as file:
            at = 0
            for line in file:
                order.append((line[:_KEY], number, at))
                at += len(line)
    order.sort()
    renumbered: dict[tuple[int, int], int] = {}
    for position, (key, number, _) in enumerate(order, 1):
        renumbered[number, int(key[-13:-1])] = position
    connections: dict[tuple[int, int], int] = {}
    work = target.with_suffix(".joined")
    sources = [path.open("rb") for path in files]
    with work.open("wb") as out:
        for _, number, at in order:
            sources[number].seek(at)
            record = orjson.loads(sources[number].readline()[_KEY:])
            record["n"] = renumbered[number, record["n"]]
            if record["request_n"]:
                record["request_n"] = renumbered.get((number, record["request_n"]))
            mine = (number, record["connection"])
            record["connection"] = connections.setdefault(mine, len(connections) + 1)
            out.write(orjson.dumps(record, option=_SORTED) + b"\n")
    for source in sources:
        source.close()
    work.replace(target)
