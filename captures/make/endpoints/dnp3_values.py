"""What the DNP3 outstation of dnp3_points.pcap holds and what its master commands: for both, and for the tests."""

TIME_MS = 1_780_000_000_000
FLAGS = (0x01, 0x03, 0x05, 0x09, 0x11, 0x21, 0x41, 0x01)
"""Quality of point 0, 1, ...: online, and one more bit."""
KINDS = {
    # kind: (group, its variations, group of its events, their variations: point 0 is told in the first, ...)
    "Binary": (1, (1, 2), 2, (1, 2, 3)),
    "DoubleBitBinary": (3, (2,), 4, (1, 2, 3)),
    "BinaryOutputStatus": (10, (2,), 11, (1, 2)),
    "Counter": (20, (1, 2, 5, 6), 22, (1, 2, 5, 6)),
    "FrozenCounter": (21, (1, 2, 5, 6, 9, 10), 23, (1, 2, 5, 6)),
    "Analog": (30, (1, 2, 3, 4, 5, 6), 32, (1, 2, 3, 4, 5, 6, 7, 8)),
    "AnalogOutputStatus": (40, (1, 2, 3, 4), 42, (1, 2, 3, 4, 5, 6, 7, 8)),
}
ANALOGS = (0.0, -1.0, 12.5, -32768.0, 32767.0, 0.1, -1e9, 100_000.75)
CONTROLS = (
    # operation type with its trip, close and clear bits, count, on and off time in ms
    (0x00, 1, 0, 0),
    (0x01, 2, 100, 200),
    (0x02, 3, 65_536, 1),
    (0x03, 1, 100, 100),
    (0x04, 255, 4_294_967_295, 0),
    (0x41, 1, 250, 0),
    (0x81, 1, 0, 250),
    (0x23, 1, 1, 2),
    (0xA1, 9, 3, 4),
)
SETPOINTS = (("AnalogOutputInt32", -70_000), ("AnalogOutputInt16", -7), ("AnalogOutputFloat32", 1.5),
             ("AnalogOutputDouble64", -1e100))  # fmt: skip
INTERVAL = (TIME_MS + 86_400_000, 15, 3)
"""Start, interval and its units (minutes) that the master writes."""


def value(kind: str, index: int) -> float:
    """Of a point, as its stack is told."""
    if kind in ("Binary", "BinaryOutputStatus"):
        return index % 2
    if kind == "DoubleBitBinary":
        return index % 4
    if kind in ("Counter", "FrozenCounter"):
        return 1000 * index + 7
    return ANALOGS[index]


def flags(kind: str, index: int) -> int:
    """Quality bits below those that hold the state."""
    return FLAGS[index] & (
        0x1F if kind in ("DoubleBitBinary", "BinaryOutputStatus") else 0x3F if kind == "Binary" else 0xFF
    )


def time_ms(kind: str, index: int) -> int:
    """When the point changed; of one kind no more than 65 s apart, so that relative times reach."""
    return TIME_MS + 100_000 * list(KINDS).index(kind) + 1_237 * index
