"""What the run could not see, as findings (otmon.alerts.visibility)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otmon.alerts.episodes import Episode
from otmon.alerts.visibility import of_capture, of_connections, visibility
from otmon.site.part import Part

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo


def blindness(site_name: str, part: Part, inputs: "Sequence[InputInfo]") -> list[Episode]:
    """Episodes of holes, half conversations, truncation, encryption and bytes that are not what their port says."""
    times = [t for i in inputs for t in (i.first_ts_ns, i.last_ts_ns) if t is not None] or [0]
    lost = {"lost_datagrams": part.lost_datagrams, "shed": part.frames.get("shed", 0) + part.shed}
    whole = of_capture({**part.frames, **lost}, part.unsupported, "default", min(times), max(times))
    return visibility(site_name, [*of_connections(part.connections), *whole])
