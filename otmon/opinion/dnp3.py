"""DNP3: tshark's fields beside `dnp3` of a message record."""

from collections.abc import Callable
from typing import Any, Final

from otmon.opinion.rows import Record, Row, bit, has, moment_ms, octets, real, safe, seconds_ms, six
from otmon.protocols.dnp3.readers import SHOWN_OCTETS

_STRINGS: Final = (110, 111)
_WRITING: Final = 2
"""Mode of a file: of others tshark shows neither time nor permissions."""
_COMMON: Final = ("online", "restart", "comm_lost", "remote_forced", "local_forced")
_IIN: Final = {
    "bmsg": 0, "cls1d": 1, "cls2d": 2, "cls3d": 3, "tsr": 4, "dol": 5, "dt": 6, "rst": 7,
    "fcni": 8, "obju": 9, "pioor": 10, "ebo": 11, "oae": 12, "cc": 13,
}  # fmt: skip
"""tshark's name of an indication -> its bit (IEEE 1815, 4.2.2, first octet first)."""


def _objects(record: Record) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record["dnp3"].get("objects", [])
    return found


def _kind(header: dict[str, Any]) -> int:
    """Group and variation; tshark leaves out that of octet strings, which is their length."""
    group: int = header["group"]
    return group << 8 | (0 if group in _STRINGS else header["variation"])


def _point_indexes(record: Record) -> list[int]:
    """dnp3.objects[].first and those that follow it, or points[].index."""
    found: list[int] = []
    for header in _objects(record):
        if "values" in header:
            first = header.get("first", 0)
            found += range(first, first + len(header["values"]))
        elif header["qualifier"] < 16:
            found += (point.get("index", i) for i, point in enumerate(header.get("points", ())))
    return found


def _times(record: Record) -> list[int]:
    """dnp3.objects[].points[].time_ms, but for those that otmon adds up; created_ms of files opened for writing."""
    return [
        point[name]
        for header in _objects(record)
        for point in header.get("points", ())
        for name in ("time_ms", "created_ms")
        if name in point and "relative_ms" not in point and point.get("mode", _WRITING) == _WRITING
        if header["group"] != 70 or header["variation"] == 3
    ]


def _file_data(record: Record) -> list[str]:
    """dnp3.objects[group=70].points[].data, or text behind a status."""
    return [
        point["data"] if "data" in point else point["text"].encode().hex()
        for header in _objects(record)
        if header["group"] == 70
        for point in header.get("points", ())
        if "data" in point or "text" in point
    ]


def _sizes(record: Record) -> list[int]:
    """dnp3.objects[].points[].bytes, where the qualifier says that each object has its size in front."""
    return [
        point["bytes"]
        for header in _objects(record)
        if header["qualifier"] >> 4 > 3
        for point in header.get("points", ())
    ]


def _prefix_indexes(record: Record) -> list[int]:
    """dnp3.objects[].points[].index, where each object has its own."""
    return [
        point["index"]
        for header in _objects(record)
        if header["qualifier"] > 15
        for point in header.get("points", ())
        if "index" in point
    ]


def _binary(place: int) -> Callable[[Record], list[int]]:
    """Bit 6 or 7 of the flags octet of binary inputs: of double ones the state, of single ones 7 alone."""

    def read(record: Record) -> list[int]:
        """points[].flags and points[].value of groups 1 to 4."""
        found: list[int] = []
        for header in _objects(record):
            for point in header.get("points", ()) if header["group"] in (1, 2, 3, 4) else ():
                if "flags" in point:
                    double = header["group"] > 2
                    single = point["value"] if place == 7 else int("reserved_6" in point["flags"])
                    found.append(point["value"] >> place - 6 & 1 if double else single)
        return found

    return read


def _quality(field: str, groups: str, names: tuple[str, ...]) -> tuple[Row, ...]:
    """A row for each bit of a flags octet."""
    where = f"dnp3.objects[group={groups}].points[].flags"
    return tuple(Row(f"dnp3.al.{field}.b{i}", where, as_ours=has(name)) for i, name in enumerate(names))


_DEADBAND: Final = 34
_EVENTS: Final = {"int": (1, 2, 3, 4), "float": (5, 7), "double": (6, 8)}
_INPUTS: Final = {
    30: {"int": (1, 2, 3, 4), "float": (5,), "double": (6,)},
    31: {"int": (1, 2, 3, 4, 5, 6), "float": (7,), "double": (8,)},
    32: _EVENTS,
    33: _EVENTS,
    _DEADBAND: {"int": (1, 2), "float": (3,)},
}
_SETPOINTS: Final = {"int": (1, 2), "float": (3,), "double": (4,)}
_OUTPUTS: Final = {40: _SETPOINTS, 41: _SETPOINTS, 42: _EVENTS, 43: _EVENTS}
"""Group -> variations with whole numbers, and with numbers of 32 and 64 bits with a fraction (IEEE 1815, Annex A)."""


def _signed(header: dict[str, Any], value: float) -> float:
    """tshark takes deadbands for signed numbers (in IEEE 1815 they are UINT)."""
    bits = {1: 16, 2: 32}.get(header["variation"], 0)
    return value - (1 << bits) if bits and value >= 1 << bits - 1 else value


def _analog(groups: dict[int, dict[str, tuple[int, ...]]], form: str) -> Callable[[Record], list[Any]]:
    def read(record: Record) -> list[Any]:
        return [
            _signed(header, point["value"]) if header["group"] == _DEADBAND else point["value"]
            for header in _objects(record)
            if header["variation"] in groups.get(header["group"], {}).get(form, ())
            for point in header.get("points", ())
            if "value" in point
        ]

    read.__doc__ = f"dnp3.objects[group={','.join(map(str, groups))}].points[].value, {form}."
    return read


def _swapped(iin: int) -> int:
    return (iin & 255) << 8 | iin >> 8


_LINK: Final = "dnp3.link"
_APPLICATION: Final = "dnp3.application"
_POINTS: Final = "dnp3.objects[group={}].points[]"
_ATTRIBUTE: Final = "dnp3.objects[group=0].points"
_FILE: Final = "dnp3.objects[group=70 variation={}].points[]"
_FILES: Final = {
    "auth": "authentication_key", "blocknum": "block", "handle": "handle", "lastblock": "last", "maxblock": "max_block",
    "mode": "mode", "reqID": "request_id", "status": "status",
}  # fmt: skip
"""tshark shows nothing of descriptors and authentications (variations 2, 7 and 8)."""
ROWS: Final = (
    Row("dnp3.src", "link_source"),
    Row("dnp3.dst", "link_destination"),
    Row("dnp3.ctl", "dnp3.link.control"),
    Row("dnp3.ctl.dir", "dnp3.link.from_master"),
    Row("dnp3.ctl.prm", "dnp3.link.primary"),
    Row("dnp3.ctl.fcb", "dnp3.link.fcb"),
    Row("dnp3.ctl.fcv", "dnp3.link.fcv"),
    Row("dnp3.ctl.dfc", "dnp3.link.dfc"),
    Row("dnp3.ctl.prifunc", "dnp3.link[primary=True].code"),
    Row("dnp3.ctl.secfunc", "dnp3.link[primary=False].code"),
    Row("dnp3.tr.fin", "dnp3.transport.fin"),
    Row("dnp3.tr.fir", "dnp3.transport.fir"),
    Row("dnp3.tr.seq", "dnp3.transport.sequence"),
    Row("dnp3.al.fir", "dnp3.application.fir"),
    Row("dnp3.al.fin", "dnp3.application.fin"),
    Row("dnp3.al.con", "dnp3.application.confirm"),
    Row("dnp3.al.uns", "dnp3.application.unsolicited"),
    Row("dnp3.al.seq", "dnp3.application.sequence"),
    Row("dnp3.al.func", "function_code"),
    Row("dnp3.al.iin", "dnp3.iin_raw", as_ours=_swapped),
    *(Row(f"dnp3.al.iin.{name}", "dnp3.iin_raw", as_ours=bit(place)) for name, place in _IIN.items()),
    Row("dnp3.al.obj", "dnp3.objects[]", as_ours=_kind),
    Row("dnp3.al.objq.prefix", "dnp3.objects[].qualifier", as_ours=lambda qualifier: qualifier >> 4 & 7),
    Row("dnp3.al.objq.range", "dnp3.objects[].qualifier", as_ours=lambda qualifier: qualifier & 15),
    Row("dnp3.al.range.start", "dnp3.objects[].first"),
    Row("dnp3.al.range.stop", "dnp3.objects[].last"),
    Row("dnp3.al.range.quantity", "dnp3.objects[].count"),
    Row("dnp3.al.point_index", _point_indexes),
    Row("dnp3.al.index", _prefix_indexes),
    Row("dnp3.al.size", _sizes),
    *_quality("biq", "1,2,3,4", (*_COMMON, "chatter_filter")),
    Row("dnp3.al.biq.b6", _binary(6)),
    Row("dnp3.al.biq.b7", _binary(7)),
    *_quality("boq", "10,11", (*_COMMON, "reserved_5", "reserved_6")),
    Row("dnp3.al.boq.b7", _POINTS.format("10,11") + ".value"),
    *_quality("ctrq", "20,21,22,23", (*_COMMON, "rollover", "discontinuity", "reserved_7")),
    *_quality("aiq", "30,31,32,33", (*_COMMON, "over_range", "reference_error", "reserved_7")),
    *_quality("aoq", "40,42", (*_COMMON, "over_range", "reference_error", "reserved_7")),
    Row("dnp3.al.datatype", "dnp3.objects[group=0].points[].type"),
    Row("dnp3.al.da.value", f"{_ATTRIBUTE}[type=1].value", as_theirs=str),
    *(
        Row(f"dnp3.al.da.{sign}int{8 * size}", f"{_ATTRIBUTE}[type={kind} bytes={size}].value")
        for sign, kind in (("u", 2), ("", 3))
        for size in (1, 2, 4)
    ),
    Row("dnp3.al.da.float", f"{_ATTRIBUTE}[type=4 bytes=4].value", as_theirs=real, as_ours=six),
    Row("dnp3.al.da.double", f"{_ATTRIBUTE}[type=4 bytes=8].value", as_theirs=real, as_ours=six),
    Row("dnp3.al.octet_string", _POINTS.format("110,111") + ".text", as_theirs=safe),
    *(Row(f"dnp3.al.file.{theirs}", f"{_FILE.format('3,4,5,6')}.{ours}") for theirs, ours in _FILES.items()),
    Row("dnp3.al.file.size", f"{_FILE.format(4)}.size", f"{_FILE.format(3)[:-1]}mode=2,3].size"),
    Row("dnp3.al.file_name", f"{_FILE.format(3)}.file", as_theirs=str),
    Row("dnp3.al.file.data", _file_data, as_theirs=lambda text: octets(text)[: 2 * SHOWN_OCTETS]),
    Row("dnp3.al.bit", "dnp3.objects[group=1,10,12,80].values[]"),
    Row("dnp3.al.2bit", "dnp3.objects[group=3].values[]"),
    Row("dnp3.al.cnt", _POINTS.format("20,21,22,23") + ".value"),
    Row("dnp3.al.ana.int", _analog(_INPUTS, "int")),
    Row("dnp3.al.ana.float", _analog(_INPUTS, "float"), as_theirs=real, as_ours=six),
    Row("dnp3.al.ana.double", _analog(_INPUTS, "double"), as_theirs=real, as_ours=six),
    Row("dnp3.al.anaout.int", _analog(_OUTPUTS, "int")),
    Row("dnp3.al.anaout.float", _analog(_OUTPUTS, "float"), as_theirs=real, as_ours=six),
    Row("dnp3.al.anaout.double", _analog(_OUTPUTS, "double"), as_theirs=real, as_ours=six),
    Row("dnp3.ctl.op", _POINTS.format("12") + ".control_code", as_ours=lambda code: code & 15),
    Row("dnp3.ctl.clr", _POINTS.format("12") + ".control_code", as_ours=lambda code: code >> 4 & 3),
    Row("dnp3.ctl.trip", _POINTS.format("12") + ".control_code", as_ours=lambda code: code >> 6),
    Row("dnp3.al.count", _POINTS.format("12") + ".repeat"),
    Row("dnp3.al.on_time", _POINTS.format("12") + ".on_ms"),
    Row("dnp3.al.off_time", _POINTS.format("12") + ".off_ms"),
    Row("dnp3.al.ctrlstatus", _POINTS.format("12,13,41,43") + ".status"),
    Row("dnp3.al.bocs", _POINTS.format("13") + ".value"),
    Row("dnp3.al.timestamp", _times, as_theirs=moment_ms),
    Row("dnp3.al.reltimestamp", "dnp3.objects[].points[].relative_ms", as_theirs=seconds_ms),
    Row("dnp3.al.time_delay", "dnp3.objects[].points[].delay_ms"),
)
_RIGHTS: Final = [(right, whose) for right in ("read", "write", "exec") for whose in ("owner", "group", "world")]
_FRAGMENTS: Final = "derived: how tshark put the fragment together; otmon's frames are in `frames`"
_WHOLE: Final = "the octet whose bits are compared one by one"
NOT_COMPARED: Final = {
    "dnp3.start": "05 64, else it is no frame (IEEE 1815, clause 9)",
    "dnp3.len": "the length of what follows; a frame of another length is none",
    "dnp3.hdr.CRC": "right, else otmon counts the frame as malformed",
    "dnp3.hdr.CRC.incorrect": "text: the CRC is wrong",
    "dnp3.data_chunk.CRC.incorrect": "text: the CRC is wrong",
    "dnp3.addr": "dnp3.src and dnp3.dst once more",
    "dnp3.tr.ctl": _WHOLE,
    "dnp3.al.ctl": _WHOLE,
    "dnp3.al.frag_data": "derived: the octets of the fragment",
    "dnp3.al.fragment": _FRAGMENTS,
    "dnp3.al.fragment.count": _FRAGMENTS,
    "dnp3.al.fragment.error": _FRAGMENTS,
    "dnp3.al.fragment.overlap": _FRAGMENTS,
    "dnp3.al.fragment.overlap.conflict": _FRAGMENTS,
    "dnp3.al.fragment.reassembled.length": _FRAGMENTS,
    "dnp3.al.fragment.reassembled_in": _FRAGMENTS,
    "dnp3.al.range.abs": "range codes 3 to 5 are virtual addresses, obsolete: otmon stops there (unknown_qualifier)",
    "dnp3.al.unknown_data_chunk": "octets of objects that tshark does not know",
    **dict.fromkeys(
        ("dnp3.al.file.perms", *(f"dnp3.al.file.perms.{right}_{whose}" for right, whose in _RIGHTS)),
        "Wireshark 4.0 takes the size in front of the object for them",
    ),
    "dnp3.al.file_string_offset": "where the name stands, which is compared",
    "dnp3.al.file_string_length": "the length of the name that follows",
    "dnp3.al.da.length": "the length of the attribute that follows",
    "dnp3.iin_abnormal": "text: an indication that is set",
    "dnp3.num_items_neg": "text: a range reversed; in otmon the flag range_reversed",
    "dnp3.num_items_invalid": "text: a range longer than the data",
    "dnp3.unknown_object": "text: an object that tshark does not know",
    "dnp3.unknown_group0_variation": "text: an attribute that tshark does not know",
}
