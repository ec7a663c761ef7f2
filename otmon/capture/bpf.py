"""Capture filters: an expression as in tcpdump (pcap-filter(7)) becomes a classic BPF program, by libpcap.

The kernel takes the outer VLAN tag off before a filter sees the frame: `tcp port 502` therefore matches tagged and
untagged frames alike, and `vlan` would match none, so it is refused. Names of hosts would be looked up by DNS, and
otmon does not send: write addresses.
"""

import ctypes
import ctypes.util
import re
from typing import Any, Final

from otmon.capture.errors import FilterError
from otmon.limits import MAX_FRAME_BYTES
from otmon.text import safe_text

_LIBRARIES: Final = ("libpcap.so.0.8", "libpcap.so.1")
"""What Debian and what everyone else calls it."""
_VLAN: Final = re.compile(r"(?<![\w.-])vlan(?![\w.-])")
_RAW: Final = 101
_DLT_RAW: Final = 12
"""libpcap's own number of raw IP, where files have 101."""
_MESSAGE_CHARS: Final = 256


class _Program(ctypes.Structure):
    class Instruction(ctypes.Structure):
        _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(Instruction)))


def _library() -> Any:
    """Raises FilterError if there is no libpcap."""
    for name in (*_LIBRARIES, ctypes.util.find_library("pcap")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.pcap_open_dead.restype = ctypes.c_void_p
            library.pcap_geterr.restype = ctypes.c_char_p
            return library
    raise FilterError("capture filters need libpcap: install it (apt install libpcap0.8, dnf install libpcap)")


def compile_filter(text: str, link_type: int) -> list[tuple[int, int, int, int]]:
    """Program of an expression for frames of a link type (LINKTYPE_ number): (code, jump true, jump false, value).

    Raises FilterError: libpcap's own words, no libpcap, or `vlan`. Source of the format: bpf(4), linux/filter.h.
    """
    shown = safe_text(text)
    if _VLAN.search(text):
        raise FilterError(f"filter {shown!r}: vlan cannot be filtered: the kernel takes tags off before filters run")
    if "\0" in text:
        raise FilterError(f"filter {shown!r}: has a NUL character")
    library = _library()
    handle = ctypes.c_void_p(library.pcap_open_dead(_DLT_RAW if link_type == _RAW else link_type, MAX_FRAME_BYTES))
    if not handle:
        raise FilterError("libpcap is out of memory")
    program = _Program()
    try:
        expression = text.encode("utf-8", "surrogateescape")
        if library.pcap_compile(handle, ctypes.byref(program), expression, 1, ctypes.c_uint(0xFFFFFFFF)):
            raise FilterError(f"filter {shown!r}: {safe_text(library.pcap_geterr(handle), _MESSAGE_CHARS)}")
        lines = program.instructions[: program.length]
        compiled = [(int(line.code), int(line.jt), int(line.jf), int(line.k)) for line in lines]
        library.pcap_freecode(ctypes.byref(program))
        return compiled
    finally:
        library.pcap_close(handle)
