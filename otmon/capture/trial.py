"""Packet sockets, tried and closed again: what `otmon watch` will need, and nothing is received."""

import socket
import struct
from typing import Final

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP, _RX_RING, _VERSION = 1, 5, 10
_MR_PROMISC, _TPACKET_V3 = 1, 2
_BLOCK_BYTES, _FRAME_BYTES = 1 << 20, 2048
"""Numbers from linux/if_packet.h; the ring as packet_mmap describes it."""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def packet_socket() -> str | None:
    """Why no packet socket can be opened; None if one can."""
    try:
        # Protocol 0 receives nothing.
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError as error:
        return _reason(error)
    except AttributeError:
        return "this system has no AF_PACKET"
    return None


def ring(mebibytes: int) -> str | None:
    """Why there can be no TPACKET_V3 ring of that size; None if there can. Raises OSError without CAP_NET_RAW."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as made:
        frames = mebibytes * _BLOCK_BYTES // _FRAME_BYTES
        try:
            made.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            wish = struct.pack("7I", _BLOCK_BYTES, mebibytes, _FRAME_BYTES, frames, 50, 0, 0)
            made.setsockopt(_SOL_PACKET, _RX_RING, wish)
        except OSError as error:
            return _reason(error)
    return None


def promiscuous(name: str, number: int) -> str | None:
    """Why an interface does not become promiscuous; None if it does. Raises OSError without CAP_NET_RAW."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as made:
        try:
            made.bind((name, 0))
            made.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8s", number, _MR_PROMISC, 0, bytes(8)))
        except OSError as error:
            return _reason(error)
    return None
