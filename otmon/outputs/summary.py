"""summary.json: everything that can be counted, and nothing that differs from run to run."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from otmon import __version__
from otmon.policy.intervals import Intervals
from otmon.policy.verdict import SEVERITIES
from otmon.site.site import Site
from otmon.store.watched import of_captures
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo

SCHEMA: Final = 1
_PATH_CHARS: Final = 1024


def input_record(info: "InputInfo") -> dict[str, Any]:
    """One entry of `inputs`."""
    return {
        "bytes": info.bytes,
        "damaged": info.damaged,
        "first_ts_ns": info.first_ts_ns,
        "format": info.format,
        "frames": info.frames,
        "last_ts_ns": info.last_ts_ns,
        "link_types": list(info.link_types),
        "path": safe_text(str(info.path), _PATH_CHARS),
        "sha256": info.sha256,
        "truncated": info.truncated,
    }


def damage(entry: Mapping[str, Any]) -> str | None:
    """What is wrong with an input of the summary, as one line; None if nothing is."""
    wrong = entry["damaged"]
    return None if wrong is None else f"{entry['path']}: {wrong['reason']} (at byte {wrong['offset']:,})"


def watched_in(inputs: Iterable["InputInfo"]) -> Intervals:
    """The time that captures show."""
    return of_captures((info.first_ts_ns, info.last_ts_ns) for info in inputs)


def summary_record(
    site: Site,
    inputs: Iterable["InputInfo"],
    alerts: Iterable[Mapping[str, Any]],
    policy: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The record; `policy` is `{"path", "sha256"}`. An interrupted run has `partial: true`, others lack the key."""
    part = site.part
    severities = Counter(alert["severity"] for alert in alerts)
    missed = site.not_judged
    record: dict[str, Any] = {
        "alerts": {severity: severities[severity] for severity in SEVERITIES},
        "assets": len(site.assets),
        "blocks": len(part.blocks),
        "connections": len(part.connections),
        "frames": part.frames,
        "not_judged": None if missed is None else missed._asdict() | {"hosts": len(missed.hosts)},
        "inputs": [input_record(info) for info in inputs],
        "operations": len(part.operations),
        "ot_bytes": part.ot_bytes,
        "otmon": __version__,
        "policy": None if policy is None else dict(policy),
        "protocols": part.protocols,
        "schema": SCHEMA,
        "site": site.name,
        "visibility": part.visibility,
    }
    return record | {"partial": True} if part.partial else record
