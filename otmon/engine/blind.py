"""What the run could not see, as findings (otmon.alerts.visibility)."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from otmon.alerts.episodes import MANY, Episode
from otmon.alerts.visibility import Dark, of_capture, of_connections, visibility
from otmon.site.not_judged import nothing_judged
from otmon.site.part import Part

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo
    from otmon.policy.judge import Policy


def times(inputs: "Sequence[InputInfo]") -> tuple[int, int]:
    """First and last moment of these inputs, ns; 0 without any frame."""
    known = [t for i in inputs for t in (i.first_ts_ns, i.last_ts_ns) if t is not None] or [0]
    return min(known), max(known)


def blindness(site_name: str, part: Part, seen: tuple[int, int], policy: "Policy | None") -> list[Episode]:
    """Episodes of holes, half conversations, truncation, encryption and bytes that are not what their port says.

    And one if the policy says nothing of all that was seen. `seen`: first and last moment, ns.
    """
    lost = {
        "lost_datagrams": part.lost_datagrams,
        "shed": part.frames.get("shed", 0) + part.shed,
        "folded": part.folded,
    }
    whole = of_capture({**part.frames, **lost}, part.unsupported, "default", *seen)
    return visibility(site_name, [*of_connections(part.connections, part.facts), *whole, *_untold(part, seen, policy)])


def _untold(part: Part, seen: tuple[int, int], policy: "Policy | None") -> Iterator[Dark]:
    missed = None if policy is None else nothing_judged(policy, part.operations)
    if missed is not None:
        yield Dark("not_judged", "default", MANY, MANY, "", *seen, None, operations=missed.operations)
