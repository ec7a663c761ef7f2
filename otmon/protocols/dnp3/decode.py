"""DNP3 decoded in full: link header, transport and application control, indications, objects and their values.

What parses but is odd is a flag: unknown_function, direction_mismatch, link_function_reserved, data_in_link_function,
frame_count_mismatch, broadcast, self_address, reserved_address, source_is_destination, unsolicited_bit_mismatch,
request_in_fragments, exception, control_refused, file_refused, already_executing. Where objects stop being readable:
object_header_short, object_data_short, range_reversed, unknown_qualifier, unknown_object, too_many_objects; and where
operations end: virtual_addresses. Where not all is shown: too_many_points, object_too_small (a file, data set or
authentication object shorter than its fields), relative_time_alone (no common time of occurrence before it).
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from otmon.model import NEED_TIME, Kind, Malformed, Message, Op, Target
from otmon.protocols.dnp3.attributes import IDENTITY
from otmon.protocols.dnp3.files import FILE, FILE_AUTHENTICATION, FILE_BLOCK_STATUS, FILE_STATUS_OBJECT
from otmon.protocols.dnp3.fragment import Objects
from otmon.protocols.dnp3.link import APPLICATION, DIR, LINK_BYTES, PRM, TRANSPORT
from otmon.protocols.dnp3.operations import Run, ops_of
from otmon.protocols.dnp3.readers import shown
from otmon.protocols.dnp3.tables import (
    BROADCASTS,
    COUNTED,
    FUNCTIONS,
    IIN2_EXCEPTION,
    IIN2_REFUSED,
    INDICATIONS,
    LINK_PRIMARY,
    LINK_SECONDARY,
    RESERVED,
    RESPONSE,
    SELF_ADDRESS,
    UNSOLICITED,
    function_of,
    link_function,
)

_KINDS: Final[dict[int, Kind]] = {UNSOLICITED: "unsolicited"}
USER_DATA: Final = (3, 4)
COMMANDED: Final = (2, 3, 4, 5, 6)
"""Functions that set what controls and analog outputs carry (select arms it)."""


@lru_cache(maxsize=4_096)
def _link(header: bytes, data: bool) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """(extra, link, flags) of a link header, with or without data behind it; not to be changed: headers repeat."""
    control, destination, source = header[3], *struct.unpack("<HH", header[4:8])
    primary, code = bool(control & PRM), control & 15
    link: dict[str, Any] = {
        "length": header[2],
        "control": control,
        "from_master": bool(control & DIR),
        "primary": primary,
        "code": code,
    }
    if destination >= SELF_ADDRESS:
        link["destination_name"] = BROADCASTS.get(destination, "self_address")
    if primary:
        link.update(fcb=bool(control & 0x20), fcv=bool(control & 0x10))
    else:
        link["dfc"] = bool(control & 0x10)
    checks = {
        "link_function_reserved": code not in (LINK_PRIMARY if primary else LINK_SECONDARY),
        "data_in_link_function": data and not (primary and code in USER_DATA),
        "frame_count_mismatch": primary and code in LINK_PRIMARY and bool(control & 0x10) != (code in COUNTED),
        "broadcast": destination > SELF_ADDRESS,
        "self_address": destination == SELF_ADDRESS,
        "reserved_address": source >= RESERVED or RESERVED <= destination < SELF_ADDRESS,
        "source_is_destination": source == destination,
    }
    extra = {"link_source": source, "link_destination": destination, "link_function": link_function(control)}
    return extra, link, tuple(name for name, odd in checks.items() if odd)


_TRANSPORT: Final = [
    {"fin": bool(octet & 0x80), "fir": bool(octet & 0x40), "sequence": octet & 0x3F} for octet in range(256)
]
_CONTROL: Final = [
    {
        "fir": bool(octet & 0x80),
        "fin": bool(octet & 0x40),
        "confirm": bool(octet & 0x20),
        "unsolicited": bool(octet & 0x10),
        "sequence": octet & 15,
    }
    for octet in range(256)
]
_IIN: Final = [
    [[name for bit, name in enumerate(names) if octet >> bit & 1] for octet in range(256)]
    for names in (INDICATIONS[:8], INDICATIONS[8:])
]
"""What each octet says: transport header, application control, indications."""


_COMMANDS: Final = tuple((group, variation) for group in (12, 41) for variation in range(1, 5))
_REFUSALS: Final = {
    **dict.fromkeys(_COMMANDS, "control_refused"),
    **dict.fromkeys(((FILE, FILE_STATUS_OBJECT), (FILE, FILE_BLOCK_STATUS)), "file_refused"),
}
"""Objects of a response that tell how it went -> the flag if it did not go well."""


def _refusals(headers: Sequence[dict[str, Any]]) -> Iterator[str]:
    for header in headers:
        name = _REFUSALS.get((header["group"], header["variation"]))
        if name and any(point.get("status") for point in header.get("points", ())):
            yield name


def decode(pdu: bytes, from_client: bool, request: bytes | None) -> Message:
    """Everything a canonical PDU says; who asks is told by its DIR bit and function alone. Raises Malformed."""
    if len(pdu) < LINK_BYTES or pdu[:2] != b"\x05\x64":
        raise Malformed("no DNP3 link header")
    known, link, odd = _link(pdu[:LINK_BYTES], len(pdu) > LINK_BYTES)
    extra, flags = known.copy(), list(odd)
    body: dict[str, Any] = {"link": link.copy()}
    destination, source = extra["link_destination"], extra["link_source"]
    from_master = link["from_master"]
    master, outstation = (source, destination) if from_master else (destination, source)
    unit = (master, outstation)
    if len(pdu) == LINK_BYTES:
        return Message("link", unit, None, extra["link_function"], "diagnose", tuple(flags), body, (), extra)
    if len(pdu) < APPLICATION + 2:
        raise Malformed("no application header")
    segment, control, code = pdu[TRANSPORT : APPLICATION + 2]
    body["transport"], body["application"] = _TRANSPORT[segment].copy(), _CONTROL[control].copy()
    responds = code >= RESPONSE
    at = APPLICATION + 2
    if responds:
        if len(pdu) < at + 2:
            function = function_of(code)
            kind = _KINDS.get(code, "response")
            short = Message(kind, unit, code, function.name, function.access, tuple(flags), body, (), extra)
            raise Malformed("no indications in a response", short)
        iin = pdu[at] | pdu[at + 1] << 8
        body["iin_raw"] = iin
        body["iin"] = _IIN[0][pdu[at]] + _IIN[1][pdu[at + 1]]
        at += 2
        if code != UNSOLICITED:
            flags += ["exception"] * bool(iin >> 8 & IIN2_EXCEPTION)
            flags += ["already_executing"] * bool(iin >> 8 & IIN2_REFUSED & ~IIN2_EXCEPTION)
    elif control & 0xC0 != 0xC0:
        flags.append("request_in_fragments")
    if responds == from_master:
        flags.append("direction_mismatch")
    if code != 0 and bool(control & 0x10) != (code == UNSOLICITED):
        flags.append("unsolicited_bit_mismatch")
    runs: Sequence[Run] = ()
    stopped = False
    if code not in FUNCTIONS:
        flags.append("unknown_function")
        body["data_bytes"] = len(pdu) - at
        body["raw"] = shown(pdu[at:])
    else:
        objects = Objects(pdu[at:], code)
        flags += objects.flags
        body["objects"] = objects.headers
        if objects.stopped:
            # A password may be in it: of file authentications nothing is shown as it stands.
            secret = any((one["group"], one["variation"]) == (FILE, FILE_AUTHENTICATION) for one in objects.headers)
            body["raw"] = None if secret else shown(pdu[at:])
        if not responds:
            runs, stopped = objects.runs, objects.stopped
        elif code == RESPONSE:
            flags += dict.fromkeys(_refusals(objects.headers))
    function, ops = function_of(code), ops_of(code, master, outstation, runs, stopped)
    kind = _KINDS.get(code, "response" if responds else "request")
    return Message(kind, unit, code, function.name, function.access, tuple(flags), body, ops, extra)


def identity(message: Message) -> Sequence[tuple[str, str, float]]:
    """Device attributes (group 0) that a response shows, and that the outstation asks for the time."""
    facts = [(NEED_TIME, "yes", 0.99)] if NEED_TIME in message.body.get("iin", ()) else []
    if message.kind != "response":
        return facts
    for header in message.body.get("objects", ()):
        if header["group"] == 0 and header["variation"] in IDENTITY:
            name, confidence = IDENTITY[header["variation"]]
            for point in header.get("points", ()):
                own = point.get("type") in (1, 2) and not point.get("index")
                value = str(point["value"]).strip() if own else ""
                if value:
                    facts.append((name, value, confidence))
    return facts


def written(message: Message) -> Sequence[tuple[Op, float]]:
    """Each control (its control code as sent: 0x41 closes, 0x81 trips) and analog output that a request carries."""
    if message.kind != "request" or message.function_code not in COMMANDED:
        return ()
    pairs = []
    for header in message.body["objects"]:
        if header["group"] not in (12, 41):
            continue
        for point in header.get("points", ()):
            index = point.get("index")
            target = Target(f"g{header['group']}", index, index)
            op = Op(message.function_code, message.function, message.access, message.unit, target)
            value = point.get("control_code", point.get("value"))
            if value is not None:
                pairs.append((op, float(value)))
    return pairs
