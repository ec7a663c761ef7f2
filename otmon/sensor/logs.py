"""The log: one line a record on stderr, for people or for machines, in the journal with its priority.

A record has a time, a level, an event (a name that does not change), a sentence and fields. The form does not depend on
where stderr goes: a collector that wants JSON is set up once, and so is `--log json`.
"""

import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otmon.text import safe_text

_LOG: Final = logging.getLogger("otmon")
_LINE_CHARS: Final = 2000
_FIELD_CHARS: Final = 400
_PRIORITY: Final = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""sd-daemon(3)."""


class Line(NamedTuple):
    """A line that waits for the terminal."""

    event: str
    text: str


def say(level: int, event: str, message: str, **fields: Any) -> None:
    """Log a sentence; `event` and `fields` are for machines. Text from anywhere: it is made safe when written."""
    _LOG.log(level, "%s", message, extra={"event": event, "fields": fields})


def set_up(form: str, kept: "deque[Line] | None" = None) -> None:
    """Log to stderr from now on, as `text` or `json`; into `kept` instead while a view holds the terminal."""
    journal = in_journal()
    formatter: logging.Formatter = _Json(journal) if form == "json" else _Text(journal)
    handler = logging.StreamHandler(sys.stderr) if kept is None else _Kept(kept)
    handler.setFormatter(formatter)
    # A reader that went away is no reason to stop watching, nor to say so into the same closed pipe.
    logging.raiseExceptions = False
    _LOG.handlers[:] = [handler]
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False


def in_journal() -> bool:
    """Whether stderr goes to systemd's journal: $JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Kept(logging.Handler):
    """Keeps the last lines."""

    def __init__(self, lines: "deque[Line]") -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(Line(getattr(record, "event", "note"), self.format(record)))


class _Lines(logging.Formatter):
    """One line a record, with the journal's priority before it."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        message = safe_text(record.getMessage(), _LINE_CHARS)
        if record.exc_info:
            # The place in otmon; the whole trace would be many lines.
            message += f" ({safe_text(repr(record.exc_info[1]), _FIELD_CHARS)})"
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        line = self.line(record, message, {name: _safe(value) for name, value in fields.items() if value is not None})
        priority = _PRIORITY.get(record.levelno, 6)
        return f"<{priority}>{line}" if self._journal else line

    def line(self, record: logging.LogRecord, message: str, fields: dict[str, Any]) -> str:
        """The record without a priority."""
        raise NotImplementedError


def _safe(value: Any) -> Any:
    return value if isinstance(value, int | float | bool) else safe_text(str(value), _FIELD_CHARS)


def moment(seconds: float) -> str:
    """UTC, to the millisecond."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


class _Text(_Lines):
    def line(self, record: logging.LogRecord, message: str, fields: dict[str, Any]) -> str:
        # The journal has a time of its own.
        head = "" if self._journal else f"{moment(record.created)} "
        tail = "".join(f" {name}={_word(value)}" for name, value in fields.items())
        return f"{head}{record.levelname.lower()} {getattr(record, 'event', 'note')}: {message}{tail}"


def _word(value: Any) -> str:
    text = str(value)
    plain = text and not any(char in text for char in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


class _Json(_Lines):
    def line(self, record: logging.LogRecord, message: str, fields: dict[str, Any]) -> str:
        known = {
            "event": getattr(record, "event", "note"),
            "level": record.levelname.lower(),
            "message": message,
            "time": moment(record.created),
        }
        return json.dumps({**fields, **known}, ensure_ascii=False, sort_keys=True)
