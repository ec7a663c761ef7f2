"""Objects of an application fragment, decoded in plain Python (the compiled walk is otmon.protocols.dnp3.walk)."""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.dnp3.objects import ATTRIBUTE, FIELD_BYTES, GROUPS, OCTETS, PACKED, PACKED2, SIZED, layout_of
from otmon.protocols.dnp3.operations import Run
from otmon.protocols.dnp3.sized import SIZED_READERS
from otmon.protocols.dnp3.tables import ATTRIBUTES, FREEZE_AT_TIME, LAST_REQUEST, VALUED
from otmon.protocols.dnp3.values import READERS, attribute
from otmon.protocols.dnp3.walk import MAX_HEADERS
from otmon.text import safe_text

MAX_POINTS: Final = 16_384
"""Points shown of one fragment (Suricata's bound): packed bits are a memory amplification."""
RANGES: Final = {0: 1, 1: 2, 2: 4}
COUNTS: Final = {7: 1, 8: 2, 9: 4, 11: 1}
ALL: Final = 6
FREE: Final = 11
INDEXES: Final = {1: 1, 2: 2, 3: 4}
LENGTHS: Final = {4: 1, 5: 2, 6: 4}


class Stop(Exception):
    """The objects cannot be read further; the argument is the flag that says why."""


class Objects:
    """Reads the objects behind a fragment's header: `headers` for the record, `runs` for the operations."""

    def __init__(self, data: bytes, code: int) -> None:
        self.data, self.code = data, code
        self.at = 0
        self.headers: list[dict[str, Any]] = []
        self.runs: list[Run] = []
        self.flags: list[str] = []
        self.points = 0
        self.words = 1
        """Of the key: operations end where its words end."""
        self.stopped = False
        try:
            while self.at < len(data):
                self._header()
        except Stop as why:
            self.flags.append(str(why))
            self.stopped = True

    def _take(self, size: int, why: str = "object_data_short") -> bytes:
        if size > len(self.data) - self.at:
            raise Stop(why)
        self.at += size
        return self.data[self.at - size : self.at]

    def _number(self, size: int, why: str = "object_header_short") -> int:
        return int.from_bytes(self._take(size, why), "little")

    def _flag(self, name: str) -> None:
        if name not in self.flags:
            self.flags.append(name)

    def _run(self, run: Run) -> None:
        self.runs.append(run)
        self.words += 2 if run.last is not None and run.last > 0xFFFF else 1

    def _room(self) -> None:
        if self.words + 3 > MAX_KEY_WORDS and self.code <= LAST_REQUEST:
            raise Stop("too_many_objects")

    def _carries(self, group: int) -> bool:
        if self.code in FREEZE_AT_TIME:
            return group == 50
        return self.code in VALUED or self.code > LAST_REQUEST

    def _header(self) -> None:
        self._room()
        if len(self.headers) >= MAX_HEADERS:
            raise Stop("too_many_objects")
        group, variation, qualifier = self._take(3, "object_header_short")
        prefix, form = qualifier >> 4, qualifier & 15
        header: dict[str, Any] = {
            "group": group,
            "variation": variation,
            "name": GROUPS[group][0] if group in GROUPS else f"group_{group}",
            "qualifier": qualifier,
        }
        self.headers.append(header)
        first, count = None, 0
        if form in RANGES and prefix == 0:
            first, last = (self._number(RANGES[form]) for _ in range(2))
            header.update(first=first, last=last)
            if last < first:
                raise Stop("range_reversed")
            count = last - first + 1
        elif form in COUNTS and prefix <= 6 and (form != FREE or prefix in LENGTHS):
            count = header["count"] = self._number(COUNTS[form])
        elif form != ALL or prefix:
            raise Stop("unknown_qualifier")
        if prefix in INDEXES:
            self._indexed(header, prefix, count)
            return
        self._run(Run(group, variation, first, None if first is None else first + count - 1))
        if prefix in LENGTHS:
            self._sized(header, LENGTHS[prefix], count)
        elif self._carries(group):
            self._valued(header, first, count)

    def _point(self, header: dict[str, Any], point: dict[str, Any]) -> None:
        self.points += 1
        if self.points > MAX_POINTS:
            self._flag("too_many_points")
            return
        header.setdefault("points", []).append(point)

    def _indexed(self, header: dict[str, Any], prefix: int, count: int) -> None:
        group, variation = header["group"], header["variation"]
        first = last = -1
        try:
            for _ in range(count):
                if self.at + INDEXES[prefix] <= len(self.data):
                    self._room()
                index = self._number(INDEXES[prefix], "object_data_short")
                if first >= 0 and index == last + 1:
                    last = index
                elif index != last:
                    if first >= 0:
                        self._run(Run(group, variation, first, last))
                    first = last = index
                point = {"index": index}
                if self._carries(group):
                    point.update(self._object(group, variation))
                self._point(header, point)
        finally:
            if first >= 0:
                self._room()
                self._run(Run(group, variation, first, last))

    def _sized(self, header: dict[str, Any], width: int, count: int) -> None:
        reader = SIZED_READERS.get((header["group"], header["variation"]))
        for _ in range(count):
            raw = self._take(self._number(width, "object_data_short"))
            point: dict[str, Any] = {"bytes": len(raw)}
            if reader:
                more = reader(raw)
                point.update(more if more is not None else {"raw": raw[:64].hex()})
                if more is None:
                    self._flag("object_too_small")
            self._point(header, point)

    def _valued(self, header: dict[str, Any], first: int | None, count: int) -> None:
        group, variation = header["group"], header["variation"]
        layout = layout_of(group, variation)
        if layout in (PACKED, PACKED2):
            self._packed(header, count, 1 if layout == PACKED else 2)
            return
        if layout == "" or (layout == OCTETS and variation == 0):
            return
        for i in range(count):
            point = {} if first is None else {"index": first + i}
            point.update(self._object(group, variation))
            self._point(header, point)

    def _packed(self, header: dict[str, Any], count: int, width: int) -> None:
        raw = self._take((count * width + 7) // 8)
        shown = min(count, max(MAX_POINTS - self.points, 0))
        self.points += count
        if shown < count:
            self._flag("too_many_points")
        mask = (1 << width) - 1
        header["values"] = [raw[i * width // 8] >> i * width % 8 & mask for i in range(shown)]

    def _object(self, group: int, variation: int) -> dict[str, Any]:
        """One object that the layout sizes."""
        layout = layout_of(group, variation)
        if layout is None or layout in (PACKED, PACKED2, SIZED):
            raise Stop("unknown_object")
        if layout == OCTETS:
            return {"text": safe_text(self._take(variation))}
        if layout == ATTRIBUTE:
            kind, size = self._take(2)
            value = attribute(kind, self._take(size))
            return {"attribute": ATTRIBUTES.get(variation, f"variation_{variation}"), "type": kind, "value": value}
        raw = self._take(sum(FIELD_BYTES[field] for field in layout.split()))
        point: dict[str, Any] = {}
        for field in layout.split():
            point.update(READERS[field](raw[: FIELD_BYTES[field]]))
            raw = raw[FIELD_BYTES[field] :]
        return point
