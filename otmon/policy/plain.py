"""Plain YAML, read quickly: the notation that policies are written in, and nothing else.

`read` takes a text only if all of it is block mappings and lists, words of one line, and lists and mappings in
brackets. Then its answer is that of the full parser; whatever else there is (anchors, tags, directives, folded text,
escapes, tabs, mistakes) makes it give up, and the full parser reads the text. See docs/decisions (plain YAML).
"""

import re
from typing import Any, Final, NamedTuple

from otmon.policy.errors import Path
from otmon.policy.scalars import plain_value

_ODD: Final = re.compile("[^\n\x20-\x7e\xa1-\u1fff\u2030-\ud7ff\uf900-\ufdff]")
"""Whatever could be a line break, a blank, an invisible mark or an error to a parser of YAML."""
_FIRST: Final = r"(?:[\w./+]|-(?=[\w.]))"
_COLON: Final = r":(?=:?[\w./-])"


def _words(but: str) -> str:
    """A plain scalar of one line, without the characters `but`."""
    more = rf"(?:[^\s:#{but}]|{_COLON})"
    return rf"{_FIRST}{more}*(?: +{more}+)*"


_QUOTED: Final = r"""|"([^"\\\n]*)"|'([^'\n]*)'(?!')"""
_KEY: Final = rf"(?:([\w./][\w./-]{{0,99}}){_QUOTED}):"
_BLOCK_KEY: Final = re.compile(_KEY + r"(?=[ \n])")
_FLOW_KEY: Final = re.compile(_KEY + " +")
_BLOCK: Final = re.compile(rf"({_words('')}){_QUOTED}")
_FLOW: Final = re.compile(rf"({_words('][}{,')}){_QUOTED}".replace("][}{,", r"\]\[}{,"))
_INDENT: Final = re.compile(r"(?: *(?:#[^\n]*)?\n)*( *)")
_END: Final = re.compile(r" *(?: #[^\n]*)?\n")
_ITEM: Final = re.compile(r"- +(?=[^ #\n])")
_GAP: Final = re.compile(r" *(?:\n( *))?")


class _Odd(Exception):
    """Not plain enough."""


class _Open(NamedTuple):
    """A mapping or list in block style whose end has not come yet."""

    column: int
    path: Path
    value: Any


def read(text: str, max_depth: int, max_nodes: int) -> tuple[Any, dict[Path, tuple[int, int]]] | None:
    """The data, and (line, column) from 1 of every key and item; None: not plain, or beyond one of the bounds."""
    text = text.replace("\r\n", "\n")
    if _ODD.search(text):
        return None
    reader = _Reader(text if text.endswith("\n") else text + "\n", max_depth)
    try:
        root = reader.document()
    except _Odd:
        return None
    nodes = 1 + sum(2 if isinstance(path[-1], str) else 1 for path in reader.places if path)
    return (root, reader.places) if nodes <= max_nodes else None


class _Reader:
    def __init__(self, text: str, max_depth: int) -> None:
        self.places: dict[Path, tuple[int, int]] = {}
        self._text = text
        self._max_depth = max_depth
        self._at = 0
        self._line = 1
        self._start = 0
        """Of the line."""
        self._open: list[_Open] = []
        self._waiting: str | None = None
        """Key of the innermost mapping whose value has not come yet."""

    def document(self) -> Any:
        """All of the text."""
        column = self._indent()
        if self._at == len(self._text) or column:
            raise _Odd
        self.places[()] = self._line, 1
        if self._text[self._at] in "[{":
            root = self._flow((), 1, -1)
            self._end()
        else:
            root = self._push(0, ())
            while self._at < len(self._text):
                self._entry(column)
                column = self._indent()
            self._close()
        self._indent()
        if self._at != len(self._text):
            raise _Odd
        return root

    # --- blocks -----------------------------------------------------------------------------------------------------
    def _indent(self) -> int:
        """To the next line that has something; its column from 0."""
        found = _INDENT.match(self._text, self._at)
        assert found is not None
        self._line += found[0].count("\n")
        self._at = found.end()
        self._start = found.start(1)
        return self._at - self._start

    def _push(self, column: int, path: Path) -> Any:
        if len(self._open) >= self._max_depth:
            raise _Odd
        value: Any = [] if self._text.startswith("- ", self._at) else {}
        self._open.append(_Open(column, path, value))
        return value

    def _close(self) -> None:
        """A key that got no value has none."""
        if self._waiting is not None:
            self._open[-1].value[self._waiting] = None
            self._waiting = None

    def _entry(self, column: int) -> None:
        """One line of block style, or more if brackets go on; `column` is where it begins."""
        is_item = self._text.startswith("- ", self._at)
        top = self._open[-1]
        if self._waiting is not None and (column > top.column or (is_item and column == top.column)):
            key, self._waiting = self._waiting, None
            top.value[key] = self._push(column, (*top.path, key))
        else:
            self._close()
            while top.column > column or (top.column == column and not is_item and isinstance(top.value, list)):
                self._open.pop()
                if not self._open:
                    raise _Odd
                top = self._open[-1]
            if top.column != column or isinstance(top.value, list) != is_item:
                raise _Odd
        while is_item:
            top = self._open[-1]
            found = _ITEM.match(self._text, self._at)
            if found is None:
                raise _Odd
            self._at = found.end()
            path = (*top.path, len(top.value))
            self.places[path] = self._line, self._at - self._start + 1
            is_item = self._text.startswith("- ", self._at)
            if not is_item and not _BLOCK_KEY.match(self._text, self._at):
                top.value.append(self._value(path, _BLOCK, len(self._open), top.column))
                return self._end()
            top.value.append(self._push(self._at - self._start, path))
        return self._pair()

    def _pair(self) -> None:
        """`key: value`, or `key:`, whose value comes in the lines below."""
        top = self._open[-1]
        found = _BLOCK_KEY.match(self._text, self._at)
        if found is None:
            raise _Odd
        key, path = self._key(found, top.path, top.value)
        end = _END.match(self._text, found.end())
        if end is not None:
            self._waiting = key
            return self._end()
        self._at += 1  # the blank after the colon
        while self._text[self._at] == " ":
            self._at += 1
        top.value[key] = self._value(path, _BLOCK, len(self._open), top.column)
        return self._end()

    def _key(self, found: re.Match[str], path: Path, value: dict[str, Any]) -> tuple[str, Path]:
        key = found[found.lastindex or 0]
        if key in value:
            raise _Odd
        path = (*path, key)
        self.places[path] = self._line, self._at - self._start + 1
        self._at = found.end()
        return key, path

    def _end(self) -> None:
        """Of the line."""
        found = _END.match(self._text, self._at)
        if found is None:
            raise _Odd
        self._at = self._start = found.end()
        self._line += 1

    # --- values -----------------------------------------------------------------------------------------------------
    def _value(self, path: Path, words: re.Pattern[str], depth: int, column: int) -> Any:
        if self._text[self._at] in "[{":
            return self._flow(path, depth + 1, column)
        found = words.match(self._text, self._at)
        if found is None:
            raise _Odd
        self._at = found.end()
        plain = found[1]
        return plain_value(plain) if plain is not None else found[found.lastindex or 0]

    def _flow(self, path: Path, depth: int, column: int) -> Any:
        """A list or mapping in brackets; lines that go on are indented more than `column`."""
        if depth > self._max_depth:
            raise _Odd
        mapping = self._text[self._at] == "{"
        value: Any = {} if mapping else []
        self._at += 1
        self._gap(column)
        if self._text[self._at] == ("}" if mapping else "]"):
            self._at += 1
            return value
        while True:
            if mapping:
                found = _FLOW_KEY.match(self._text, self._at)
                if found is None:
                    raise _Odd
                key, inner = self._key(found, path, value)
                value[key] = self._value(inner, _FLOW, depth, column)
            else:
                inner = (*path, len(value))
                self.places[inner] = self._line, self._at - self._start + 1
                value.append(self._value(inner, _FLOW, depth, column))
            self._gap(column)
            after = self._text[self._at]
            self._at += 1
            if after == ("}" if mapping else "]"):
                return value
            if after != "," or self._text[self._at] not in " \n":
                raise _Odd
            self._gap(column)

    def _gap(self, column: int) -> None:
        """Blanks, and at most one line break."""
        found = _GAP.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        if found[1] is not None:
            self._line += 1
            self._start = found.start(1)
            if self._at - self._start <= column:
                raise _Odd
        if self._at == len(self._text):
            raise _Odd
