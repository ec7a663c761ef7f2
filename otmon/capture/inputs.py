"""All inputs of a run as one sequence of Batches, merged by (clock, input, frame)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Final, Self

import numpy as np

from otmon.capture.batch import REC_TS, Batch
from otmon.capture.errors import CaptureError
from otmon.capture.reader import InputInfo, Reader, unreadable
from otmon.limits import BATCH_FRAMES, READ_BUFFER_BYTES

_PROBE_BYTES: Final = 64 * 1024
_SHARED_BUFFER_BYTES: Final = 512 * 1024
"""Least share of one of many inputs in the read buffer: below, the cost of a batch shows."""


def open_inputs(
    paths: Sequence[str],
    *,
    hash_all: bool = False,
    buffer_bytes: int = READ_BUFFER_BYTES,
    batch_frames: int = BATCH_FRAMES,
) -> "Inputs":
    """Open captures (`-` is standard input) for one pass.

    hash_all: hash also files longer than HASH_BYTES, and pipes. Raises CaptureError, that of the first input, if none
    of them can be read; otherwise those that cannot are told by `Inputs.info`.
    """
    return Inputs(paths, hash_all, buffer_bytes, batch_frames)


class _Head:
    """An open reader and the part of its batch that is still to come."""

    def __init__(self, reader: Reader) -> None:
        self._batches = iter(reader)
        self.position = 0
        self.batch: Batch | None = None

    def advance(self) -> bool:
        """The next batch; False at the end."""
        self.batch = next(self._batches, None)
        self.position = 0
        if self.batch is None:
            return False
        # bisect on a memoryview: searchsorted would copy the column for each of many short runs.
        self.times = np.ascontiguousarray(self.batch.records[:, REC_TS]).data
        return True

    @property
    def ts_ns(self) -> int:
        """Clock of the next frame."""
        return int(self.times[self.position])

    def take(self, end: int) -> Batch:
        """The frames up to `end`."""
        assert self.batch is not None
        begin, self.position = self.position, end
        data, records, number, first_frame = self.batch
        return Batch(data, records[begin:end], number, first_frame + begin)


class Inputs:
    """Iterates the Batches of all inputs, once; `info` and `progress` may be asked at any time."""

    def __init__(self, paths: Sequence[str], hash_all: bool, buffer_bytes: int, batch_frames: int) -> None:
        self._paths = list(paths)
        self._hash_all = hash_all
        self._batch_frames = batch_frames
        # Many inputs share one buffer's worth of memory, down to a floor.
        share = buffer_bytes // max(1, len(self._paths))
        self._buffer_bytes = max(share, min(buffer_bytes, _SHARED_BUFFER_BYTES))
        self._inputs: list[Reader | InputInfo] = []
        self._sizes: list[int | None] = []
        self._heads: dict[int, _Head] = {}
        self._waiting: set[int] = set()
        self._starts: list[tuple[int, int]] = []
        """(clock of the first frame, input) of those that have frames, when there are several."""
        errors = [self._add(number) for number in range(len(self._paths))]
        if errors and all(errors):
            raise next(filter(None, errors))

    def _add(self, number: int) -> CaptureError | None:
        alone = len(self._paths) == 1
        try:
            reader = self._open(number, self._buffer_bytes if alone else min(self._buffer_bytes, _PROBE_BYTES))
        except CaptureError as error:
            self._inputs.append(unreadable(error))
            self._sizes.append(0)
            return error
        self._inputs.append(reader)
        self._sizes.append(reader.source.size)
        if not alone:
            head = _Head(reader)
            if head.advance():
                self._starts.append((head.ts_ns, number))
                if reader.source.again:
                    # Closed until its time comes: only inputs that overlap in time are open together.
                    self._waiting.add(number)
                    reader.close()
                    info = replace(reader.info, frames=0, bytes=0, truncated=0, damaged=None, clock_jumps=0)
                    self._inputs[number] = replace(info, first_ts_ns=None, last_ts_ns=None)
                else:
                    self._heads[number] = head
            else:
                self._end(number)
        return None

    def _open(self, number: int, buffer_bytes: int) -> Reader:
        return Reader(self._paths[number], number, self._hash_all, buffer_bytes, self._batch_frames)

    def _end(self, number: int) -> None:
        """Keep of a reader only what it has to tell; its buffers go."""
        reader = self._inputs[number]
        self._heads.pop(number, None)
        if isinstance(reader, Reader):
            reader.close()
            self._inputs[number] = reader.info
            self._sizes[number] = reader.source.done if reader.source.size is None else reader.source.size

    def __iter__(self) -> Iterator[Batch]:
        try:
            if len(self._inputs) == 1:
                reader = self._inputs[0]
                if isinstance(reader, Reader):
                    yield from reader
                    self._end(0)
            else:
                yield from self._merge()
        finally:
            self.close()

    def _merge(self) -> Iterator[Batch]:
        heap, self._starts = self._starts, []
        heapify(heap)
        while heap:
            _, number = heappop(heap)
            head = self._heads.get(number) or self._begin(number)
            if head is None or head.batch is None:
                continue
            end = len(head.batch.records)
            if heap:
                other_ts_ns, other = heap[0]
                # Equal times: the lower input goes first.
                bisect = bisect_right if number < other else bisect_left
                end = max(head.position + 1, bisect(head.times, other_ts_ns, head.position, end))
            yield head.take(end)
            if end < len(head.batch.records) or head.advance():
                heappush(heap, (head.ts_ns, number))
            else:
                self._end(number)

    def _begin(self, number: int) -> _Head | None:
        self._waiting.discard(number)
        try:
            reader = self._open(number, self._buffer_bytes)
        except CaptureError as error:  # gone since it was looked at
            self._inputs[number] = unreadable(error)
            return None
        self._inputs[number] = reader
        head = self._heads[number] = _Head(reader)
        if not head.advance():
            self._end(number)
        return head

    @property
    def info(self) -> list[InputInfo]:
        """One for each path, in their order."""
        return [entry.info if isinstance(entry, Reader) else entry for entry in self._inputs]

    @property
    def progress(self) -> tuple[int, int | None]:
        """(bytes read of the files as they are on disk, bytes in all or None if a pipe is among them)."""
        done = total = 0
        for number, (entry, size) in enumerate(zip(self._inputs, self._sizes, strict=True)):
            total += size or 0
            if isinstance(entry, Reader):
                done += entry.source.done
            elif number not in self._waiting:
                done += size or 0
        return done, None if None in self._sizes else total

    def close(self) -> None:
        """Close all files; `info` tells what was read so far."""
        for entry in self._inputs:
            if isinstance(entry, Reader):
                entry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
