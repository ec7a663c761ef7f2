"""A tag map: a CSV file that says which points a device has. All that is wrong with it is told at once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from otmon.limits import MAX_POLICY_BYTES, MAX_TAGS
from otmon.policy.addresses import parse_hosts
from otmon.policy.errors import Problem, did_you_mean, quoted
from otmon.policy.fields import NAME, parse_item
from otmon.policy.tags import ORDERS, WIDTH, Tag, cell_bits
from otmon.policy.zones import Hosts
from otmon.text import safe_text

COLUMNS: Final = (
    "point", "asset", "protocol", "unit", "address", "type", "order", "scale", "offset", "units", "label",
)  # fmt: skip
NEEDED: Final = ("point", "asset", "protocol", "address")
DELIMITERS: Final = (",", ";", "\t")
MAX_CELL: Final = 200
_MODBUS: Final = re.compile(
    r"(?:(holding_register|input_register|coil|discrete_input)\s+)?(\d{1,5})(?:\.(\d{1,2}))?\Z", re.ASCII
)
_DNP3: Final = re.compile(r"g(\d{1,3})\s+(\d{1,5})\Z", re.ASCII)
_S7_BIT: Final = re.compile(r"(?:DB\d{1,5}\.DBX|[MIQEA]X?)\d{1,7}\.([0-7])\Z", re.ASCII)
_FORMULA: Final = ("=", "+", "-", "@")
_DECIMAL: Final = re.compile(r"[-+]?\d{1,15}(\.\d{1,15})?([eE][-+]?\d{1,2})?\Z", re.ASCII)


class Cell(NamedTuple):
    """One field, and where it begins (from 1)."""

    line: int
    column: int
    text: str


Found = tuple[str, int, int | None]
"""Address space, position, bit."""


def look_at_tags(raw: bytes, assets: Mapping[str, Hosts]) -> tuple[list[Tag], list[Problem]]:
    """The points with which nothing is wrong, and every problem."""
    problems: list[Problem] = []
    return _Reader(assets, problems).tags(raw), problems


class _Reader:
    def __init__(self, assets: Mapping[str, Hosts], problems: list[Problem]) -> None:
        self._assets, self._problems = assets, problems
        self._cells: dict[str, Cell] = {}
        """The address of each point so far, by name."""

    def tags(self, raw: bytes) -> list[Tag]:
        if len(raw) > MAX_POLICY_BYTES:
            self._wrong(Cell(0, 0, ""), "", f"larger than {MAX_POLICY_BYTES} bytes", "keep the points that rows name")
            return []
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = raw[: error.start]
            place = Cell(before.count(b"\n") + 1, error.start - before.rfind(b"\n"), "")
            self._wrong(place, "", "not UTF-8 text", "save the file as CSV UTF-8")
            return []
        first = text.lstrip("\r\n").partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
        rows = (row for row in _rows(text, delimiter, self._broken) if len(row) > 1 or row[0].text.strip())
        header = next(rows, None)
        if header is None:
            self._wrong(Cell(1, 1, ""), "", "the file is empty", f"the first line is {','.join(COLUMNS)}")
            return []
        names = self._header(header)
        tags: list[Tag] = []
        if not set(NEEDED) <= set(names):
            return []
        for row in rows:
            if row[0].text.lstrip().startswith("#"):
                continue
            if len(self._problems) >= _ENOUGH:
                break
            if len(tags) >= MAX_TAGS:
                self._wrong(row[0], "", f"more than {MAX_TAGS} points", "keep the points that rows name")
                break
            tag = self._row(row, names, delimiter)
            if tag is not None:
                tags.append(tag)
        self._twice(tags)
        return tags

    # --- whole file -------------------------------------------------------------------------------------------------
    def _wrong(self, cell: Cell, key: str, wrong: str, right: str) -> None:
        self._problems.append(Problem(cell.line, cell.column, safe_text(key), wrong, right))

    def _broken(self, line: int, column: int, wrong: str, right: str) -> None:
        self._wrong(Cell(line, column, ""), "", wrong, right)

    def _header(self, header: Sequence[Cell]) -> list[str]:
        names = [cell.text.strip().lower() for cell in header]
        for number, (cell, name) in enumerate(zip(header, names, strict=True)):
            if name not in COLUMNS:
                self._wrong(cell, "", f"unknown column {quoted(cell.text)}", did_you_mean(name, COLUMNS))
            elif name in names[:number]:
                self._wrong(cell, name, "this column is there twice", "keep one of the two")
        for name in NEEDED:
            if name not in names:
                right = f"the first line is {','.join(COLUMNS)}; only {', '.join(NEEDED)} are needed"
                self._wrong(header[0], "", f"column {name!r} is missing", right)
        return names

    def _twice(self, tags: Sequence[Tag]) -> None:
        """Points that share a bit of one device."""
        by_space: dict[tuple[str, str, Hosts], list[Tag]] = {}
        for tag in tags:
            by_space.setdefault((tag.protocol, tag.space, tag.hosts), []).append(tag)
        for found in by_space.values():
            found.sort(key=lambda tag: (tag.start, tag.bit or 0))
            reach: list[Tag] = []
            for tag in found:
                reach = [other for other in reach if other.start + other.size > tag.start][-_NEIGHBOURS:]
                for other in reach:
                    if _same_place(other, tag):
                        wrong = f"overlaps {quoted(other.name)} in line {self._cells[other.name].line}"
                        self._wrong(self._cells[tag.name], "address", wrong, "give each its own place, or drop one")
                        break
                reach.append(tag)

    # --- one row ----------------------------------------------------------------------------------------------------
    def _row(self, row: Sequence[Cell], names: Sequence[str], delimiter: str) -> Tag | None:
        before = len(self._problems)
        if len(row) != len(names):
            other = next((mark for mark in DELIMITERS if mark != delimiter and mark in row[0].text), None)
            right = (
                f"the first line separates by {_NAMED[delimiter]}, this one by {_NAMED[other]}"
                if other
                else ("quote a field that holds the separator")
            )
            self._wrong(row[0], "", f"{len(row)} fields, the first line has {len(names)}", right)
            return None
        cells = dict(zip(names, row, strict=True))
        for key, cell in cells.items():
            self._plain(key, cell)
        texts = {key: cell.text.strip() for key, cell in cells.items()}

        def wrong(key: str, what: str, right: str) -> None:
            self._wrong(cells.get(key, row[0]), key, what, right)

        name = texts["point"]
        if not NAME.match(name):
            wrong("point", f"{quoted(name)} is not a name", "use letters, digits and _ . : / - (64 at most)")
        elif name in self._cells:
            wrong("point", f"duplicate name, first in line {self._cells[name].line}", "names are unique")
        else:
            self._cells[name] = cells["address"]
        hosts = self._hosts(texts["asset"], wrong)
        protocol = texts["protocol"]
        place: Found | None = None
        if protocol not in _ADDRESSES:
            wrong("protocol", f"unknown protocol {quoted(protocol)}", did_you_mean(protocol, _ADDRESSES))
        else:
            place = _ADDRESSES[protocol](texts["address"])
            if place is None:
                wrong("address", f"{quoted(texts['address'])} is not an address of {protocol}", _FORMS[protocol])
        kind = self._kind(texts, place, wrong)
        unit = self._unit(texts, protocol, wrong)
        order = texts.get("order", "") or "ABCD"
        if order not in ORDERS:
            wrong("order", f"unknown order {quoted(order)}", f"write {', '.join(ORDERS)}: as the bytes are sent")
        scale, offset = self._number(texts, "scale", "1", wrong), self._number(texts, "offset", "0", wrong)
        if scale == 0:
            wrong("scale", "0 makes every value the same", "write the units of one step, such as 0.1")
        if kind == "bool" and (scale != 1 or offset != 0):
            wrong("scale" if scale != 1 else "offset", "a bool is 0 or 1", "leave scale and offset empty")
        if len(self._problems) > before or place is None or hosts is None:
            return None
        space, start, bit = place
        label = texts.get("label", "") or name
        units = safe_text(texts.get("units", ""))
        return Tag(
            name, safe_text(label), texts["asset"], hosts, protocol, unit, space, start, bit, kind, order, scale,
            offset, units,
        )  # fmt: skip

    def _plain(self, key: str, cell: Cell) -> None:
        if len(cell.text) > MAX_CELL:
            self._wrong(cell, key, f"longer than {MAX_CELL} characters", "shorten it")
        elif not cell.text.isprintable():
            self._wrong(cell, key, f"{quoted(cell.text)} has characters that nobody can see", "write plain text")
        elif key in ("units", "label") and cell.text.lstrip()[:1] in _FORMULA:
            wrong = f"{quoted(cell.text)} begins as a formula does"
            self._wrong(cell, key, wrong, f"begin with another character than {' '.join(_FORMULA)}")

    def _hosts(self, text: str, wrong: Callable[[str, str, str], None]) -> Hosts | None:
        if text in self._assets:
            return self._assets[text]
        try:
            return Hosts((parse_hosts(text),))
        except ValueError as error:
            right = did_you_mean(text, self._assets, error.args[1])
            wrong("asset", f"{quoted(text)} is neither an asset of the policy nor an address", right)
            return None

    def _kind(self, texts: Mapping[str, str], place: Found | None, wrong: Callable[[str, str, str], None]) -> str:
        kind = texts.get("type", "")
        bits = cell_bits(place[0]) if place else 16
        natural = "bool" if bits == 1 or (place and (place[2] is not None or place[0] == "g12")) else ""
        if not kind:
            kind = natural or ("float64" if bits == 0 else "")
        if kind not in WIDTH and (kind or place):
            right = did_you_mean(kind, WIDTH) if kind else f"write one of {', '.join(WIDTH)}"
            wrong("type", f"unknown type {quoted(kind)}" if kind else "the type is missing", right)
        elif place and natural and kind != "bool":
            wrong("type", f"{kind} does not fit into a bit", "write bool, or address a register or byte")
        elif place and bits > 1 and place[2] is None and kind == "bool":
            wrong("type", "bool is one bit, the address has more", f"name the bit: {texts['address']}.0")
        elif place and bits == 16 and WIDTH[kind] == 8:
            wrong("type", f"{kind} is half a register", "write int16 or uint16")
        elif place and kind in WIDTH and place[1] + max(1, WIDTH[kind] // (bits or 64)) - 1 > _LAST:
            wrong("address", f"{kind} ends beyond the last address", f"addresses end at {_LAST}")
        return kind

    def _unit(self, texts: Mapping[str, str], protocol: str, wrong: Callable[[str, str, str], None]) -> int | None:
        text = texts.get("unit", "")
        if not text:
            return None
        last = {"modbus": 255, "dnp3": 0xFFEF}.get(protocol)
        if protocol not in _ADDRESSES:
            return None
        if last is None:
            wrong("unit", f"{protocol} has no units", "leave it empty")
        elif not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > last:
            wrong("unit", f"{quoted(text)} is not a unit", f"write a number from 0 to {last}")
        else:
            return int(text)
        return None

    def _number(
        self, texts: Mapping[str, str], key: str, otherwise: str, wrong: Callable[[str, str, str], None]
    ) -> Decimal:
        text = texts.get(key, "") or otherwise
        try:
            if _DECIMAL.match(text):
                number = Decimal(text)
                if abs(number) < _LARGEST:
                    return number
                wrong(key, f"{quoted(text)} is too large", f"write a number below {_LARGEST:.0e}".replace("e+", "e"))
                return Decimal(1)
        except InvalidOperation:
            pass
        point = text.replace(",", ".")
        right = f"write {point}" if _DECIMAL.match(point) else "write a number such as 0.1"
        wrong(key, f"{quoted(text)} is not a number", right)
        return Decimal(1)


_ENOUGH: Final = 200
"""Problems after which no further line is read."""
_LAST: Final = 0xFFFFFF
_LARGEST: Final = Decimal(10) ** 15
_NEIGHBOURS: Final = 256
"""Points that begin before one and may reach into it: 64 bits of a register each have a point at most."""
_NAMED: Final = {",": "commas", ";": "semicolons", "\t": "tabs", None: ""}


def _same_place(first: Tag, second: Tag) -> bool:
    """Of points of one device: they share a bit."""
    if first.start >= second.start + second.size or second.start >= first.start + first.size:
        return False
    if first.unit is not None and second.unit is not None and first.unit != second.unit:
        return False
    return first.bit is None or second.bit is None or first.bit == second.bit


# --- addresses -------------------------------------------------------------------------------------------------------
def _modbus(text: str) -> Found | None:
    match = _MODBUS.match(text)
    if match is None:
        return None
    space, start, bit = match[1] or "holding_register", int(match[2]), match[3]
    if start > 0xFFFF or (bit is not None and (int(bit) > 15 or cell_bits(space) == 1)):
        return None
    return space, start, None if bit is None else int(bit)


def _dnp3(text: str) -> Found | None:
    match = _DNP3.match(text)
    if match is None or int(match[1]) > 255 or int(match[2]) > 0xFFFF:
        return None
    return f"g{int(match[1])}", int(match[2]), None


def _s7comm(text: str) -> Found | None:
    try:
        space, ranges, _ = parse_item(text)
    except ValueError:
        return None
    if not ranges or "-" in text or space in ("T", "C"):
        return None
    bit = _S7_BIT.match(text.replace(" ", "").upper())
    return space, ranges[0][0], int(bit[1]) if bit else None


_ADDRESSES: Final[dict[str, Callable[[str], Found | None]]] = {"modbus": _modbus, "dnp3": _dnp3, "s7comm": _s7comm}
_FORMS: Final = {
    "modbus": "write 40 (a holding register, PDU address), coil 3, holding_register 40.3 (a bit)",
    "dnp3": "write g41 3 (group and index)",
    "s7comm": "write DB10.DBD4, DB10.DBX4.0, MW20 or M0.1",
}


# --- CSV -------------------------------------------------------------------------------------------------------------
_FIELDS: Final = 100


def _rows(text: str, delimiter: str, broken: Callable[[int, int, str, str], None]) -> Iterator[list[Cell]]:
    """Records of RFC 4180, with the place of each field; LF, CRLF and CR end a line."""
    field = re.compile(rf'"(?:[^"]|"")*"|[^"{re.escape(delimiter)}\r\n][^{re.escape(delimiter)}\r\n]*|')
    line, begin, at, end = 1, 0, 0, len(text)
    row: list[Cell] = []
    while at <= end:
        column = at - begin + 1
        match = field.match(text, at)
        raw = match[0] if match else ""
        place, at = line, at + len(raw)
        if raw[:1] == '"':
            breaks = raw.count("\n")
            line, begin = line + breaks, at - len(raw) + raw.rfind("\n") + 1 if breaks else begin
            raw = raw[1:-1].replace('""', '"')
        row.append(Cell(place, column, raw))
        if at < end and text[at] == delimiter and len(row) < _FIELDS:
            at += 1
            continue
        if len(row) >= _FIELDS:
            broken(line, column, f"more than {_FIELDS} fields in a line", "a tag map has eleven columns")
            return
        if at < end and text[at] not in "\r\n":
            wrong = "a quote that does not end, or ends within a field"
            broken(line, at - begin + 1, wrong, 'quote a whole field, and write "" for a quote in it')
            return
        yield row
        row = []
        if at >= end:
            return
        at += 2 if text.startswith("\r\n", at) else 1
        line, begin = line + 1, at
