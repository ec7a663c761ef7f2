"""The smallest change of a policy file that permits one operation: text in, text out, the rest untouched.

What is changed is one row or one list of rows, round-tripped by ruamel so that comments and style stay; what is added
permits exactly the operation. Every proposal is loaded and judged before it is shown.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from otmon.policy.addresses import point
from otmon.policy.asked import Asked, measured, permits
from otmon.policy.edit_rows import exact_conduit, exact_row, row_paths, widen
from otmon.policy.errors import Path, PolicyError
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes
from otmon.policy.reader import Document, parse
from otmon.policy.rows import Row
from otmon.text import safe_text

_WIDE: Final = 4096
"""Columns: no line is folded."""


class Edit(NamedTuple):
    """A changed file, and what was done to it."""

    text: str
    what: str

    def diff(self, before: str, path: str) -> str:
        """A unified diff of the file."""
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), self.text.splitlines(keepends=True), path, path, n=2
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def shown(self, before: str, path: str) -> str:
        """The same for a terminal, on which text that turns its direction, or worse, shows another policy."""
        return _SPACE.sub(lambda found: safe_text(found[0], 10 * len(found[0])), self.diff(before, path))


_SPACE: Final = re.compile(r"[^\t\r\n]+|\r(?!\n)")
"""What is not the end of a line, and not between words."""


def smallest(
    text: str,
    path: str,
    policy: Policy,
    asked: Asked,
    near: Row | None,
    failing: frozenset[str],
    with_permit: bool = False,
) -> Edit | None:
    """An edit that permits what is asked; None: none does, because a `never` row forbids it.

    `near`: the nearest row; `failing`: the axes on which it fails. A row is widened where nothing but its target,
    values, unit or port is too narrow; else a row in a conduit of these two hosts, or a conduit of its own, permits the
    operation alone.
    `with_permit`: it is enough if what is asked needs nothing more than that.
    """
    try:
        document = parse(text.encode(), path)
    except PolicyError:
        return None
    for proposal in _proposals(text, document, policy, asked, near, failing):
        proposal = proposal._replace(text=same_ends(text, proposal.text))
        try:
            changed = load_bytes(proposal.text.encode(), path)
        except PolicyError:
            continue
        if permits(changed.opened() if with_permit else changed, asked):
            return proposal
    return None


def _proposals(
    text: str, document: Document, policy: Policy, asked: Asked, near: Row | None, failing: frozenset[str]
) -> Iterator[Edit]:
    at = row_paths(document.data).get(near.id) if near is not None else None
    if near is not None and at is not None:
        if failing <= {"target", "value", "step", "unit", "master", "port"}:
            numbers = measured(policy, asked)
            changed = _changed(text, document, at, lambda row: widen(row, near, asked, failing, numbers))
            yield Edit(changed, f"widen row {near.id}{_for_all(policy, near, asked)}")
        if not failing & {"realm", "client", "server", "time"} and not _for_all(policy, near, asked):
            changed = _changed(text, document, at[:-1], lambda rows: rows.append(exact_row(asked)))
            yield Edit(changed, f"add a row beside {near.id}")
    conduit = exact_conduit(document.data, policy, asked)
    yield Edit(appended(text, document, "conduits", conduit), f"add conduit {conduit['id']}")


def _for_all(policy: Policy, near: Row, asked: Asked) -> str:
    """`, for all of panels -> control`: whom else what is added to the row's conduit would be given to."""
    rule = next(rule for rule in policy.conduits.rules if any(row.id == near.id for row in rule.rows))
    realms = (asked.key.realm,) if policy.realms.names else (asked.key.realm, None)
    alone = all(
        hosts.ranges == ((point(address),) * 2,) and not hosts.outside and hosts.realm in realms
        for side, address in ((rule.from_hosts, asked.key.client), (rule.to_hosts, asked.key.server))
        for hosts in side
    )
    return "" if alone else f", for all of {rule.from_text} -> {rule.to_text}"


# --- text ------------------------------------------------------------------------------------------------------------
def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(value: Any) -> str:
    out = StringIO()
    _yaml().dump(value, out)
    return out.getvalue()


def same_ends(before: str, after: str) -> str:
    """`after` with its lines ended as those of `before`."""
    return after.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else after


def _changed(text: str, document: Document, at: Path, change: Callable[[Any], None]) -> str:
    """The text with the value at this path changed; no more than the item of a list around it is written anew."""
    for length in range(len(at), 0, -1):
        block = _item(text, document, at[:length])
        if block is not None:
            first, last, indent = block
            lines = text.splitlines(keepends=True)
            # Indented by two, as ruamel writes the items of a list: comments keep their column.
            item = "".join("  " + line[indent:] if line.strip() else line for line in lines[first:last])
            loaded = _yaml().load(item)
            value = loaded[0]
            for step in at[length:]:
                value = value[step]
            change(value)
            written = [line[2:] for line in _dumped(loaded).splitlines(keepends=True)]
            new = [" " * indent + line if line.strip() else line for line in written]
            return "".join([*lines[:first], *new, *lines[last:]])
    loaded = _yaml().load(text)
    value = loaded
    for step in at:
        value = value[step]
    change(value)
    return _dumped(loaded)


def _item(text: str, document: Document, at: Path) -> tuple[int, int, int] | None:
    """(first line, line after the last, columns before its dash) of an item of a list in block style."""
    if not isinstance(at[-1], int) or at not in document.places:
        return None
    line, column = document.places[at]
    lines = text.splitlines()
    before = lines[line - 1][: column - 1]
    if before.strip() != "-":
        return None
    indent = before.index("-")
    last = line
    for number in range(line, len(lines)):
        words = lines[number].lstrip()
        if words and not words.startswith("#"):
            if len(lines[number]) - len(words) <= indent:
                break
            last = number + 1
    return line - 1, last, indent


def appended(text: str, document: Document, key: str, item: CommentedMap) -> str:
    """The text with an item more in the list under a key of the document."""
    existing = document.data.get(key) or []
    newline = "" if text.endswith("\n") or not text else "\n"
    if not existing:
        if key in document.data:
            return _changed(text, document, (), lambda root: root.__setitem__(key, CommentedSeq([item])))
        return f"{text}{newline}{_dumped(CommentedMap({key: CommentedSeq([item])}))}"
    block = _item(text, document, (key, len(existing) - 1))
    if block is None:
        return _changed(text, document, (key,), lambda items: items.append(item))
    _, last, indent = block
    lines = (text + newline).splitlines(keepends=True)
    new = [" " * indent + line[2:] for line in _dumped(CommentedSeq([item])).splitlines(keepends=True)]
    return "".join([*lines[:last], *new, *lines[last:]])
