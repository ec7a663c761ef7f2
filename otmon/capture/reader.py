"""One input: its bytes through one reused buffer into record tables, damage and all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from otmon.capture import clock as ck
from otmon.capture import pcap, pcapng, walk
from otmon.capture.batch import REC_COLUMNS, REC_LENGTHS, REC_OFFSET, Batch
from otmon.capture.errors import CaptureError, DamagedError, safe_path
from otmon.capture.linktypes import link_name
from otmon.capture.source import Source
from otmon.limits import MAX_PCAPNG_BLOCK_BYTES

_MAX_LINK_NAMES: Final = 256
_MIN_BUFFER_BYTES: Final = 64
_NO_CAPTURE: Final = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\xfd7zX": "compressed with xz: decompress it first",
    b"BZh9": "compressed with bzip2: decompress it first",
    b"\x04\x22\x4d\x18": "compressed with lz4: decompress it first",
    b"\x34\xcd\xb2\xa1": "a modified pcap (Kuznetzov): convert it with editcap",
    b"snoo": "a snoop capture: convert it with editcap",
}


@dataclass(frozen=True, slots=True)
class InputInfo:
    """One input as summary.json tells of it; final once the input was read to its end."""

    path: str
    sha256: str | None
    """Of the file on disk; None if it is too long to be hashed unasked, or was not read whole."""
    format: str | None
    """pcap, pcapng or live; None if nothing could be read."""
    compression: str | None
    """gzip, zstd or None."""
    link_types: list[str]
    """Of all interfaces described, in order of appearance."""
    frames: int
    bytes: int
    """Captured bytes of these frames."""
    truncated: int
    """Frames of which only the beginning was captured."""
    damaged: dict[str, int | str] | None
    """`offset` (byte of the decompressed file from which on nothing was read) and `reason`."""
    first_ts_ns: int | None
    last_ts_ns: int | None
    clock_jumps: int
    """Frames with a time more than a day from both neighbours, clamped to the clock."""


def unreadable(error: CaptureError) -> InputInfo:
    """What is told of an input from which nothing could be read."""
    damaged: dict[str, int | str] = {"offset": error.offset, "reason": error.reason}
    return InputInfo(safe_path(error.path), None, None, None, [], 0, 0, 0, damaged, None, None, 0)


class Reader:
    """Reads one capture. Raises CaptureError if it is none; later damage ends it and is told by `info`.

    `buffer_bytes` is grown only for a block that does not fit; `batch_frames` is the most records of one batch. The
    clock, the counts and the frames do not depend on either.
    """

    def __init__(self, path: str, number: int, hash_all: bool, buffer_bytes: int, batch_frames: int) -> None:
        self.path = path
        self._number = number
        self.source = Source(path, hash_all)
        self._buf = np.empty(max(buffer_bytes, _MIN_BUFFER_BYTES), np.uint8)
        self._batch_frames = batch_frames
        # Two rows are held back at most: the clock looks at the next record (at the start of a file: at the next two).
        self._records = np.empty((batch_frames + 2, REC_COLUMNS), np.int64)
        self._state = np.zeros(walk.STATE_SIZE, np.int64)
        self._clock = np.zeros(ck.CLOCK_SIZE, np.int64)
        self._interfaces = pcapng.empty_interfaces()
        self._base = 0
        """Offset in the decompressed file of byte 0 of the buffer, were all of it unread."""
        self._ended = False
        self._sha256: str | None = None
        self.damaged: dict[str, int | str] | None = None
        self._link_names: list[str] = []
        try:
            self.format = self._open()
        except BaseException:
            self.source.close()
            raise

    def _open(self) -> str:
        while self._state[walk.FILL] < pcap.HEADER_BYTES and not self._ended:
            self._refill()
        fill = int(self._state[walk.FILL])
        start = self._buf[:fill].tobytes()[: pcap.HEADER_BYTES]
        if self.damaged:
            raise CaptureError(self.path, fill, str(self.damaged["reason"]))
        if not start:
            raise CaptureError(self.path, 0, "is empty")
        short = CaptureError(self.path, fill, "cut short inside the file header")
        if start[:4] in pcap.MAGICS:
            if len(start) < pcap.HEADER_BYTES:
                raise short
            link_type, wrong = pcap.start(start, self._state)
            if wrong:
                raise CaptureError(self.path, 0, wrong)
            self._add_link_name(link_type)
            self._state[walk.POS] = pcap.HEADER_BYTES
            return "pcap"
        if start[:4] == pcapng.MAGIC and (len(start) < 12 or pcapng.section_length(start)):
            if len(start) < pcap.HEADER_BYTES:
                raise short
            self._read_rare()
            if self.damaged:
                raise CaptureError(self.path, 0, str(self.damaged["reason"]))
            return "pcapng"
        known = _NO_CAPTURE.get(start[:4])
        reason = f"is {known}" if known else f"is not a pcap or pcapng capture (it starts with {start[:4].hex(' ')})"
        raise CaptureError(self.path, 0, reason)

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    def batches(self) -> Iterator[Batch]:
        """The frames in the order of the file."""
        state, records = self._state, self._records
        pcapng_file = self.format == "pcapng"
        while True:
            if pcapng_file:
                status = pcapng.far_walk(self._buf, state, self._interfaces, records)
            else:
                status = pcap.far_walk(self._buf, state, records)
            if status == walk.RARE and self._read_rare():
                continue
            if status in walk.REASONS:
                self._damage(int(state[walk.POS]), walk.REASONS[status])
            rows = int(state[walk.ROWS])
            # `last` only when nothing can follow: the clock must not see where a batch was cut.
            last = self._ended and status != walk.FULL
            done = int(ck.far_settle(records, rows, self._batch_frames, int(last), self._clock))
            if done:
                yield Batch(self._buf, records[:done], self._number, int(self._clock[ck.FRAMES]) - done + 1)
                records[: rows - done] = records[done:rows]
                state[walk.ROWS] = rows = rows - done
            if last and rows == 0:
                break
            if not last and status != walk.FULL:
                self._refill()
        if state[walk.POS] < state[walk.FILL]:
            self._damage(int(state[walk.POS]), "cut short: the file ends inside this record")
        self._finish()

    def _refill(self) -> None:
        """Move the frames that are held back and the unread rest to the front of the buffer; read more behind them."""
        state, buf, front = self._state, self._buf, 0
        for record in self._records[: state[walk.ROWS]]:
            at, size = int(record[REC_OFFSET]), int(record[REC_LENGTHS]) >> 32
            buf[front : front + size] = buf[at : at + size]
            record[REC_OFFSET] = front
            front += size
        pos, rest = int(state[walk.POS]), int(state[walk.FILL] - state[walk.POS])
        buf[front : front + rest] = buf[pos : pos + rest]
        self._base += pos - front
        state[walk.POS], fill = front, front + rest
        if fill == len(buf):
            self._buf = np.empty(2 * fill, np.uint8)
            self._buf[:fill] = buf
        try:
            count = self.source.readinto(self._buf.data[fill:])
        except DamagedError as damage:
            state[walk.FILL] = fill
            self._damage(fill, str(damage))
            return
        state[walk.FILL] = fill + count
        if count == 0:
            self._ended = True

    def _read_rare(self) -> bool:
        """Read the section header or interface description at POS; False: it is not whole yet, or damaged."""
        state = self._state
        pos, fill = int(state[walk.POS]), int(state[walk.FILL])
        available = self._buf[pos : min(fill, pos + 28)].tobytes()
        is_section = available[:4] == pcapng.MAGIC
        order: Literal["big", "little"] = "big" if state[walk.BIG] else "little"
        length = pcapng.section_length(available) if is_section else int.from_bytes(available[4:8], order)
        if is_section and (length < 28 or length & 3 or length > MAX_PCAPNG_BLOCK_BYTES):
            self._damage(pos, walk.REASONS[walk.BAD_BLOCK] if length else "section without a byte-order mark")
            return False
        if pos + length > fill:
            return False
        block = self._buf[pos : pos + length].tobytes()
        if is_section:
            wrong = "impossible block length" if block[4:8] != block[-4:] else pcapng.section(block, state)
            if wrong:
                self._damage(pos, wrong)
                return False
        else:
            self._add_link_name(pcapng.interface(block, state, self._interfaces))
        state[walk.POS] = pos + length
        return True

    def _add_link_name(self, link_type: int) -> None:
        name = link_name(link_type)
        if name not in self._link_names and len(self._link_names) < _MAX_LINK_NAMES:
            self._link_names.append(name)

    def _damage(self, at: int, reason: str) -> None:
        if self.damaged is None:
            self.damaged = {"offset": self._base + at, "reason": reason}
        self._ended = True

    def _finish(self) -> None:
        # The rest of a damaged file still belongs to its hash; a pipe might never end.
        self._sha256 = self.source.sha256(drain=self.source.again)
        self.close()

    def close(self) -> None:
        """Close the file; `info` stays."""
        self.source.close()

    @property
    def info(self) -> InputInfo:
        """What is known of this input by now."""
        clock = self._clock
        frames = int(clock[ck.FRAMES])
        return InputInfo(
            safe_path(self.path),
            self._sha256,
            self.format,
            self.source.compression,
            list(self._link_names),
            frames,
            int(clock[ck.BYTES]),
            int(clock[ck.TRUNCATED]),
            self.damaged,
            int(clock[ck.FIRST]) if frames else None,
            int(clock[ck.CLOCK]) if frames else None,
            int(clock[ck.JUMPS]),
        )
