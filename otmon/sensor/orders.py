"""The policy on disk and the policy in force: a change is taken over if it is sound, and what it means is said."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from otmon.model import OperationRecord
from otmon.policy.errors import PolicyError
from otmon.policy.load import load_policy
from otmon.sensor.logs import say

if TYPE_CHECKING:
    from otmon.policy.judge import Policy
    from otmon.policy.permits import WorkPermit

Permits = Callable[[], "tuple[WorkPermit, ...]"]
"""The permits as the database has them."""
SHOWN: Final = 5
"""Operations named for each direction of a change."""


SHORT: Final = 12
"""Digits of a hash that are shown."""


class Change(NamedTuple):
    """What another policy would say of operations that were seen."""

    permitted: list[OperationRecord]
    """Denied before."""
    denied: list[OperationRecord]
    """Permitted before."""

    def lines(self) -> Iterator[str]:
        """For the log."""
        for word, found in (("newly permitted", self.permitted), ("newly denied", self.denied)):
            yield f"{word}: {len(found):,} of the operations seen (limits of values are not compared)"
            for record in found[:SHOWN]:
                key = record.key
                yield f"{word}: {key.client} -> {key.server} {key.protocol} {key.function}"


def short(policy: "Policy") -> str:
    """As much of its hash as people compare; all of it is in summary.json."""
    return policy.sha256[:SHORT]


def say_adopted(path: Path, old: "Policy", new: "Policy") -> None:
    """Another policy is in force."""
    message = f"policy {path.name} {short(new)} replaces {short(old)}"
    say(logging.WARNING, "policy_adopted", message, file=path.name, sha256=short(new), before=short(old))


def change(old: "Policy", new: "Policy", operations: Iterable[OperationRecord], ts_ns: int) -> Change:
    """The difference by meaning, as far as traffic shows it."""
    found = Change([], [])
    for record in operations:
        before, after = old.judge(record.key, ts_ns).permit, new.judge(record.key, ts_ns).permit
        if before != after:
            (found.permitted if after else found.denied).append(record)
    return found


class Orders:
    """Watches the file of the policy in force, and the tag map that it names."""

    def __init__(self, path: Path, policy: "Policy", permits: "Permits" = tuple) -> None:
        self.path, self.policy, self._permits = path, policy, permits
        self._named = _files(policy)
        """Other files that the file names."""
        self._stamp = self._look()
        self.broken: str | None = None
        """What is wrong with the file, while the old policy stays in force."""

    def with_permits(self) -> "Policy":
        """The policy in force, with the permits that are open by now."""
        permits = self._permits()
        if permits != self.policy.permits:
            self.policy = load_policy(self.path, permits)
        return self.policy

    def _look(self) -> dict[Path, tuple[int, int, int] | None]:
        return {path: _stamp(path) for path in (self.path, *map(Path, self._named))}

    def fresh(self, asked: bool = False) -> "Policy | None":
        """A policy to be taken over; None if nothing changed, or it is not sound: then `broken` says why."""
        stamp, permits = self._look(), self._permits()
        if stamp == self._stamp and permits == self.policy.permits and not asked:
            return None
        self._stamp = stamp
        if stamp[self.path] is not None and not self.path.is_file():
            self._refuse(f"{self.path}: is no file")  # a FIFO would be waited on
            return None
        try:
            policy = load_policy(self.path, permits)
        except PolicyError as error:
            self._name(error.files or self._named)
            self._refuse(str(error).splitlines()[0])
            return None
        self._name(_files(policy))
        if (policy.site, policy.realms) != (self.policy.site, self.policy.realms):
            self._refuse(f"{self.path}: another site, or other realms: to take it over, restart with another --data")
            return None
        self.broken = None
        if (policy.sha256, permits) == (self.policy.sha256, self.policy.permits):
            name, digest = self.path.name, short(policy)
            say(logging.INFO, "policy_unchanged", f"policy {name} unchanged: {digest}", file=name, sha256=digest)
            return None
        return policy

    def _name(self, files: tuple[str, ...]) -> None:
        """Look at these from now on, too."""
        self._named = files
        self._stamp = {path: self._stamp.get(path, now) for path, now in self._look().items()}

    def _refuse(self, reason: str) -> None:
        self.broken = reason
        say(logging.ERROR, "policy_broken", f"the policy in force stays: {reason}")


def _files(policy: "Policy") -> tuple[str, ...]:
    return (policy.tags.path,) if policy.tags.path else ()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
