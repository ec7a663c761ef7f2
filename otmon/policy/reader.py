"""YAML 1.2 text to plain data, with the place of every key and value.

What is not plain (see `otmon.policy.plain`) is built from the parser's events rather than from its nodes: nothing
recurses, the depth is bounded before it is reached, and what makes YAML dangerous or surprising (aliases, merge keys,
tags, duplicate keys) never becomes data.
"""

from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from otmon.limits import MAX_POLICY_BYTES
from otmon.policy import plain
from otmon.policy.errors import Path, PolicyError, Problem, key_text, quoted
from otmon.policy.scalars import plain_value
from otmon.text import safe_text

MAX_DEPTH: Final = 16
"""The deepest policy needs 7 levels."""

MAX_NODES: Final = 200_000
"""Words, lists and mappings: a MiB of ordinary rows has 150,000; if not plain, each costs 50 microseconds to parse."""


class Document(NamedTuple):
    """`data` as dicts, lists, str, int, float, bool, None; `places` gives (line, column) from 1 for each path."""

    data: Any
    places: dict[Path, tuple[int, int]]
    problems: tuple[Problem, ...] = ()
    """Duplicate keys; the last value is in `data`."""

    def problem(self, path: Path, wrong: str, right: str = "") -> Problem:
        """An error at `path`, or at the nearest place above it that is in the file."""
        real: Path = ()
        for part in path:
            # Where one thing stood for a list of it, the file has no position.
            if (*real, part) in self.places or isinstance(part, str):
                real = (*real, part)
        at = real
        while at and at not in self.places:
            at = at[:-1]
        line, column = self.places.get(at, (1, 1))
        return Problem(line, column, key_text(real), wrong, right)


def read_bytes(path: str) -> bytes:
    """The file's bytes. PolicyError if it cannot be read or is larger than MAX_POLICY_BYTES."""
    try:
        with FilePath(path).open("rb") as file:
            raw = file.read(MAX_POLICY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PolicyError(path, [Problem(0, 0, "", f"cannot be read: {reason}", "")]) from None
    if len(raw) > MAX_POLICY_BYTES:
        wrong = f"larger than {MAX_POLICY_BYTES} bytes"
        raise PolicyError(path, [Problem(0, 0, "", wrong, "merge rows into ranges, or split the site")])
    return raw


def parse(raw: bytes, path: str) -> Document:
    """The document. PolicyError for what is not one YAML 1.2 document of plain data, each key once."""
    document = parse_on(raw, path)
    if document.problems:
        raise PolicyError(path, document.problems)
    return document


def parse_on(raw: bytes, path: str) -> Document:
    """As parse, with duplicate keys told in `problems`: for those who have more to say about the document."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        place = Problem(before.count(b"\n") + 1, column, "", "not UTF-8 text", "save the file as UTF-8")
        raise PolicyError(path, [place]) from None
    known = plain.read(text, MAX_DEPTH, MAX_NODES)
    return Document(*known) if known is not None else parse_fully(text, path)


def parse_fully(text: str, path: str) -> Document:
    """As parse, whatever the notation."""
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except _Refused as refused:
        builder.problems.append(refused.args[0])
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        builder.problems.append(Problem(line, column, "", f"not YAML: {safe_text(error.problem or '')}", ""))
    except ReaderError as error:
        before_text = text[: int(error.position)]
        column = len(before_text) - (before_text.rfind("\n") + 1) + 1
        wrong = "a character that YAML does not allow"
        builder.problems.append(Problem(before_text.count("\n") + 1, column, "", wrong, "remove it"))
    except (YAMLError, ValueError, RecursionError) as error:
        builder.problems.append(Problem(1, 1, "", f"not YAML: {safe_text(str(error))}", ""))
    else:
        return Document(builder.root, builder.places, tuple(builder.problems))
    raise PolicyError(path, builder.problems)


class _Refused(Exception):
    """Carries the Problem after which reading on makes no sense."""


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("key", "path", "value")

    def __init__(self, path: Path, value: dict[str, Any] | list[Any]) -> None:
        self.path = path
        self.value = value
        self.key: str | None = None


class _Builder:
    def __init__(self) -> None:
        self.root: Any = None
        self.places: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._nodes = 0

    def take(self, event: Any) -> None:
        if isinstance(event, DocumentStartEvent):
            self._start(event)
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._open.pop()
        elif isinstance(event, AliasEvent):
            self._refuse(event, "an alias", "write the value out")
        elif isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            self._node(event)

    def _start(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(event, "a second document", "one policy is one document")
        if event.version not in (None, (1, 2)):
            self._refuse(event, "a %YAML directive that is not 1.2", "remove it: policies are YAML 1.2")

    def _node(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(event, f"more than {MAX_NODES} values", "merge rows into ranges, or split the site")
        if event.anchor is not None:
            self._refuse(event, "an anchor", "remove it: policies have no aliases")
        if event.tag not in (None, "!"):
            self._refuse(event, f"a tag {quoted(event.tag)}", "remove it: values are plain")
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(parent, event)
            return
        value: Any = (
            {} if isinstance(event, MappingStartEvent) else [] if isinstance(event, SequenceStartEvent) else None
        )
        if isinstance(event, ScalarEvent):
            value = event.value if event.style else plain_value(event.value)
        path = self._put(parent, value)
        if parent is None or not isinstance(parent.value, dict):
            self.places[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if not isinstance(event, ScalarEvent):
            if len(self._open) >= MAX_DEPTH:
                self._refuse(event, f"nested deeper than {MAX_DEPTH} levels", "")
            self._open.append(_Open(path, value))

    def _key(self, parent: _Open, event: Any) -> None:
        if not isinstance(event, ScalarEvent):
            self._refuse(event, "a key that is not a word", "")
        key = event.value
        if key == "<<" and not event.style:
            self._refuse(event, "a merge key", "write the keys out")
        path = (*parent.path, key)
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        parent.key = key
        assert isinstance(parent.value, dict)
        if key in parent.value:
            wrong = f"duplicate key, first in line {self.places[path][0]}"
            self.problems.append(Problem(*place, key_text(path), wrong, "keep one of the two"))
        self.places[path] = place

    def _put(self, parent: _Open | None, value: Any) -> Path:
        if parent is None:
            self.root = value
            return ()
        if isinstance(parent.value, list):
            parent.value.append(value)
            return (*parent.path, len(parent.value) - 1)
        key = parent.key
        assert key is not None
        parent.value[key] = value
        parent.key = None
        return (*parent.path, key)

    def _refuse(self, event: Any, wrong: str, right: str) -> None:
        parent = self._open[-1] if self._open else None
        path = () if parent is None else parent.path if parent.key is None else (*parent.path, parent.key)
        mark = event.start_mark
        raise _Refused(Problem(mark.line + 1, mark.column + 1, key_text(path), wrong, right))
