"""Alerts on devices that are not what they were: their logic (otmon.site.ledger) or how they speak (site.habits)."""

import time
from collections.abc import Iterable
from typing import Final

from otmon.alerts.episodes import Episode, EpisodeKey, Episodes
from otmon.model import Counts, FrameRef, OperationKey, Target
from otmon.policy.verdict import Severity, Verdict
from otmon.site.habits import Stranger
from otmon.site.ledger import Change

CHANGED_UNSEEN: Final = "logic_changed_unseen"
OTHER_HABIT: Final = "habit_changed"
RULES: Final[dict[str, Severity]] = {CHANGED_UNSEEN: "high", OTHER_HABIT: "medium"}
"""Rule -> severity."""
_DIGITS: Final = 12
"""Of a sha256, in a sentence; the ledger has all."""


def _moment(ts_ns: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ts_ns // 1_000_000_000))
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns} ns"


def _note(episodes: Episodes, op: OperationKey, ts_ns: int, frames: Iterable[FrameRef], **detail: str) -> Episode:
    """One occurrence; `detail` of the first is what the sentence tells."""
    verdict = Verdict(permit=False, row=op.function, kind="asset", severity=RULES[op.function])
    episode = episodes.touch(EpisodeKey.of(op, verdict), ts_ns, verdict, op)
    if not episode.count:
        episode.detail.update(detail)
    episode.note(op.target, Counts(attempted=1, unseen=1), ts_ns, ts_ns, frames)
    return episode


def note_changes(episodes: Episodes, changes: Iterable[Change]) -> None:
    """An occurrence for each changed block, on whoever read it; by time."""
    for before, after in changes:
        op = OperationKey(
            after.realm, after.client, after.server, "tcp", None, after.protocol, after.unit, None, CHANGED_UNSEEN,
            "program", Target("block", None, None, after.block.name),
        )  # fmt: skip
        hashes = {name: (one.sha256 or "")[:_DIGITS] for name, one in (("before", before), ("after", after))}
        _note(episodes, op, after.last_ts_ns, after.frames, since=_moment(before.last_ts_ns), **hashes)


def note_strangers(episodes: Episodes, strangers: Iterable[Stranger]) -> None:
    """An occurrence for each strange signature, on the first server that it was shown to; by time."""
    for one in strangers:
        habit, other = one.habit, one.habit.signatures[one.other]
        op = OperationKey(
            habit.realm, habit.address, other.server, "tcp", None, habit.protocol, None, None, OTHER_HABIT,
            "connect", None,
        )  # fmt: skip
        since = _moment(other.times[0])
        _note(episodes, op, one.ts_ns, [other.first_frame], usual=one.usual, other=one.other, since=since)
