"""What people decided about alerts, in a file from the SOC: signed as a whole, taken as a whole or not at all.

    {"format": 1, "nonce": "…", "otmon": "decisions", "signed": "2026-11-22T09:00:00Z"}
    {"alert": "…", "by": "…", "decision": "acknowledge", "note": "…", "site": "…", "ts": "…"}
    …
    {"hmac_sha256": "…"}

The last line is HMAC-SHA256 (RFC 2104) of every byte before it, with a key that both sides have in a file.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from otmon.text import safe_text

FORMAT: Final = 1
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DECISIONS: Final = 10_000
MAX_AGE_NS: Final = 30 * 86_400 * 1_000_000_000
"""A file that was signed longer ago is not taken any more."""
CLOCKS_NS: Final = 300 * 1_000_000_000
"""By how much the clocks of both sides may differ."""
STATES: Final = {"acknowledge": "acknowledged", "close": "closed", "accept": "accepted", "note": "noted"}
"""Decision -> what the alert is from then on; a note changes nothing of that."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS: Final = 2**63 - 1
"""Of times in the database, and 1677 is the first year: it keeps them in 64 bits."""


class DecisionError(Exception):
    """Nothing of a file was taken; str() is one line for people."""


class Decision(NamedTuple):
    """One decision; texts are safe to show."""

    alert: str
    by: str
    """Who decided."""
    decision: str
    """A key of STATES."""
    site: str
    ts: int
    note: str = ""
    ticket: str | None = None
    until: int | None = None
    """From then on it does not hold any more. Both times are nanoseconds here."""


class Signed(NamedTuple):
    """A file, read."""

    digest: str
    """Its signature: names the file."""
    signed: int
    """When, in nanoseconds."""
    decisions: tuple[Decision, ...]
    here: bool = False
    """Made on this machine by who may write the database: nobody signed it."""


# --- a line ----------------------------------------------------------------------------------------------------------


def moment_field(value: Any) -> int:
    """A time with a zone, in nanoseconds; DecisionError as of all of these: what is wrong with the value."""
    try:
        found = (datetime.fromisoformat(value) - _EPOCH) // timedelta(microseconds=1) * 1000
    except (TypeError, ValueError, OverflowError):  # one without a zone cannot be compared
        raise DecisionError("not a time with a zone; write 2026-11-22T09:00:00Z") from None
    if not -_LAST_NS <= found <= _LAST_NS:
        raise DecisionError("not a time between 1678 and 2262, where the database's nanoseconds end")
    return found


def some_text(limit: int, least: int = 0) -> Callable[[Any], str]:
    """A text of so many characters, made safe."""

    def take(value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= limit:
            raise DecisionError(f"not a text of {least} to {limit:,} characters")
        return safe_text(value, limit)

    return take


def one_of(*known: Any) -> Callable[[Any], Any]:
    """One of these values."""

    def take(value: Any) -> Any:
        if value not in known or isinstance(value, bool):
            raise DecisionError(f"not known; write {' or '.join(map(str, known))}")
        return value

    return take


def digits(number: int) -> Callable[[Any], str]:
    """So many hexadecimal digits."""

    def take(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{number}}}", value):
            raise DecisionError(f"not {number} hexadecimal digits")
        return value

    return take


_Fields = Mapping[str, Callable[[Any], Any]]
_HEAD: Final[_Fields] = {
    "otmon": one_of("decisions"),
    "format": one_of(FORMAT),
    "nonce": digits(32),
    "signed": moment_field,
}
_HEAD_MAY: Final[_Fields] = {"made": one_of("here")}
_MAY: Final[_Fields] = {"note": some_text(1000), "ticket": some_text(100), "until": moment_field}
_MUST: Final[_Fields] = {
    "alert": digits(20),
    "by": some_text(100, 1),
    "decision": one_of(*STATES),
    "site": some_text(200, 1),
    "ts": moment_field,
}
_FOOT: Final[_Fields] = {"hmac_sha256": digits(64)}


def read_object(line: bytes, number: int, must: _Fields, may: _Fields = MappingProxyType({})) -> dict[str, Any]:
    """An object with these fields. Raises DecisionError that names line and field."""
    try:
        found = orjson.loads(line)
    except ValueError:
        raise DecisionError(f"line {number}: not JSON") from None
    if not isinstance(found, dict):
        raise DecisionError(f"line {number}: not an object")
    if missing := sorted(must.keys() - found.keys()):
        raise DecisionError(f"line {number}: {missing[0]} is missing")
    fields, out = {**must, **may}, {}
    for name, value in found.items():
        try:
            if name not in fields:
                raise DecisionError("unknown")
            out[name] = fields[name](value)
        except DecisionError as error:
            raise DecisionError(f"line {number}: {safe_text(name, 60)}: {error}") from None
    return out


# --- a file ----------------------------------------------------------------------------------------------------------


def _decisions(lines: Sequence[bytes], first: int) -> tuple[Decision, ...]:
    if not lines:
        raise DecisionError("no decision in it")
    if len(lines) > MAX_DECISIONS:
        raise DecisionError(f"more than {MAX_DECISIONS:,} decisions: make several files of it")
    return tuple(Decision(**read_object(line, number, _MUST, _MAY)) for number, line in enumerate(lines, first))


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """What is signed, and the line with the signature."""
    if len(raw) > MAX_BYTES:
        raise DecisionError(f"more than {MAX_BYTES >> 20} MiB: that is no file of decisions")
    signed, newline, foot = raw.removesuffix(b"\n").rpartition(b"\n")
    return signed + newline, foot


def sign(raw: bytes, key: bytes, now_ns: int, nonce: str, *, here: bool = False) -> bytes:
    """A file of decisions, one a line, with what makes it trusted. Raises DecisionError for one to be refused.

    `here`: whoever may write the database decides on this machine; the key is then worth nothing.
    """
    lines = [line for line in raw.split(b"\n") if line.strip()]
    for number, decision in enumerate(_decisions(lines, 1), 1):
        _timely(decision, number, now_ns)
    signed = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"format": FORMAT, "nonce": nonce, "otmon": "decisions", "signed": signed} | (
        {"made": "here"} if here else {}
    )
    body = b"".join(line + b"\n" for line in (orjson.dumps(head), *lines))
    out = body + orjson.dumps({"hmac_sha256": _hmac(key, body)}) + b"\n"
    _split(out)
    return out


def verify(raw: bytes, key: bytes, now_ns: int) -> Signed:
    """What a file says, if who has the key signed it, not long ago. Raises DecisionError."""
    body, foot = _split(raw)
    try:
        said = read_object(foot, 0, _FOOT)["hmac_sha256"]
    except DecisionError:
        raise DecisionError("it is not signed, or not whole: `otmon alerts sign` signs it") from None
    if not hmac.compare_digest(said, _hmac(key, body)):
        raise DecisionError("the signature is wrong: it was changed, or signed with another key")
    found = parse(raw)
    if found.here:
        raise DecisionError("it was made for another machine, not signed for this one")
    if found.signed > now_ns + CLOCKS_NS:
        raise DecisionError("it was signed in the future: look at the clocks of both machines")
    if found.signed < now_ns - MAX_AGE_NS:
        days = MAX_AGE_NS // 86_400_000_000_000
        raise DecisionError(f"it was signed more than {days} days ago: have it signed again")
    for number, decision in enumerate(found.decisions, 2):
        _timely(decision, number, now_ns)
    return found


def _timely(decision: Decision, number: int, now_ns: int) -> None:
    if decision.ts > now_ns + CLOCKS_NS:
        raise DecisionError(f"line {number}: ts is in the future")
    if decision.until is not None and decision.until <= now_ns:
        raise DecisionError(f"line {number}: until has passed: it would not hold any more")


def parse(raw: bytes) -> Signed:
    """What a file says, whoever signed it. Raises DecisionError."""
    body, foot = _split(raw)
    head, *lines = body.removesuffix(b"\n").split(b"\n")
    digest = read_object(foot, len(lines) + 2, _FOOT)["hmac_sha256"]
    title = read_object(head, 1, _HEAD, _HEAD_MAY)
    return Signed(digest, title["signed"], _decisions(lines, 2), "made" in title)


def _hmac(key: bytes, body: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()
