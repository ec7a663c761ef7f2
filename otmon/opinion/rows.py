"""A row of the table of fields: a field of tshark beside a path in otmon's message record.

A path names keys from the record down. `[]` behind a key takes every element of the list there; `[group=30,32]` only
those that have one of these values; so does a condition in front (`[kind=response function_code=3,4].unit`) with the
record itself. Several paths are tried in turn, and what they find is put together. What is missing or None is nothing.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from otmon.text import safe_text

Record = Mapping[str, Any]
_BODY_KEY: Final = re.compile(r"(?:\[[^\]]*\]\.)?(?:modbus|dnp3|s7comm)(?:\[[^\]]*\])?\.([a-z0-9_]+)")
"""What a path takes from the part of a record that belongs to its protocol."""
_STEP: Final = re.compile(r"([a-z0-9_]*)(?:\[([^\]]*)\])?")
_Take = Callable[[Any], Iterable[Any]]


def _step(text: str) -> _Take:
    """What one step of a path finds in a value."""
    match = _STEP.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"no step of a path: {text!r}")
    name, condition = match.groups()
    wanted = [(key, set(values.split(","))) for key, values in (part.split("=") for part in (condition or "").split())]

    def take(value: Any) -> Iterable[Any]:
        found = value.get(name) if name else value
        if found is None:
            return ()
        if condition is None or (condition == "" and not isinstance(found, list)):
            return (found,)
        elements = found if isinstance(found, list) else (found,)
        if not wanted:
            return elements
        return [one for one in elements if all(str(one.get(key)) in values for key, values in wanted)]

    return take


def path(text: str) -> _Take:
    """Reader of a path. Raises ValueError if it is none."""
    steps = [_step(part) for part in re.split(r"\.(?![^\[]*\])", text)]

    def read(record: Any) -> list[Any]:
        values: Iterable[Any] = (record,)
        for take in steps:
            values = [found for value in values if isinstance(value, dict) for found in take(value)]
        return list(values)

    return read


# --- tshark's text as a value --------------------------------------------------------------------------------------
_TRUTH: Final = {"True": 1, "False": 0}


def number(text: str) -> int:
    """Decimal, hexadecimal or boolean."""
    return _TRUTH[text] if text in _TRUTH else int(text, 0)


def octets(text: str) -> str:
    """`00:1f` as `001f`."""
    return text.replace(":", "")


def safe(text: str) -> str:
    """Octets as otmon shows them as text."""
    return safe_text(bytes.fromhex(octets(text)))


def plain(text: str) -> str:
    """Text as it stands, but for padding at its ends."""
    return text.strip()


def six(value: float | str) -> str:
    """A floating-point number to six digits, the fewest that tshark prints; text as it is."""
    return f"{value:.6g}" if isinstance(value, int | float) and math.isfinite(value) else str(value)


def real(text: str) -> str:
    """The same, of a text."""
    return six(float(text))


def moment_ms(text: str) -> int:
    """A time of day like `Jan  1, 1970 00:00:00.000000000 UTC` as milliseconds since 1970."""
    main, _, fraction = text.removesuffix(" UTC").partition(".")
    when = datetime.strptime(" ".join(main.split()), "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    return int(when.timestamp()) * 1000 + int(fraction[:3] or 0)


def iso_ms(text: str) -> int:
    """A time of otmon (ISO 8601, as UTC) as milliseconds since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def bcd_time(text: str) -> str | None:
    """DATE_AND_TIME of S7 in octets (BCD, year to milliseconds) as ISO 8601; None if they are no digits."""
    digits = octets(text)
    if len(digits) < 16 or not digits[:15].isdecimal():
        return None
    parts = [digits[i : i + 2] for i in range(0, 12, 2)]
    year = int(parts[0]) + (1900 if int(parts[0]) >= 90 else 2000)
    return f"{year}-{parts[1]}-{parts[2]}T{':'.join(parts[3:])}.{digits[12:15]}"


def seconds_ms(text: str) -> int:
    """Seconds with a fraction, as milliseconds."""
    return round(float(text) * 1000)


# --- otmon's value in the same form --------------------------------------------------------------------------------
def same(value: Any) -> Any:
    """As it is; truth as a number."""
    return int(value) if isinstance(value, bool) else value


def has(name: str) -> Callable[[Any], int]:
    """Whether a list of names holds this one, as a number."""
    return lambda names: int(name in names)


def bit(place: int) -> Callable[[int], int]:
    """One bit of a number."""
    return lambda value: value >> place & 1


def _try(convert: Callable[[Any], Any], value: Any) -> Any:
    """The value in the common form, or as it is if it has none: a date of 99 days, a number that is text."""
    try:
        return convert(value)
    except (ValueError, OverflowError):
        return value


class Row:
    """One field of tshark and where otmon has it."""

    __slots__ = ("_in_order", "_keys", "_paths", "as_ours", "as_theirs", "path", "theirs")

    def __init__(
        self,
        theirs: str,
        *ours: str | _Take,
        as_theirs: Callable[[str], Any] = number,
        as_ours: Callable[[Any], Any] = same,
        in_order: bool = True,
    ) -> None:
        self.theirs = theirs
        self.path = ", ".join(one if isinstance(one, str) else (one.__doc__ or "").rstrip(".") for one in ours)
        self._paths = [path(one) if isinstance(one, str) else one for one in ours]
        keys = [_BODY_KEY.match(one) if isinstance(one, str) else None for one in ours]
        self._keys = None if None in keys else frozenset(key.group(1) for key in keys if key)
        self.as_theirs, self.as_ours, self._in_order = as_theirs, as_ours, in_order

    def lacking(self, body: Mapping[str, Any]) -> bool:
        """Whether a message whose body has these keys has surely no value here: spares looking."""
        return self._keys is not None and self._keys.isdisjoint(body)

    def of_otmon(self, record: Record) -> list[Any]:
        """Values in a message record, in its order; what has no common form stays as it is, None is nothing."""
        return self._all(_try(self.as_ours, value) for read in self._paths for value in read(record))

    def of_tshark(self, texts: Iterable[str]) -> list[Any]:
        """Values of the texts that tshark prints, likewise."""
        return self._all(_try(self.as_theirs, text) for text in texts)

    def _all(self, values: Iterable[Any]) -> list[Any]:
        found = [value for value in values if value is not None]
        return found if self._in_order else sorted(found, key=str)
