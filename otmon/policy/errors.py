"""What is wrong with a policy file, where, and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, NamedTuple

from otmon.text import safe_text

MAX_PROBLEMS: Final = 20
"""Shown at once; the rest is counted."""
Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document."""


class Problem(NamedTuple):
    """One error. Lines and columns count from 1; line 0: the file as a whole."""

    line: int
    column: int
    key: str
    """`zones.control.hosts[0]`, empty for the document itself."""
    wrong: str
    right: str


class PolicyError(Exception):
    """The policy, or another file in the same notation, cannot be used.

    `str()` has one line a problem: `file:line:column: key: what is wrong; what would be right`. `also`: what is wrong
    with other files that this one names. `files`: those, whether something is wrong with them or not.
    """

    def __init__(
        self, path: str, problems: Iterable[Problem], also: "Iterable[PolicyError]" = (), files: Iterable[str] = ()
    ) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        self.also = tuple(also)
        self.files = tuple(files)
        super().__init__(path, self.problems)

    def __str__(self) -> str:
        return "\n".join([*self._lines(), *map(str, self.also)])

    def _lines(self) -> list[str]:
        lines = [_line(self.path, problem) for problem in self.problems[:MAX_PROBLEMS]]
        if len(self.problems) > MAX_PROBLEMS:
            lines.append(f"{safe_text(self.path, 4096)}: and {len(self.problems) - MAX_PROBLEMS} more errors")
        return lines


def _line(path: str, problem: Problem) -> str:
    where = f":{problem.line}:{problem.column}" if problem.line else ""
    key = f"{problem.key}: " if problem.key else ""
    right = f"; {problem.right}" if problem.right else ""
    return f"{safe_text(path, 4096)}{where}: {key}{problem.wrong}{right}"


def key_text(path: Path) -> str:
    """A path as people write it: `conduits[2].allow[0].functions`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{safe_text(part)}" if out else safe_text(part)
    return out


def quoted(value: object, limit: int = 60) -> str:
    """A value out of the file, safe to show."""
    return f"'{safe_text(str(value), limit)}'"


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean 'zones'?`, or what is known when nothing is near."""
    names = sorted(known)
    near = get_close_matches(word[:100], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if otherwise:
        return otherwise
    shown = ", ".join(names[:24]) + (", ..." if len(names) > 24 else "")
    return f"known: {shown}" if names else "none is declared"
