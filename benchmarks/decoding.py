"""What it costs to decode every message with all its fields, beside `tshark -T json`."""

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.make import make
from otmon.engine.events import pdu_of
from otmon.engine.run import Run
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c

ROUNDS = 3
Call = tuple[bytes, bool, bytes | None]


class _Gather:
    """In place of the records: the arguments that they would be decoded by."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._requests: dict[int, bytes] = {}
        self.calls: defaultdict[int, list[Call]] = defaultdict(list)
        """Index of the protocol -> each message."""

    def write(self, event: list[int]) -> None:
        """One PDU."""
        pdu = pdu_of(self._state, event)
        if event[c.E_PENDING] >= 0:
            self._requests[event[c.E_N]] = pdu
        request = self._requests.pop(event[c.E_REQUEST], None)
        protocol = int(self._state.conns[event[c.E_CONN], c.C_PROTO])
        self.calls[protocol].append((pdu, event[c.E_FROM_CLIENT] == 1, request))

    def close(self) -> None:
        """Nothing is written."""


def gathered(capture: Path) -> dict[int, list[Call]]:
    """Every message of a capture, by protocol."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(messages_path=Path(folder, "messages"))
        gather: Any = _Gather(run.state)
        run._messages = gather
        run.read([str(capture)])
    return dict(gather.calls)


def rates() -> dict[str, tuple[int, float]]:
    """Protocol, and `all` -> (messages, CPU seconds of the cheapest of some rounds)."""
    found: dict[str, tuple[int, float]] = {}
    for index, calls in sorted(gathered(make("decoded")).items()):
        decode, best = PROTOCOLS[index].decode, float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            for pdu, from_client, request in calls:
                decode(pdu, from_client, request)
            best = min(best, time.process_time() - began)
        found[PROTOCOLS[index].name] = len(calls), best
    found["all"] = sum(count for count, _ in found.values()), sum(cpu_s for _, cpu_s in found.values())
    return found
