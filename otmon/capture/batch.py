"""A Batch: some frames of one input, as the compiled path reads them."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

REC_OFFSET: Final = 0
"""Offset of the frame's first byte in `data`."""
REC_LENGTHS: Final = 1
"""Captured length << 32 | length on the wire."""
REC_TS: Final = 2
"""Clock: nanoseconds since 1970, never runs backwards within an input (running maximum, outliers clamped)."""
REC_LINK: Final = 3
"""LINK_* number | interface number << 16 (pcapng; 0 for pcap) | link type << 32 (of LINK_UNSUPPORTED alone)."""
REC_COLUMNS: Final = 4

LINK_UNSUPPORTED: Final = 0
LINK_ETHERNET: Final = 1
LINK_SLL: Final = 2
LINK_SLL2: Final = 3
LINK_RAW: Final = 4
"""Raw IPv4 or IPv6 by the version nibble."""
LINK_NULL: Final = 5
"""BSD null/loop: address family in the host's or network byte order."""


class Batch(NamedTuple):
    """Valid until the next one is asked of the same source: the buffers are reused."""

    data: NDArray[np.uint8]
    records: NDArray[np.int64]
    """Shape (n, REC_COLUMNS)."""
    input: int
    """Number of the input, from 0."""
    first_frame: int
    """Frame number of records[0], from 1; records of a batch are consecutive."""


class Backlog(NamedTuple):
    """What waits in a live source."""

    batches: int
    """That are ready, the one that is being read included."""
    share: float
    """Of its memory: at 1 frames are dropped."""
