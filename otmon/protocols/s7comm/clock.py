"""Times in S7 telegrams: date and time in BCD, the stamps of blocks, times of S5."""

from datetime import datetime, timedelta
from typing import Final

_BLOCK_EPOCH: Final = datetime(1984, 1, 1)


def date_and_time(raw: bytes) -> str | None:
    """DATE_AND_TIME (IEC 61131-3; 8 bytes BCD: year to milliseconds, weekday) as ISO 8601, None if it is none."""
    digits = raw[:8].hex()
    if len(digits) < 16 or not digits[:15].isdecimal():
        return None
    year = int(digits[:2]) + (1900 if int(digits[:2]) >= 90 else 2000)
    return f"{year}-{digits[2:4]}-{digits[4:6]}T{digits[6:8]}:{digits[8:10]}:{digits[10:12]}.{digits[12:15]}"


def clock(payload: bytes) -> str | None:
    """What clock functions carry: two bytes, then a DATE_AND_TIME.

    The first of them hold a century in some CPUs and nothing in others; the year counts from 1990.
    """
    return date_and_time(payload[2:10])


def block_time(raw: bytes) -> str | None:
    """Six bytes of a block header (milliseconds of the day, days since 1984-01-01) as ISO 8601."""
    milliseconds, days = int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:6], "big")
    if len(raw) < 6 or milliseconds >= 86_400_000:
        return None
    return (_BLOCK_EPOCH + timedelta(days=days, milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def date(days: int) -> str:
    """DATE (IEC 61131-3): days since 1990-01-01."""
    return (datetime(1990, 1, 1) + timedelta(days=days)).date().isoformat()


def time_of_day(milliseconds: int) -> str:
    """TIME_OF_DAY: milliseconds since midnight; more than a day is no time and shown as it is."""
    if milliseconds >= 86_400_000:
        return str(milliseconds)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def three_digits(word: int) -> int | None:
    """What a counter holds: three digits BCD; None if these are none."""
    digits = f"{word & 0xFFF:03x}"
    return int(digits) if digits.isdecimal() else None


def s5time(word: int) -> int | None:
    """S5TIME, as timers hold it, in milliseconds: time base in bits 12 and 13, three digits; None if these are none."""
    digits = three_digits(word)
    return None if digits is None else digits * 10 ** (1 + (word >> 12 & 3))
