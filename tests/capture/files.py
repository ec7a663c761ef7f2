"""Capture files written byte by byte."""

import struct


def pcap(frames, order="<", nano=False, link=1, wire=None):
    """frames: (ts_ns, bytes)."""
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    for number, (ts_ns, data) in enumerate(frames):
        seconds, rest = divmod(ts_ns, 1_000_000_000)
        length = wire[number] if wire else len(data)
        out += struct.pack(order + "IIII", seconds, rest if nano else rest // 1000, len(data), length) + data
    return out


def padded(data):
    return data + bytes(-len(data) % 4)


def block(order, kind, body):
    body = padded(body)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order="<", options=b""):
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + padded(value)


def interface(order="<", link=1, snaplen=0, tsresol=None, tsoffset=None):
    options = b""
    if tsresol is not None:
        options += option(order, 9, bytes([tsresol]))
    if tsoffset is not None:
        options += option(order, 14, struct.pack(order + "q", tsoffset))
    return block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + options + (bytes(4) if options else b""))


def enhanced(units, data, order="<", number=0, wire=None, options=b""):
    units &= (1 << 64) - 1
    head = struct.pack(
        order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(data), len(data) if wire is None else wire
    )
    return block(order, 6, head + padded(data) + options)


def obsolete(units, data, order="<", number=0):
    head = struct.pack(order + "HHIIII", number, 0, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
    return block(order, 2, head + padded(data))


def simple(data, order="<", wire=None):
    return block(order, 3, struct.pack(order + "I", len(data) if wire is None else wire) + padded(data))
