"""Live capture where there is no AF_PACKET (macOS, Windows): scapy's sniffer, some thousand frames a second.

Same interface as `otmon.capture.ring.Ring`, so that whoever reads need not know which of the two it is.
"""

from collections import deque
from collections.abc import Iterator
from threading import Event, Lock
from typing import Any, Self

import numpy as np

from otmon.capture import clock as ck
from otmon.capture.batch import REC_COLUMNS, Backlog, Batch
from otmon.capture.errors import InterfaceError, safe_path
from otmon.capture.linktypes import link_name, link_word
from otmon.capture.reader import InputInfo
from otmon.capture.ring import RingStatistics, State
from otmon.limits import BATCH_FRAMES, SNIFF_QUEUE_BYTES

_ETHERNET = 1


class Sniffer:
    """Captures what arrives at one Ethernet interface, in promiscuous mode.

    Raises InterfaceError if scapy is missing or cannot capture there.
    """

    def __init__(self, interface: str, number: int) -> None:
        try:
            import scapy.layers.l2  # noqa: F401 # else it warns that it does not know Ethernet
            from scapy.config import conf
            from scapy.sendrecv import AsyncSniffer
        except ImportError:
            raise InterfaceError(interface, "live capture here needs scapy: pip install 'otmon[scapy]'") from None
        self.interface = interface
        self.interface_drops = 0
        self.steps: list[tuple[int, int]] = []
        self.clock_steps = self.broken_blocks = 0
        self.warning: str | None = None
        self._number = number
        self._received = self._dropped = self._waiting_bytes = 0
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._lock = Lock()
        self._buf = np.empty(SNIFF_QUEUE_BYTES, np.uint8)
        self._records = np.empty((BATCH_FRAMES, REC_COLUMNS), np.int64)
        self._clock = np.zeros(ck.CLOCK_SIZE, np.int64)
        try:
            self._socket: Any = conf.L2listen(iface=interface, promisc=True)
            ready = Event()
            self._sniffer: Any = AsyncSniffer(
                opened_socket=self._socket, store=False, prn=self._take, started_callback=ready.set
            )
            self._sniffer.start()
            ready.wait(5)
        except Exception as error:  # scapy raises what it likes: ValueError, OSError, its own
            raise InterfaceError(interface, f"cannot capture: {safe_path(str(error))}") from None

    def _take(self, packet: Any) -> None:
        """A frame, in scapy's thread."""
        data = bytes(packet.original)
        with self._lock:
            if len(self._waiting) >= BATCH_FRAMES or self._waiting_bytes + len(data) > SNIFF_QUEUE_BYTES:
                self._dropped += 1
                return
            self._received += 1
            self._waiting_bytes += len(data)
            self._waiting.append((int(packet.time * 1_000_000_000), packet.wirelen or len(data), data))

    def fileno(self) -> int:
        """None to wait for: ask `batches` a few times a second."""
        return -1

    def batches(self) -> Iterator[Batch]:
        """What is waiting, as one batch; valid until the next call."""
        with self._lock:
            frames, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        if not frames:
            return
        at, link = 0, link_word(_ETHERNET, 0)
        for row, (ts_ns, wire, data) in enumerate(frames):
            self._buf[at : at + len(data)] = np.frombuffer(data, np.uint8)
            self._records[row] = at, len(data) << 32 | max(wire, len(data)), ts_ns, link
            at += len(data)
        rows = len(frames)
        ck.far_settle(self._records, rows, rows, 1, self._clock)
        yield Batch(self._buf, self._records[:rows], self._number, int(self._clock[ck.FRAMES]) - rows + 1)

    def backlog(self) -> Backlog:
        """Frames in the queue, which are one batch."""
        with self._lock:
            return Backlog(int(bool(self._waiting)), self._waiting_bytes / SNIFF_QUEUE_BYTES)

    def statistics(self) -> RingStatistics:
        """What came through scapy; what the system lost before, scapy does not tell."""
        return RingStatistics(self._received, self._dropped, 0)

    def state(self) -> State:
        """`gone` once scapy stopped."""
        return "up" if self._sniffer.running else "gone"

    def resume(self) -> bool:
        """Not possible here."""
        return self.state() == "up"

    @property
    def info(self) -> InputInfo:
        """What was captured by now, as of a file."""
        clock, name = self._clock, safe_path(self.interface)
        frames, size, cut, jumps = (int(clock[n]) for n in (ck.FRAMES, ck.BYTES, ck.TRUNCATED, ck.JUMPS))
        first, last = (int(clock[n]) if frames else None for n in (ck.FIRST, ck.CLOCK))
        return InputInfo(name, None, "live", None, [link_name(_ETHERNET)], frames, size, cut, None, first, last, jumps)

    def close(self) -> None:
        """Stop; `info` and `statistics` stay."""
        if self._sniffer.running:
            self._sniffer.stop()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
