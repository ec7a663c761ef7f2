"""Words of the compiled tables as text: addresses, ports, realms, pairs."""

import ipaddress
from functools import lru_cache
from typing import Any, NamedTuple

from otmon.wire import columns as c
from otmon.wire.net import K1_PORTS, K1_TRANSPORT, K1_V6
from otmon.wire.shapes import PROTO_SHIFT

TRANSPORTS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}


@lru_cache(maxsize=65536)
def address4(word: int) -> str:
    """Dotted IPv4."""
    return f"{word >> 24 & 255}.{word >> 16 & 255}.{word >> 8 & 255}.{word & 255}"


def mac_text(word: int) -> str:
    """Lower-case MAC with colons."""
    return ":".join(f"{word >> shift & 255:02x}" for shift in range(40, -8, -8))


class Pair(NamedTuple):
    """Client and server of a shape, or source and destination of a flow."""

    realm: str
    client: str
    server: str
    transport: str
    client_port: int
    server_port: int
    proto: int


class Names:
    """Looks words up in the state's tables."""

    def __init__(self, state: Any, realms: list[str]) -> None:
        self.state, self.realms = state, realms
        self._hosts6: dict[int, str] = {}
        self._pairs: dict[int, Pair] = {}

    def address(self, word: int, v6: bool) -> str:
        """A host word as text."""
        if not v6:
            return address4(word)
        known = self._hosts6.get(word)
        if known is None:
            high, low = (int(w) & (1 << 64) - 1 for w in self.state.hosts6[word - 1, :2])
            known = self._hosts6[word] = str(ipaddress.IPv6Address(high << 64 | low))
        return known

    def of_key(self, k0: int, k1: int) -> Pair:
        """A flow's key: source and destination."""
        ports, v6 = k1 >> K1_PORTS & 0xFFFFFFFF, bool(k1 & K1_V6)
        transport = k1 >> K1_TRANSPORT & 0xFF
        return Pair(
            self.realms[k1 & 0xFFF],
            self.address(k0 >> 32 & 0xFFFFFFFF, v6),
            self.address(k0 & 0xFFFFFFFF, v6),
            TRANSPORTS.get(transport, f"ip-{transport}"),
            ports >> 16,
            ports & 0xFFFF,
            k1 >> PROTO_SHIFT & 0x7F,
        )

    def pair(self, row: int) -> Pair:
        """A row of the pairs' table: client and server (no client port)."""
        known = self._pairs.get(row)
        if known is None:
            known = self.of_key(int(self.state.pairs[row, c.P_K0]), int(self.state.pairs[row, c.P_K1]))
            self._pairs[row] = known
        return known

    def forget_pairs(self) -> None:
        """Pairs have other rows now."""
        self._pairs.clear()

    def forget_hosts(self) -> None:
        """IPv6 hosts have other numbers now, and so have the pairs."""
        self._hosts6.clear()
        self._pairs.clear()

    def flow(self, row: int) -> Pair:
        """A flow's source and destination."""
        return self.of_key(int(self.state.flows[row, c.F_K0]), int(self.state.flows[row, c.F_K1]))


def frame_ref(word: int) -> tuple[int, int]:
    """(input, frame number) of a frame word."""
    return int(word) >> 40, int(word) & (1 << 40) - 1
