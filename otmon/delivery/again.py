"""Sends dead letters again."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import orjson

from otmon.delivery.ledger import Dead, Ledger
from otmon.delivery.reader import SPOILT, SpoolReader
from otmon.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS
from otmon.outputs.sink import Answer, Outgoing, Sink, TooLarge


def again(sink: Sink, ledger: Ledger, database: Path, letters: Sequence[Dead], sensor: str) -> list[tuple[Dead, str]]:
    """Deliver these to `sink` and forget those it takes; gives the others with the reason. Raises SinkError."""
    with SpoolReader(database, sensor) as reader:
        site, sensor = reader.site, reader.sensor
    ledger.settle(sink, keep=True)
    refused = [(one, SPOILT) for one in letters if (one.sink, one.reason) == (sink.name, SPOILT)]
    letters = [one for one in letters if one.reason != SPOILT]
    mine = sorted((one for one in letters if one.sink == sink.name), key=lambda one: (one.stream, one.n))
    for stream, found in groupby(mine, key=lambda one: one.stream):
        for batch in _batches(found):
            out = [
                Outgoing(stream, one.sequence, one.id, one.ts_ns, site, sensor, orjson.loads(one.record))
                for one in batch
            ]
            answered = list(zip(batch, _deliver(sink, out), strict=True))
            ledger.drop(one for one, answer in answered if answer.kind == "done")
            refused += [(one, answer.reason) for one, answer in answered if answer.kind != "done"]
    return refused


def _batches(letters: Iterable[Dead]) -> Iterator[list[Dead]]:
    batch: list[Dead] = []
    room = 0
    for one in letters:
        room -= len(one.record)
        if batch and (room < 0 or len(batch) == MAX_BATCH_RECORDS):
            yield batch
            batch = []
        if not batch:
            room = MAX_BATCH_BYTES - len(one.record)
        batch.append(one)
    if batch:
        yield batch


def _deliver(sink: Sink, batch: Sequence[Outgoing]) -> list[Answer]:
    """What is too large together may fit alone."""
    try:
        return list(sink.deliver(batch, True))
    except TooLarge as error:
        if len(batch) == 1:
            return [Answer("dead", str(error))]
    half = len(batch) // 2
    return [*_deliver(sink, batch[:half]), *_deliver(sink, batch[half:])]
