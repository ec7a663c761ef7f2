"""What `otmon policy check` can find: one rule for each kind of finding, by a name that stays."""

from typing import Any, Final, Literal, NamedTuple

from otmon.policy.errors import Problem
from otmon.text import safe_text

Level = Literal["note", "warning", "error"]


class Rule(NamedTuple):
    """A kind of finding. docs/policy.md has this table."""

    id: str
    level: Level
    means: str
    do: str


RULES: Final = {
    rule.id: rule
    for rule in (
        Rule("invalid", "error", "The file cannot be used.", "Write what the message says."),
        Rule(
            "contradictory-row",
            "warning",
            "`never` rows forbid all that a row names.",
            "Delete the row, or take what it names out of `never`.",
        ),
        Rule("duplicate-row", "warning", "A row means exactly what another one means.", "Delete one of the two."),
        Rule(
            "shadowed-row",
            "warning",
            "Other rows say all that a row says, alone or together.",
            "Delete it, or narrow the rows around it.",
        ),
        Rule(
            "empty-row",
            "warning",
            "A row names no operation: its keys exclude each other, or its hosts or its window are empty.",
            "Take out the key that does not fit.",
        ),
        Rule(
            "partly-forbidden-row",
            "note",
            "`never` rows forbid a part of what a row names.",
            "Nothing, if that is the exception that is meant; else narrow the row.",
        ),
        Rule("empty-zone", "warning", "A zone has no hosts.", "Give it hosts, or delete it."),
        Rule(
            "dead-realm",
            "warning",
            "No frame can be in a realm: it has no VLAN, interface or input.",
            "Say by which marks its frames are known, or delete it.",
        ),
        Rule(
            "nothing-monitored",
            "warning",
            "No zone is monitored: everything is permitted that no `never` row forbids.",
            "Name the zones whose traffic is to be judged.",
        ),
        Rule(
            "unreachable-zone",
            "note",
            "No row permits anything from or to the hosts of a monitored zone, and none under `review` names them.",
            "Nothing, if it is to be silent; else add a conduit, or delete the zone.",
        ),
        Rule(
            "unknown-host",
            "note",
            "A row, asset or role names an address that is in no zone.",
            "Put it into a zone; write `outside` where every other host is meant.",
        ),
        Rule(
            "tangled-row",
            "note",
            "A row meets so many others that whether they say all of it was not worked out.",
            "Split what overlaps into rows that do not.",
        ),
        Rule(
            "unrelated-data",
            "warning",
            "None of the policy's hosts was ever seen: what was never used is not listed.",
            "Name the data of this network with --data; or correct the addresses.",
        ),
        Rule(
            "never-hit-row",
            "note",
            "A row permits no operation that was ever seen.",
            "Delete it, or keep it for what is rare and say so in its `note`.",
        ),
        Rule(
            "broad-row",
            "note",
            "A row permits more functions, targets, units, ports or hosts than were ever used.",
            "Tighten it to what was used, if all ordinary operation was seen.",
        ),
        Rule(
            "unseen-host",
            "note",
            "A zone, asset, role or row names hosts of which none was ever seen.",
            "Check the address; delete what is gone.",
        ),
    )
}
NEED_DATA: Final = frozenset({"unrelated-data", "never-hit-row", "broad-row", "unseen-host"})
"""Rules that look at what was seen."""


class Finding(NamedTuple):
    """One thing that cannot have been meant, or should be known. Lines and columns count from 1."""

    line: int
    column: int
    rule: str
    key: str
    says: str
    """One sentence."""
    used: dict[str, Any] | None = None
    """Of `broad-row`: what was used of what is allowed."""

    @property
    def level(self) -> Level:
        """Of its rule."""
        return RULES[self.rule].level

    def record(self, path: str) -> dict[str, Any]:
        """For JSON."""
        out = {"rule": self.rule, "level": self.level, "file": path, "line": self.line, "column": self.column}
        out |= {"key": self.key, "says": self.says, "do": RULES[self.rule].do}
        return out if self.used is None else {**out, "used": self.used}


def of_problem(problem: Problem) -> Finding:
    """An error of the file as a finding."""
    says = f"{problem.key}: {problem.wrong}" if problem.key else problem.wrong
    says += f"; {problem.right}" if problem.right else ""
    return Finding(max(problem.line, 1), max(problem.column, 1), "invalid", problem.key, safe_text(says, 2000))
