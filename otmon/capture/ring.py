"""Live capture: the kernel writes frames into memory that it shares with us, and they are read where they lie.

AF_PACKET with a TPACKET_V3 receive ring (Linux, Documentation/networking/packet_mmap.rst). Nothing is ever sent.
"""

import ctypes
import errno
import mmap
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np

from otmon.capture import clock as ck
from otmon.capture import interfaces, tpacket
from otmon.capture.batch import REC_COLUMNS, REC_TS, Backlog, Batch
from otmon.capture.errors import InterfaceError, safe_path
from otmon.capture.linktypes import link_name, link_word
from otmon.capture.reader import InputInfo
from otmon.limits import MAX_CLOCK_STEPS, RING_BLOCK_BYTES, RING_BLOCKS

State = Literal["up", "down", "gone"]

# Python's socket module has none of these (linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h).
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_DROP_MEMBERSHIP: Final = 2
_PACKET_RX_RING: Final = 5
_PACKET_STATISTICS: Final = 6
_PACKET_VERSION: Final = 10
_PACKET_IGNORE_OUTGOING: Final = 23
_TPACKET_V3: Final = 2
_PROMISCUOUS: Final = 1
_ALL_PROTOCOLS: Final = 3
_SO_ATTACH_FILTER: Final = 26
_MEMBERSHIP: Final = struct.Struct("iHH8s")
_RING: Final = struct.Struct("7I")
_STATISTICS: Final = struct.Struct("3I")
_INSTRUCTION: Final = struct.Struct("HBBI")
_PROGRAM: Final = struct.Struct("HP")
_FRAME_BYTES: Final = 2048
"""Only has to divide a block: version 3 packs frames without gaps."""
_REFUSE_ALL: Final = ((0x06, 0, 0, 0),)
"""Filter program: return 0."""
_NEXT, _HELD, _PLACE_SIZE = 0, 1, 2
"""The next block to read; frames counted before it while it is being read, else NOT_HELD."""
_NOT_HELD: Final = -1

_REASONS: Final = {
    errno.EPERM: interfaces.NO_PERMISSION,
    errno.EACCES: interfaces.NO_PERMISSION,
    errno.ENODEV: "the network interface went away",
    errno.ENETDOWN: "is down: bring it up first (ip link set dev INTERFACE up)",
    errno.EAFNOSUPPORT: "this system has no AF_PACKET sockets, which live capture on Linux needs",
    errno.ENOPROTOOPT: "this kernel is too old to capture: Linux 4.20 or later is needed",
}


class RingStatistics(NamedTuple):
    """Since the ring was opened."""

    received: int
    """Frames written into the ring, read or not."""
    dropped: int
    """Frames for which the ring had no room."""
    freezes: int
    """How often the ring was full."""


class Ring:
    """Captures what arrives at one interface, in promiscuous mode; what the machine itself sends is left out.

    `number` is the input's number in the batches. The kernel keeps `blocks` of `block_bytes` (a multiple of 4,096), and
    hands over a block when it is full or `timeout_ms` old. `bpf` is a classic filter program (otmon.capture.bpf; of
    several rings that share an interface: otmon.capture.share).

    A forked process can read the ring instead: what was read stands in memory that both share. The counters of
    `statistics` are read in one process only.

    Raises InterfaceError: no such interface, no permission, no memory, not Linux on a little-endian machine.
    """

    def __init__(
        self,
        interface: str,
        number: int,
        *,
        blocks: int = RING_BLOCKS,
        block_bytes: int = RING_BLOCK_BYTES,
        timeout_ms: int = 50,
        bpf: Sequence[tuple[int, int, int, int]] = (),
    ) -> None:
        self.interface = interface
        self.steps: list[tuple[int, int]] = []
        """When the machine's clock was set back, ns since 1970, and by how much, ns: the first MAX_CLOCK_STEPS."""
        self.clock_steps = 0
        """How often it was."""
        self.broken_blocks = 0
        """Blocks with headers that cannot be, whose rest was not read."""
        self._number = number
        self._blocks = blocks
        self._block_bytes = block_bytes
        self._records = np.empty((block_bytes // tpacket.FRAME_MIN_BYTES, REC_COLUMNS), np.int64)
        words = np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.int64)
        self._state, self._clock, self._place, _ = np.split(
            words, np.cumsum((tpacket.STATE_SIZE, ck.CLOCK_SIZE, _PLACE_SIZE))
        )
        self._place[_HELD] = _NOT_HELD
        self._link_names: list[str] = []
        self._totals = RingStatistics(0, 0, 0)
        self._interface_drops = 0
        self._drops_seen = interfaces.drops(interface)
        self._promiscuous_at = 0
        if sys.byteorder != "little" or not hasattr(socket, "AF_PACKET"):
            raise InterfaceError(interface, "live capture by AF_PACKET needs Linux on a little-endian machine")
        try:
            # Protocol 0: nothing arrives before `bind`, so no frame of another interface gets in.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except OSError as error:
            raise self._error(error) from None
        try:
            interfaces.index(self._socket, interface)
            self._set_up(timeout_ms, bpf)
        except OSError as error:
            self._socket.close()
            raise self._error(error) from None
        except BaseException:
            self._socket.close()
            raise

    def _error(self, error: OSError) -> InterfaceError:
        if error.errno in (errno.ENOMEM, errno.EAGAIN):
            mib = self._blocks * self._block_bytes / (1 << 20)
            return InterfaceError(
                self.interface, f"no memory for a receive ring of {mib:,.0f} MiB: lower the number of its blocks"
            )
        reason = _REASONS.get(error.errno or 0, f"cannot capture: {error.strerror or error}")
        return InterfaceError(self.interface, reason.replace("INTERFACE", safe_path(self.interface)))

    def _set_up(self, timeout_ms: int, bpf: Sequence[tuple[int, int, int, int]]) -> None:
        sock, blocks, size = self._socket, self._blocks, self._block_bytes
        sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        sock.setsockopt(
            _SOL_PACKET,
            _PACKET_RX_RING,
            _RING.pack(size, blocks, _FRAME_BYTES, size // _FRAME_BYTES * blocks, timeout_ms, 0, 0),
        )
        memory = mmap.mmap(sock.fileno(), blocks * size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._data = np.frombuffer(memory, np.uint8)
        self._owner = self._data.view(np.uint32)[tpacket.BLOCK_STATUS // 4 :: size // 4]
        """Status word of each block."""
        if bpf:
            self._attach(bpf)
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._bind()

    def _attach(self, bpf: Sequence[tuple[int, int, int, int]]) -> None:
        program = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*line) for line in bpf))
        option = _PROGRAM.pack(len(bpf), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)

    def _bind(self) -> None:
        """Listen at the interface of that name, whatever its number is now. Raises OSError or InterfaceError."""
        sock, interface = self._socket, self.interface
        link_type = interfaces.link_type(interface, sock)
        sock.bind((interface, _ALL_PROTOCOLS))
        self._state[tpacket.LINK] = link_word(link_type, 0)
        self._promiscuous_at = interfaces.index(sock, interface)
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, self._membership())
        if link_name(link_type) not in self._link_names:
            self._link_names.append(link_name(link_type))

    def _membership(self) -> bytes:
        return _MEMBERSHIP.pack(self._promiscuous_at, _PROMISCUOUS, 0, b"")

    def fileno(self) -> int:
        """For poll or select: ready when a block is, and once when `state` changed. -1 after `close`."""
        return self._socket.fileno()

    def batches(self) -> Iterator[Batch]:
        """The blocks that are ready now, oldest first, a batch each; at most one round of the ring.

        A block goes back to the kernel when the next batch is asked for or the iterator is closed. One at a time.
        """
        owner, state, records, place = self._owner, self._state, self._records, self._place
        for _ in range(len(owner)):
            block = int(place[_NEXT])
            if not owner[block] & 1:
                self._clear_error()
                break
            state[tpacket.BEGIN], state[tpacket.END] = block * self._block_bytes, (block + 1) * self._block_bytes
            state[tpacket.LEFT], state[tpacket.ROWS] = tpacket.UNOPENED, 0
            place[_HELD] = self._clock[ck.FRAMES]
            try:
                rows = self._walk()
                if rows:
                    ck.far_settle(records, rows, rows, 1, self._clock)
                    yield Batch(self._data, records[:rows], self._number, int(self._clock[ck.FRAMES]) - rows + 1)
            finally:
                self._give_back(owner, block)

    def _give_back(self, owner: Any, block: int) -> None:
        owner[block] = 0
        self._place[_NEXT] = (block + 1) % self._blocks
        self._place[_HELD] = _NOT_HELD

    def take_over(self) -> None:
        """Go on after another process that died reading. The block it held is given back unread: its frames are
        counted in `info`, and may be what it died of.
        """
        held, block = int(self._place[_HELD]), int(self._place[_NEXT])
        if held == _NOT_HELD:
            return
        if self._owner[block] & 1:
            self._clock[ck.FRAMES] = held + tpacket.count(self._data, block * self._block_bytes)
        self._give_back(self._owner, block)

    def _clear_error(self) -> None:
        """So that poll tells of it once, not for ever."""
        if self._socket.fileno() >= 0:
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _walk(self) -> int:
        """Fill the record table from the block; returns its rows."""
        state, records = self._state, self._records
        while (status := tpacket.far_walk(self._data, state, records)) == tpacket.STEPPED:
            self.clock_steps += 1
            if len(self.steps) < MAX_CLOCK_STEPS:
                ts_ns = records[int(state[tpacket.ROWS]) - 1, REC_TS]
                self.steps.append((int(ts_ns), int(state[tpacket.STEP_NS])))
        self.broken_blocks += status == tpacket.BROKEN
        return int(state[tpacket.ROWS])

    def backlog(self) -> Backlog:
        """Blocks that the kernel handed over and has not got back."""
        ready = int(np.count_nonzero(self._owner & 1))
        return Backlog(ready, ready / self._blocks)

    def statistics(self) -> RingStatistics:
        """The kernel's own counts: received and dropped are all that came to the interface and passed the filter."""
        if self._socket.fileno() >= 0:
            # Reading sets the kernel's counters to zero; its first one includes what was dropped.
            raw = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            packets, dropped, freezes = _STATISTICS.unpack(raw)
            old = self._totals
            self._totals = RingStatistics(
                old.received + packets - dropped, old.dropped + dropped, old.freezes + freezes
            )
        return self._totals

    @property
    def interface_drops(self) -> int:
        """Frames that the interface dropped before anyone could see them, since the ring was opened."""
        seen = interfaces.drops(self.interface)
        # An interface that was made anew counts from 0.
        self._interface_drops += seen - self._drops_seen if seen >= self._drops_seen else seen
        self._drops_seen = seen
        return self._interface_drops

    def state(self) -> State:
        """`up`; `down`: switched off or without a link, goes on by itself; `gone`: until `resume` succeeds."""
        if self._socket.fileno() < 0:
            return "gone"
        self._clear_error()
        try:
            # Empty once the interface was removed, even if there is one of the same name again.
            if self._socket.getsockname()[0] != self.interface:
                return "gone"
            return "up" if interfaces.is_up(self._socket, self.interface) else "down"
        except (OSError, InterfaceError):
            return "gone"

    @property
    def warning(self) -> str | None:
        """One line for people if nothing can arrive now."""
        state = self.state()
        if state == "up":
            return None
        what = "is down or has no link: no frames can arrive" if state == "down" else "is gone: waiting for it"
        return f"{safe_path(self.interface)}: {what}"

    def resume(self) -> bool:
        """Listen again after the interface was removed and made anew; needs no privileges. False: not there (yet)."""
        if self.state() != "gone":
            return True
        if self._socket.fileno() < 0:
            return False
        try:
            self._bind()
        except (OSError, InterfaceError):
            return False
        return self.state() != "gone"

    @property
    def info(self) -> InputInfo:
        """What was captured by now, as of a file."""
        clock = self._clock
        frames = int(clock[ck.FRAMES])
        return InputInfo(
            path=safe_path(self.interface),
            sha256=None,
            format="live",
            compression=None,
            link_types=list(self._link_names),
            frames=frames,
            bytes=int(clock[ck.BYTES]),
            truncated=int(clock[ck.TRUNCATED]),
            damaged=None,
            first_ts_ns=int(clock[ck.FIRST]) if frames else None,
            last_ts_ns=int(clock[ck.CLOCK]) if frames else None,
            clock_jumps=int(clock[ck.JUMPS]),
        )

    def close(self) -> None:
        """Stop; `info` and `statistics` stay. Batches stay readable, and the memory goes with the last of them."""
        if self._socket.fileno() < 0:
            return
        # Whoever still holds a batch holds the mapping, and the mapping the kernel's socket: let nothing more arrive.
        self._attach(_REFUSE_ALL)
        self.statistics()
        if self.state() != "gone":
            self._socket.setsockopt(_SOL_PACKET, _PACKET_DROP_MEMBERSHIP, self._membership())
        self._socket.close()
        self._data = np.empty(0, np.uint8)
        self._owner = np.empty(0, np.uint32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
