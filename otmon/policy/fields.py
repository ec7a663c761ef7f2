"""The small notations inside a policy (ranges, hours, items, objects) as pydantic types with their JSON Schema."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from otmon.policy.errors import did_you_mean, quoted

LAST: Final = 2**63 - 1


def wrong(what: str, right: str) -> PydanticCustomError:
    """A problem with the value at hand, for load.py to place in the file."""
    return PydanticCustomError("policy", "{what}; {right}", {"what": what, "right": right})


def _typed(parse: Callable[[Any], Any], schema: dict[str, Any]) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(parse), WithJsonSchema(schema)


def listed(value: Any) -> Any:
    """One thing stands for a list of it; an empty list, which would match nothing, is an error."""
    if value == []:
        raise wrong("an empty list", "name something or leave the key out")
    return value if isinstance(value, list) else [value]


def _one_or_many(item: dict[str, Any]) -> tuple[BeforeValidator, WithJsonSchema]:
    schema = {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}
    return BeforeValidator(listed), WithJsonSchema(schema)


# --- ranges ----------------------------------------------------------------------------------------------------------
_RANGE: Final = re.compile(r"\s*(\d{1,19})\s*(?:-|\.\.)\s*(\d{1,19})\s*\Z", re.ASCII)
_VALUES: Final = re.compile(r"\s*(-?\d{1,30}(?:\.\d{1,30})?)\s*(?:-|\.\.)\s*(-?\d{1,30}(?:\.\d{1,30})?)\s*\Z", re.ASCII)


def _range(value: Any) -> tuple[int, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= LAST:
            return value, value
        raise wrong(f"{quoted(value)} is out of range", "write a number from 0")
    match = _RANGE.match(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(f"{quoted(value)} is not a range", "write a number or 0-199")
    low, high = int(match[1]), int(match[2])
    if low > high or high > LAST:
        raise wrong(f"{quoted(value)} is an empty range", f"write {high}-{low}")
    return low, high


def _value_range(value: Any) -> tuple[float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, value
    match = _VALUES.match(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(f"{quoted(value)} is not a range of values", "write a number, 0-1000 or -50..50")
    low, high = (float(part) if "." in part else int(part) for part in match.groups())
    if low > high:
        raise wrong(f"{quoted(value)} is an empty range", f"write {match[2]}..{match[1]}")
    return low, high


def _step(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return value
    raise wrong(f"{quoted(value)} is not a step", "write a number above 0, in the units of the point")


_RATE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*/\s*(s|min|h)\Z", re.ASCII)
SECONDS: Final = {"s": 1, "min": 60, "h": 3600}


class Rate(NamedTuple):
    """A change in a time: `2/min`."""

    change: float
    per: str

    @property
    def per_s(self) -> float:
        """Change in a second."""
        return self.change / SECONDS[self.per]


def _rate(value: Any) -> Rate:
    match = _RATE.match(value.strip()) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise wrong(f"{quoted(value)} is not a rate of change", "write 2/min: units of the point per s, min or h")
    return Rate(float(match[1]), match[2])


_RANGE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d+\s*(-|\.\.)\s*\d+\s*$"}]
}
_NUMBER: Final = r"-?\d+(\.\d+)?"
_VALUE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*(-|\.\.)\s*{_NUMBER}\s*$"}]
}
Range = Annotated[tuple[int, int], *_typed(_range, _RANGE_SCHEMA)]
Ranges = Annotated[list[Range], *_one_or_many(_RANGE_SCHEMA)]
ValueRange = Annotated[tuple[float, float], *_typed(_value_range, _VALUE_SCHEMA)]
Step = Annotated[float, *_typed(_step, {"type": "number", "exclusiveMinimum": 0})]
RateOf = Annotated[
    Rate, *_typed(_rate, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*/\s*(s|min|h)\s*$", "examples": ["2/min"]})
]
ValueRanges = Annotated[list[ValueRange], *_one_or_many(_VALUE_SCHEMA)]

# --- words -----------------------------------------------------------------------------------------------------------
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,63}\Z")


def _name(value: Any) -> str:
    if isinstance(value, str) and NAME.match(value):
        return value
    raise wrong(
        f"{quoted(value)} is not a name", "use letters, digits and _ . : / - (64 at most), in quotes if it is a number"
    )


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise wrong(f"{quoted(value)} is not text", "write a word or a sentence, in quotes if it is a number")


def _function(value: Any) -> str | int:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    raise wrong(f"{quoted(value)} is not a function", "write its name or its code (0-255)")


_NAME_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,63}$"}
_TEXT_SCHEMA: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
_FUNCTION_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0, "maximum": 255}]
}
Name = Annotated[str, *_typed(_name, _NAME_SCHEMA)]
Names = Annotated[list[Name], *_one_or_many(_NAME_SCHEMA)]
Text = Annotated[str, *_typed(_text, _TEXT_SCHEMA)]
Texts = Annotated[list[Text], *_one_or_many(_TEXT_SCHEMA)]
FunctionRef = Annotated[str | int, *_typed(_function, _FUNCTION_SCHEMA)]
Functions = Annotated[list[FunctionRef], *_one_or_many(_FUNCTION_SCHEMA)]

# --- time ------------------------------------------------------------------------------------------------------------
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
_HOURS: Final = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\Z", re.ASCII)


def _day(value: Any) -> int:
    if isinstance(value, str) and value in DAYS:
        return DAYS.index(value)
    raise wrong(f"{quoted(value)} is not a day", did_you_mean(str(value), DAYS))


def _hours(value: Any) -> tuple[int, int]:
    match = _HOURS.match(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(f"{quoted(value)} is not a time of day", "write 08:00-17:00")
    hour, minute, to_hour, to_minute = map(int, match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if max(minute, to_minute) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise wrong(f"{quoted(value)} is not a time of day", "hours go from 00:00 to 24:00")
    if start == end:
        raise wrong(f"{quoted(value)} is empty", "leave `hours` out for the whole day")
    return start, end


def parse_until(value: Any) -> datetime:
    """The local moment from which on it is closed: a date is the last day of the window."""
    return _moment(value, 1)


def parse_from(value: Any) -> datetime:
    """The local moment at which it opens: a date is the first day of the window."""
    return _moment(value, 0)


def _moment(value: Any, days: int) -> datetime:
    text = value.strip() if isinstance(value, str) else ""
    try:
        if len(text) == 10:
            moment = datetime.combine(date.fromisoformat(text) + timedelta(days=days), datetime.min.time())
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise wrong(f"{quoted(value)} is not a date", "write 2026-12-01 or 2026-12-01T17:00") from None
    if not 1970 < moment.year < 2200:
        raise wrong(f"{quoted(value)} is too far away", "leave it out if there is no such limit")
    if moment.tzinfo is not None:
        raise wrong(f"{quoted(value)} has a time zone of its own", "times are in the policy's `timezone`")
    return moment


_DAY_SCHEMA: Final[dict[str, Any]] = {"enum": list(DAYS)}
Day = Annotated[int, *_typed(_day, _DAY_SCHEMA)]
Days = Annotated[list[Day], *_one_or_many(_DAY_SCHEMA)]
Hours = Annotated[
    tuple[int, int],
    *_typed(_hours, {"type": "string", "pattern": r"^\d\d:\d\d\s*-\s*\d\d:\d\d$", "examples": ["08:00-17:00"]}),
]
_MOMENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\d([T ].+)?$",
    "examples": ["2026-12-01"],
}
Until = Annotated[datetime, *_typed(parse_until, _MOMENT_SCHEMA)]
From = Annotated[datetime, *_typed(parse_from, _MOMENT_SCHEMA)]


# --- what a row may touch --------------------------------------------------------------------------------------------
class Limit(NamedTuple):
    """A part of one address space. None: all of it."""

    space: str
    ranges: tuple[tuple[int, int], ...] | None = None
    names: frozenset[str] | None = None


_DB_ITEM: Final = re.compile(r"(DB|DI)(\d{1,5})(?:\.D[BI]([XBWD])(\d{1,7})(?:\.[0-7])?(?:-(\d{1,7}))?)?\Z", re.ASCII)
_AREA_ITEM: Final = re.compile(r"([MIQEAVLP])(?:([XBWD])?(\d{1,7})(?:\.[0-7])?(?:-(\d{1,7}))?)?\Z", re.ASCII)
_COUNTER_ITEM: Final = re.compile(r"([TC])(?:(\d{1,5})(?:-(\d{1,5}))?)?\Z", re.ASCII)
_WIDTH: Final = {"X": 1, "B": 1, "W": 2, "D": 4}
_GERMAN: Final = {"E": "I", "A": "Q"}


def parse_item(value: Any) -> Limit:
    """S7 notation to bytes: `DB10`, `DB10.DBB0-255`, `DB10.DBW4`, `MB0-9`, `IB0`, `QB4-5`, `T1-4`."""
    text = value.replace(" ", "").upper() if isinstance(value, str) else ""
    if match := _DB_ITEM.match(text):
        space, width, first, last = f"{match[1]}{int(match[2])}", match[3], match[4], match[5]
    elif match := _AREA_ITEM.match(text):
        space, width, first, last = _GERMAN.get(match[1], match[1]), match[2], match[3], match[4]
    elif match := _COUNTER_ITEM.match(text):
        space, width, first, last = match[1], None, match[2], match[3]
    else:
        raise wrong(f"{quoted(value)} is not an S7 item", "write DB10, DB10.DBB0-255, DB10.DBW4, MB0-9, IB0 or QB4")
    if first is None:
        return Limit(space)
    low, high = int(first), int(last or first) + _WIDTH.get(width or "B", 1) - 1
    if last is not None and int(last) < low:
        raise wrong(f"{quoted(value)} is an empty range", f"write {last}-{first}")
    return Limit(space, ((low, high),))


_OBJECT: Final = re.compile(r"g(\d{1,3})(?:\s+(\d{1,10})(?:\s*-\s*(\d{1,10}))?)?\Z", re.ASCII)


def parse_object(value: Any) -> Limit:
    """DNP3 notation: `g12`, `g12 3`, `g12 0-3`."""
    match = _OBJECT.match(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) > 255:
        raise wrong(f"{quoted(value)} is not a DNP3 object", "write g12, g12 3 or g12 0-3 (group and indexes)")
    space = f"g{int(match[1])}"
    if match[2] is None:
        return Limit(space)
    low, high = int(match[2]), int(match[3] or match[2])
    if low > high:
        raise wrong(f"{quoted(value)} is an empty range", f"write {space} {high}-{low}")
    return Limit(space, ((low, high),))


_ITEM_SCHEMA: Final[dict[str, Any]] = {"type": "string", "examples": ["DB10.DBB0-255", "MB0-9"]}
_OBJECT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^g\d+( +\d+( *- *\d+)?)?$",
    "examples": ["g12 0-3"],
}
Item = Annotated[Limit, *_typed(parse_item, _ITEM_SCHEMA)]
Items = Annotated[list[Item], *_one_or_many(_ITEM_SCHEMA)]
Object = Annotated[Limit, *_typed(parse_object, _OBJECT_SCHEMA)]
Objects = Annotated[list[Object], *_one_or_many(_OBJECT_SCHEMA)]
