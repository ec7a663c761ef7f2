"""A policy file that people edit and learning adds to: lines go in, all others stay as they are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from otmon.policy.errors import Path, PolicyError
from otmon.policy.learn_text import moment
from otmon.policy.reader import Document, parse

_NOTHING: Final = re.compile(r"([a-z]+:)\s*(?:\[\s*\]|\{\s*\}|~|null)?\s*(#.*)?\Z")
_SEEN: Final = re.compile(r"\s*# seen [\d,]+ times?, \S+(?: \(.*?\))? to \S+, in (.*?)\s*\Z")
_ENDED: Final = re.compile(r"^# Learning ended .*$", re.MULTILINE)


class Seen(NamedTuple):
    """How often the operations of a row were seen, and when."""

    times: int
    first_ts_ns: int
    last_ts_ns: int
    first_in: str = ""
    """The capture that shows it first, of several."""

    def plus(self, other: "Seen") -> "Seen":
        """Both together."""
        first = min((self, other), key=lambda seen: seen.first_ts_ns)
        last = max(self.last_ts_ns, other.last_ts_ns)
        return first._replace(times=self.times + other.times, last_ts_ns=last)


def added(text: str, path: str, key: str, lines: Iterable[str]) -> str:
    """The file with these lines at the end of a list or mapping of its first level.

    PolicyError: it is not written one entry a line, so that nothing can be added without changing what is there.
    """
    new = list(lines)
    if not new:
        return text
    document = parse(text.encode(), path)
    old, value = text.splitlines(), document.data.get(key)
    if key not in document.data:
        return _text([*old, f"{key}:", *_indented(new, 2)], text)
    number = document.places[(key,)][0] - 1
    if not value:
        match = _NOTHING.match(old[number])
        if match is None:
            raise _refused(document, path, (key,))
        head = f"{match[1]}  {match[2]}" if match[2] else match[1]
        return _text([*old[:number], head, *_indented(new, 2), *old[number + 1 :]], text)
    last: Path = (key, len(value) - 1 if isinstance(value, list) else next(reversed(value)))
    line, column = document.places[last]
    indent = _indent(old[line - 1])
    lead = old[line - 1][: column - 1].strip()
    if lead != ("-" if isinstance(value, list) else ""):
        raise _refused(document, path, (key,))
    end = _end(old, line - 1, indent)
    return _text([*old[:end], *_indented(new, indent), *old[end:]], text)


def _refused(document: Document, path: str, at: Path) -> PolicyError:
    wrong, right = "learning cannot add to what stands in one line", "write one entry a line"
    return PolicyError(path, [document.problem(at, wrong, right)])


def _text(lines: Sequence[str], like: str) -> str:
    newline = "\r\n" if "\r\n" in like else "\n"
    return newline.join(lines) + newline


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end(lines: Sequence[str], first: int, indent: int) -> int:
    """The line after an entry that begins in line `first`: what is indented deeper belongs to it, comments too."""
    end = first + 1
    for number in range(first + 1, len(lines)):
        line = lines[number].strip()
        if line and _indent(lines[number]) > indent:
            end = number + 1
        elif line and not line.startswith("#"):
            break
    return end


# --- where rows come from --------------------------------------------------------------------------------------------
def row_places(data: Mapping[str, Any]) -> dict[str, Path]:
    """Row id -> its place in the document: rows of zones, conduits and `review`."""
    lists: list[tuple[Path, str, list[Any]]] = [
        (("zones", name, "allow"), name, (zone or {}).get("allow") or [])
        for name, zone in (data.get("zones") or {}).items()
    ]
    for i, conduit in enumerate(data.get("conduits") or []):
        lists.append((("conduits", i, "allow"), conduit["id"], conduit["allow"]))
    for i, entry in enumerate(data.get("review") or []):
        lists.append((("review", i, "operations"), entry.get("id") or f"review/{i + 1}", entry["operations"]))
    return {
        row.get("id") or (title if len(rows) == 1 else f"{title}/{n + 1}"): (*at, n)
        for at, title, rows in lists
        for n, row in enumerate(rows)
    }


def annotated(text: str, path: str, seen: Mapping[str, Seen], source: str) -> str:
    """The file with a comment in each of these rows: how often it was seen, when, and in what.

    A row has one such comment for each source, which is replaced; the file means what it meant.
    """
    document = parse(text.encode(), path)
    lines, places = text.splitlines(), row_places(document.data)
    keys: dict[Path, list[int]] = {}
    for at, (line, _) in document.places.items():
        if at:
            keys.setdefault(at[:-1], []).append(line - 1)
    rows = [(document.places[at][0] - 1, at, seen[name]) for name, at in places.items() if name in seen]
    for first, at, (times, first_ts_ns, last_ts_ns, first_in) in sorted(rows, reverse=True):
        indent = _indent(lines[first])
        if not lines[first].lstrip().startswith("- "):
            continue  # a list in one line: there is no place for a comment
        where = f" ({first_in})" if first_in else ""
        span = f"{moment(first_ts_ns)}{where} to {moment(last_ts_ns)}"
        comment = " " * (indent + 2) + f"# seen {times:,} time{'' if times == 1 else 's'}, {span}, in {source}"
        end = _end(lines, first, indent)
        known = [(n, match[1]) for n in range(first + 1, end) if (match := _SEEN.match(lines[n]))]
        mine = [n for n, name in known if name == source]
        if mine:
            lines[mine[0]] = " " * _indent(lines[mine[0]]) + comment.strip()
        else:
            later = [n for n in keys.get(at, ()) if n > first]
            lines.insert(known[-1][0] + 1 if known else min(later, default=end), comment)
    new = _text(lines, text) if rows else text
    return new if parse(new.encode(), path).data == document.data else text


# --- the end of learning ---------------------------------------------------------------------------------------------
def has_ended(text: str) -> bool:
    """Learning said in this file that it knows enough."""
    return _ENDED.search(text) is not None


def ended(text: str, ts_ns: int) -> str:
    """The file with a line that says so, above everything that is no comment."""
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if not line.startswith("#")), 0)
    said = (
        f"# Learning ended {moment(ts_ns)}, complete enough: what comes later is for review, unless this line is gone."
    )
    return _text([*lines[:at], said, *lines[at:]], text)
