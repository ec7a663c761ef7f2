"""By how much the stamps of the two sides of a tap differ: an acknowledgement cannot precede what it acknowledges.

Data on one side and its acknowledgement on the other are never closer than the true delay between them, which is more
than nothing. So the least distance seen in either direction bounds the difference from above and from below.
"""

from statistics import median_low
from typing import Final

from otmon.capture.batch import Batch
from otmon.sensor.headers import FIN, SYN, Headers, headers

MAX_SKEW_NS: Final = 20_000_000
"""A pair that says more is none: taps and network cards hold frames back for less."""
_MAX_DELAY_NS: Final = 1_000_000_000
_MARGIN_NS: Final = 1_000
"""Beyond the only bound that is known: cause and effect never have one time."""
_WINDOW: Final = 32
_WINDOWS: Final = 8
"""The bound is the median of the least distances of so many windows of so many pairs: a few false ones do not count."""
_REMEMBERED: Final = 4096
"""Segments and acknowledgements of each side that wait for each other."""
_ROWS: Final = 256
"""Segments looked at of one batch; of some connections all, rather than of all connections some."""
_ACK, _RST = 0x10, 0x04
_Mark = tuple[int, int, int]
"""Addresses and ports of who sent the data, and the sequence number behind it."""


class _Least:
    """The least distance, robustly."""

    def __init__(self) -> None:
        self._windows: list[int] = []
        self._count = 0

    def add(self, distance: int) -> None:
        if self._count % _WINDOW == 0:
            self._windows = [*self._windows[1 - _WINDOWS :], distance]
        self._windows[-1] = min(self._windows[-1], distance)
        self._count += 1

    @property
    def value(self) -> int | None:
        return median_low(self._windows) if self._windows else None


class Skew:
    """Watches both sides; `ns` is to be taken off the stamps of the second one."""

    def __init__(self) -> None:
        self.ns = 0
        self.pairs = 0
        """Data with its acknowledgement, that were compared."""
        self._sent: tuple[dict[_Mark, int], dict[_Mark, int]] = {}, {}
        """When data was seen on a side; 0 once it was compared."""
        self._heard: tuple[dict[_Mark, int], dict[_Mark, int]] = {}, {}
        """When a side first acknowledged data that was not seen yet."""
        self._least = _Least(), _Least()
        """From data on a side to its acknowledgement on the other."""

    @property
    def settled(self) -> bool:
        """Whether a look now and then is enough."""
        return self.pairs >= 2 * _WINDOW * _WINDOWS

    @property
    def known(self) -> bool:
        """Whether there was anything to estimate it from."""
        return self.pairs > 0

    def see(self, side: int, batch: Batch) -> None:
        """Look at a batch of side 0 or 1, before any of it is given away."""
        h = _some(headers(batch))
        if not len(h.ts_ns):
            return
        used = h.length + (h.flags & SYN != 0) + (h.flags & FIN != 0)
        forth = h.source << 32 | h.destination
        back = h.destination << 32 | h.source
        turned = (h.ports & 0xFFFF) << 16 | h.ports >> 16
        ends = (h.sequence + used) & 0xFFFFFFFF
        columns = (h.ts_ns, forth, h.ports, ends, used, back, turned, h.acknowledged, h.flags & _ACK)
        pairs = self.pairs
        for ts_ns, a, ports, end, size, b, other, ack, acks in zip(*(c.tolist() for c in columns), strict=True):
            if acks:
                self._hear(side, (b, other, ack), ts_ns)
            if size:
                self._send(side, (a, ports, end), ts_ns)
        if self.pairs > pairs:
            self._settle()

    def _send(self, side: int, mark: _Mark, ts_ns: int) -> None:
        sent = self._sent[side]
        if mark in sent:
            return  # sent again: what it is answered with may answer the first one
        heard = self._heard[1 - side].pop(mark, None)
        _keep(sent, mark, ts_ns if heard is None else 0)
        if heard is not None:
            self._compare(side, heard - ts_ns)

    def _hear(self, side: int, mark: _Mark, ts_ns: int) -> None:
        sent = self._sent[1 - side].get(mark)
        if sent is None:
            if mark not in self._heard[side]:
                _keep(self._heard[side], mark, ts_ns)
        elif sent:
            self._sent[1 - side][mark] = 0
            self._compare(1 - side, ts_ns - sent)

    def _compare(self, side: int, distance: int) -> None:
        if -MAX_SKEW_NS <= distance <= _MAX_DELAY_NS:
            self._least[side].add(distance)
            self.pairs += 1

    def _settle(self) -> None:
        """Keep what does not contradict; then prefer none; then the middle of what is possible."""
        first, second = self._least[0].value, self._least[1].value
        low = -MAX_SKEW_NS if second is None else -second
        high = MAX_SKEW_NS if first is None else first
        if low < self.ns < high:
            return
        if low < 0 < high:
            self.ns = 0
        elif first is None:
            self.ns = low + _MARGIN_NS
        elif second is None:
            self.ns = high - _MARGIN_NS
        else:
            self.ns = (low + high) // 2


def _some(h: Headers) -> Headers:
    """TCP without resets; of many segments those of some connections, both sides the same ones."""
    tcp = h.where((h.flags & (_ACK | SYN) != 0) & (h.flags & _RST == 0))
    if len(tcp.flags) <= _ROWS:
        return tcp
    name = (tcp.source ^ tcp.destination) * 0x9E3779B1 ^ (tcp.ports & 0xFFFF ^ tcp.ports >> 16) * 0x85EBCA6B
    return tcp.where((name & 0xFFFFFFFF) * 0x9E3779B1 % (1 << 32) * len(tcp.flags) >> 32 < _ROWS)


def _keep(marks: dict[_Mark, int], mark: _Mark, ts_ns: int) -> None:
    if len(marks) >= _REMEMBERED:
        marks.pop(next(iter(marks)))
    marks[mark] = ts_ns
