"""Permits to work: who opened a conduit that the policy keeps closed, under which ticket, from when to when."""

from typing import Final, NamedTuple

MARK: Final = "@"
"""Between the id of a row and the ticket under which it holds. Names in a policy do not contain it."""


class WorkPermit(NamedTuple):
    """One permit. Both ends are moments of frames' time: inclusive and exclusive.

    It does not begin before it was opened: what was alerted until then stands.
    """

    ticket: str
    conduit: str
    by: str
    since_ns: int
    until_ns: int
    closed_by: str | None = None
    """Who ended it early."""
    note: str = ""
    closed_note: str = ""
    """What they said of it."""

    def open(self, ts_ns: int) -> bool:
        """It holds at this moment."""
        return self.since_ns <= ts_ns < self.until_ns


def told(row_id: str, ticket: str | None) -> str:
    """The id of a row as records show it: with the ticket under which it holds."""
    return row_id if ticket is None else f"{row_id}{MARK}{ticket}"


def ticket_of(row_id: str | None) -> str | None:
    """The ticket in the id of a row."""
    return None if row_id is None or MARK not in row_id else row_id.split(MARK, 1)[1]


def row_of(row_id: str) -> str:
    """The id as the file has it."""
    return row_id.split(MARK, 1)[0]
