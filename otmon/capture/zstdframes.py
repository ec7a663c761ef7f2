"""Tells whether a zstd stream ended where a frame ends.

The decompressor of the zstandard package takes a file that was cut for one that has ended; this walk over block headers
(RFC 8878, 3.1.1) as the bytes go by tells the two apart.
"""

from typing import Any, Final

import zstandard

_LONGEST_HEADER_BYTES: Final = 18
_SKIPPABLE: Final = 0x184D2A50
_RLE: Final = 1


class FrameWatch:
    """Passes reads on to `raw` and follows the frames in them; `complete` is true between frames."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._held = b""
        """Bytes of a header that is not whole yet."""
        self._skip = 0
        """Bytes to the next header."""
        self._in_frame = False
        self._checksum_bytes = 0

    @property
    def complete(self) -> bool:
        """The bytes so far are whole frames."""
        return not (self._held or self._skip or self._in_frame)

    def read(self, count: int = -1) -> bytes:
        """The next bytes of the file, as the decompressor asks for them."""
        buffer = bytearray(count)
        data = bytes(memoryview(buffer)[: self._raw.readinto(memoryview(buffer))])
        self._follow(data)
        return data

    def _follow(self, data: bytes) -> None:
        at = min(self._skip, len(data))
        self._skip -= at
        if self._skip:
            return
        held = self._held + data[at:]
        at = 0
        while at < len(held):
            size = (
                self._block(held[at : at + 3])
                if self._in_frame
                else self._header(held[at : at + _LONGEST_HEADER_BYTES])
            )
            if size == 0:
                break
            at += size
        self._skip = max(0, at - len(held))
        self._held = held[at:]

    def _header(self, data: bytes) -> int:
        """Length of the frame header (of a skippable frame: of all of it); 0 if more must come."""
        if len(data) < 8:  # any whole frame is longer
            return 0
        if int.from_bytes(data[:4], "little") & ~0xF == _SKIPPABLE:
            return 8 + int.from_bytes(data[4:8], "little")
        try:
            size = zstandard.frame_header_size(data)
            if len(data) < size:
                return 0
            self._checksum_bytes = 4 if zstandard.get_frame_parameters(data).has_checksum else 0
        except zstandard.ZstdError:
            return 0  # the decompressor says so, too
        self._in_frame = True
        return int(size)

    def _block(self, data: bytes) -> int:
        """Length of the block with its header (and of the checksum behind the last one); 0 if more must come."""
        if len(data) < 3:
            return 0
        header = int.from_bytes(data, "little")
        size = 3 + (1 if header >> 1 & 3 == _RLE else header >> 3)
        if header & 1:
            self._in_frame = False
            size += self._checksum_bytes
        return size
