"""Objects of an application fragment, decoded in plain Python (the compiled walk is otmon.protocols.dnp3.walk)."""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.dnp3.attributes import EXTENDED, TYPES, attribute_name, typed
from otmon.protocols.dnp3.files import FILE
from otmon.protocols.dnp3.objects import ATTRIBUTE, GROUPS, OCTETS, PACKED, PACKED2, SIZED, layout_of
from otmon.protocols.dnp3.operations import CLASS_DATA, Run, file_name
from otmon.protocols.dnp3.readers import shown
from otmon.protocols.dnp3.security import STATISTICS
from otmon.protocols.dnp3.sized import SIZED_READERS
from otmon.protocols.dnp3.tables import AUTHENTICATION, FREEZE_AT_TIME, INDICATIONS, LAST_REQUEST, VALUED
from otmon.protocols.dnp3.values import points_of, reader
from otmon.protocols.dnp3.walk import MAX_HEADERS
from otmon.text import safe_text

MAX_POINTS: Final = 16_384
"""Points shown of one fragment (Suricata's bound): packed bits are a memory amplification."""
RANGES: Final = {0: 1, 1: 2, 2: 4, 3: 1, 4: 2, 5: 4}
VIRTUAL: Final = (3, 4, 5)
"""Range codes whose numbers are addresses in the device's memory, not indexes (IEEE 1815-2012, table 4-5)."""
COUNTS: Final = {7: 1, 8: 2, 9: 4, 11: 1}
ALL: Final = 6
FREE: Final = 11
INDEXES: Final = {1: 1, 2: 2, 3: 4}
LENGTHS: Final = {4: 1, 5: 2, 6: 4}
COMMON_TIME: Final = 51
INDICATION_BITS: Final = 80
STATISTIC_GROUPS: Final = (121, 122)
STATISTIC_COUNT: Final = len(STATISTICS)


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
        self.common: int | None = None
        """The common time of occurrence (group 51) that relative times count from, ms since 1970."""
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

    def _run(self, run: Run, more: int = 0) -> None:
        """One more operation; `more`: words its key needs beside the usual."""
        if not self.stopped:
            self.runs.append(run)
            self.words += 2 if run.last is not None and run.last > 0xFFFF else 1 + more

    def _room(self, more: int = 0) -> None:
        if self.words + more + 3 > MAX_KEY_WORDS and self.code <= LAST_REQUEST:
            raise Stop("too_many_objects")

    def _carries(self, group: int) -> bool:
        if self.code in FREEZE_AT_TIME and group == 50:
            return True
        return self.code in VALUED or self.code > LAST_REQUEST or group == AUTHENTICATION

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
        if group == CLASS_DATA and 1 <= variation <= 4:
            header["class"] = variation - 1
        self.headers.append(header)
        first, count = None, 0
        if form in RANGES and prefix == 0:
            first, last = self._number(RANGES[form]), self._number(RANGES[form])
            header.update(first=first, last=last)
            if last < first:
                raise Stop("range_reversed")
            count = last - first + 1
            if form in VIRTUAL:
                # No index to judge by: the operations end here, the values are shown.
                self._flag("virtual_addresses")
                self.stopped = True
        elif form in COUNTS and prefix <= 6 and (form != FREE or prefix in LENGTHS):
            count = header["count"] = self._number(COUNTS[form])
        elif form != ALL or prefix:
            raise Stop("unknown_qualifier")
        if group == 0:
            header["attribute"] = attribute_name(variation, first)
        if prefix in INDEXES:
            self._indexed(header, prefix, count)
            return
        if group != FILE or prefix not in LENGTHS or not count:
            self._run(Run(group, variation, first, None if first is None else first + count - 1))
        if prefix in LENGTHS:
            self._sized(header, LENGTHS[prefix], count)
        elif self._carries(group):
            self._valued(header, first, count)

    def _points(self, header: dict[str, Any], made: list[dict[str, Any]]) -> None:
        """Show them, as far as there is room."""
        room = MAX_POINTS - self.points
        self.points += len(made)
        if len(made) > room:
            self._flag("too_many_points")
            made = made[: max(room, 0)]
        if header["group"] in STATISTIC_GROUPS:
            for point in made:
                if point.get("index", STATISTIC_COUNT) < STATISTIC_COUNT:
                    point["statistic"] = STATISTICS[point["index"]]
        if made:
            header.setdefault("points", []).extend(made)

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
                    point.update(self._object(group, variation, index))
                self._points(header, [point])
        finally:
            if first >= 0:
                self._room()
                self._run(Run(group, variation, first, last))

    def _sized(self, header: dict[str, Any], width: int, count: int) -> None:
        group, variation = header["group"], header["variation"]
        read = SIZED_READERS.get((group, variation))
        for _ in range(count):
            raw = self._take(self._number(width, "object_data_short"))
            if group == FILE:
                self._file(variation, file_name(variation, raw))
            point: dict[str, Any] = {"bytes": len(raw)}
            more = read(raw) if read else None
            if read and more is None:
                self._flag("object_too_small")
            if more is None and layout_of(group, variation) == OCTETS:
                more = {"text": safe_text(raw)}
            point.update(more if more is not None else {"raw": shown(raw)})
            self._points(header, [point])

    def _file(self, variation: int, name: bytes) -> None:
        words = (len(name) + 7) // 8
        self._room(words)
        self._run(Run(FILE, variation, name=name), words)

    def _valued(self, header: dict[str, Any], first: int | None, count: int) -> None:
        group, variation = header["group"], header["variation"]
        layout = layout_of(group, variation)
        if layout in (PACKED, PACKED2):
            self._packed(header, count, 1 if layout == PACKED else 2)
            return
        if layout == "" or (layout == OCTETS and variation == 0):
            return
        if layout is None or layout in (OCTETS, ATTRIBUTE, SIZED):
            for i in range(count):
                point = self._object(group, variation, (first or 0) + i)
                self._points(header, [point if first is None else {"index": first + i, **point}])
            return
        form, makes = reader(layout)
        whole = min(count, (len(self.data) - self.at) // form.size)
        made = points_of(makes, form.iter_unpack(self._take(whole * form.size)))
        if first is not None:
            for index, point in enumerate(made, first):
                point["index"] = index
        if group == COMMON_TIME or "relative" in layout:
            for point in made:
                self._clock(group, variation, point)
        self._points(header, made)
        if whole < count:
            raise Stop("object_data_short")

    def _clock(self, group: int, variation: int, point: dict[str, Any]) -> None:
        """Keep the common time of occurrence, or add it to a time that counts from it."""
        if group == COMMON_TIME:
            self.common = point["time_ms"]
            point["synchronized"] = variation == 1
        elif self.common is None:
            self._flag("relative_time_alone")
        else:
            point["time_ms"] = self.common + point["relative_ms"]

    def _packed(self, header: dict[str, Any], count: int, width: int) -> None:
        raw = self._take((count * width + 7) // 8)
        shown_points = min(count, max(MAX_POINTS - self.points, 0))
        self.points += count
        if shown_points < count:
            self._flag("too_many_points")
        mask = (1 << width) - 1
        values = [raw[i * width // 8] >> i * width % 8 & mask for i in range(shown_points)]
        header["values"] = values
        if header["group"] == INDICATION_BITS:
            header["indications"] = dict(zip(INDICATIONS[header.get("first", 0) :], values, strict=False))

    def _object(self, group: int, variation: int, index: int) -> dict[str, Any]:
        """One object that the layout sizes."""
        layout = layout_of(group, variation)
        if layout is None or layout in (PACKED, PACKED2, SIZED):
            raise Stop("unknown_object")
        if layout == OCTETS:
            return {"text": safe_text(self._take(variation))}
        if layout == ATTRIBUTE:
            return self._attribute(variation, index)
        form, makes = reader(layout)
        (point,) = points_of(makes, [form.unpack(self._take(form.size))])
        if "relative_ms" in point:
            self._clock(group, variation, point)
        return point

    def _attribute(self, variation: int, attributes: int) -> dict[str, Any]:
        kind, size = self._take(2)
        # The long list is read only; in a request its length says what that of every other type does.
        if kind == EXTENDED and self.code > LAST_REQUEST:
            size += 256
        return {
            "attribute": attribute_name(variation, attributes),
            "type": kind,
            "type_name": TYPES.get(kind, "reserved"),
            "bytes": size,
            "value": typed(kind, self._take(size), attributes),
        }
