"""What `otmon doctor` finds: one check, how it stands, what that means, and the command that mends it."""

from typing import Any, Final, Literal, NamedTuple

Level = Literal["ok", "warning", "wrong"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warning", "wrong")
"""Best first. A warning is something otmon works with, less well."""


class Check(NamedTuple):
    """One thing looked at; `mend` is a command, empty where none helps; `meaning` mostly empty where all is well."""

    subject: str
    name: str
    level: Level
    found: str
    meaning: str = ""
    mend: str = ""

    def as_record(self) -> dict[str, Any]:
        """For --json."""
        return self._asdict()
