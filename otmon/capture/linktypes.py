"""Link types of capture files (tcpdump.org's LINKTYPE_ list): which the strippers know, and their names."""

from typing import Final

from otmon.capture.batch import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2, LINK_UNSUPPORTED

_KNOWN: Final = {
    0: (LINK_NULL, "null"),
    1: (LINK_ETHERNET, "ethernet"),
    12: (LINK_RAW, "raw-ip"),
    14: (LINK_RAW, "raw-ip"),
    101: (LINK_RAW, "raw-ip"),
    108: (LINK_NULL, "loop"),
    113: (LINK_SLL, "linux-cooked"),
    228: (LINK_RAW, "raw-ipv4"),
    229: (LINK_RAW, "raw-ipv6"),
    276: (LINK_SLL2, "linux-cooked-v2"),
}


def link_name(link_type: int) -> str:
    """Name of a link type in records; `linktype-147` for those that are not decoded."""
    return _KNOWN[link_type][1] if link_type in _KNOWN else f"linktype-{link_type}"


def link_word(link_type: int, interface: int) -> int:
    """REC_LINK of the frames of one interface."""
    link = _KNOWN[link_type][0] if link_type in _KNOWN else LINK_UNSUPPORTED
    return link | interface << 16 | (link_type << 32 if link == LINK_UNSUPPORTED else 0)
