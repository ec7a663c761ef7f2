"""Records in ArcSight's Common Event Format, `CEF:0`: one line of text for a SIEM.

"Implementing ArcSight Common Event Format", version 25 (specification 0.1): header, escaping and dictionary with the
length of each field. Where it has IPv4 only, an IPv6 address goes into c6a2 or c6a3, as it says.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from otmon import __version__
from otmon.alerts.places import place
from otmon.model import Target
from otmon.outputs.sink import Outgoing
from otmon.policy.verdict import Severity
from otmon.text import safe_text

MARK: Final = "…"
"""Where text was cut off."""
SEVERITY: Final[dict[Severity, int]] = {"info": 1, "low": 3, "medium": 5, "high": 8, "critical": 10}
"""0 to 3 is low, to 6 medium, to 8 high, to 10 very high."""
NAMES: Final = {
    "segmentation": "Connection between zones that no row of the policy joins",
    "command": "Command that the policy does not permit",
    "value": "Written value that the policy does not permit",
    "asset": "Device that should not be there",
    "protocol": "Bytes that contradict their protocol",
    "visibility": "Something could not be seen",
}
"""By kind of alert: without what other fields say, as the format wants a name."""
OUTCOMES: Final = {"accepted": "success", "partial": "success", "rejected": "failure"}
"""All others: unknown."""
LABELS: Final = {
    "c6a2": "Source IPv6 Address",
    "c6a3": "Destination IPv6 Address",
    "cn1": "Sequence",
    "cn2": "Revision",
    "cs1": "Source Zone",
    "cs2": "Destination Zone",
    "cs3": "Policy Row",
    "cs4": "Function",
    "cs5": "Targets",
    "cs6": "Site",
    "flexString1": "ATT&CK for ICS",
    "flexString2": "Detail",
}
_FAILED: Final = ("_broken", "_failed", "_refused")
"""Actions that did not come about (docs/records/audit.schema.json)."""
_LENGTHS: Final = {
    **dict.fromkeys(("cat", "dhost", "flexString1", "flexString2", "msg", "shost"), 1023),
    **dict.fromkeys(("cs1", "cs2", "cs3", "cs4", "cs5", "cs6"), 4000),
    "act": 63,
    "app": 31,
    "deviceExternalId": 255,
    "externalId": 40,
    "outcome": 63,
    "proto": 31,
}
"""Most characters of a text; numbers and addresses have none."""
_CUT_FIRST: Final = (
    *("cs5", "flexString2", "msg", "flexString1", "cs4", "cs3", "shost", "dhost", "cs1", "cs2", "cs6"),
    *("cat", "deviceExternalId", "app", "proto"),
)
"""What gives way when a message is too long: targets and particulars, then the sentence, then names."""
_HEADER: Final = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " "})
_VALUE: Final = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n"})
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\Z")


def cef(one: Outgoing, max_bytes: int) -> str:
    """The record as one line, of `max_bytes` of UTF-8 at most; these are 1,000 at least."""
    kind, name = _what(one)
    header = ("CEF:0", "otmon", "otmon", __version__, kind, name, str(SEVERITY[severity(one)]))
    begin = "|".join(_clean(field, 63).translate(_HEADER) for field in header) + "|"
    fields = {key: _cut(text, _LENGTHS.get(key, 64)) for key, text in _fields(one).items() if text}
    size = len(begin.encode()) + sum(len(_pair(key, text).encode()) + 1 for key, text in fields.items()) - 1
    for key in _CUT_FIRST:
        if size <= max_bytes:
            break
        if len(_escaped(text := fields.get(key, ""))) > len(MARK.encode()):
            fields[key] = _fit(text, size - max_bytes)
            size += len(_escaped(fields[key])) - len(_escaped(text))
    return begin + " ".join(_pair(key, text) for key, text in fields.items())


def severity(one: Outgoing) -> Severity:
    """An alert's own; of an action that did not come about medium, of all else info."""
    if one.stream == "alert":
        said: Severity = one.record["severity"]
        return said
    return "medium" if _failed(one.record) else "info"


def _failed(record: Mapping[str, Any]) -> bool:
    return str(record.get("action", "")).endswith(_FAILED)


def _what(one: Outgoing) -> tuple[str, str]:
    """Signature id and name: kind of an alert, action, or else the stream."""
    what = str(one.record["kind"]) if one.stream == "alert" else str(one.record.get("action", one.stream))
    return what, NAMES.get(what, what.replace("_", " ").capitalize())


def _fields(one: Outgoing) -> dict[str, str]:
    """Keys of the dictionary with their texts, not escaped; what is empty is left out by the caller."""
    build = {"alert": _of_alert, "audit": _of_audit}.get(one.stream, _of_other)
    raw = {"end": one.ts_ns // 1_000_000, "externalId": one.id, **build(one.record)}
    raw |= {"cs6": one.site, "deviceExternalId": one.sensor, "cn1": one.sequence}
    return {key: _clean("" if value is None else str(value), 4000) for key, value in raw.items()}


def _of_other(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"msg": json.dumps(record, sort_keys=True, ensure_ascii=False, default=str)}


def _of_audit(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cat": "/audit",
        "outcome": "failure" if _failed(record) else "success",
        "flexString2": "; ".join(f"{name}: {value}" for name, value in sorted(record["detail"].items())),
        "msg": record["message"],
    }


def _of_alert(record: Mapping[str, Any]) -> dict[str, Any]:
    operation = record.get("operation") or {}
    access, transport = operation.get("access"), operation.get("transport")
    nearest = record.get("nearest") or {}
    return {
        "act": "detected",
        "app": operation.get("protocol"),
        "proto": transport,
        "cat": "/".join(("", str(record["kind"]), access)) if access else f"/{record['kind']}",
        **_party(record["client"], "src", "smac", "shost", "c6a2"),
        **_party(record["server"], "dst", "dmac", "dhost", "c6a3"),
        "dpt": operation.get("port") if transport in ("tcp", "udp") else None,
        "start": record["first_ts_ns"] // 1_000_000,
        "end": record["last_ts_ns"] // 1_000_000,
        "cnt": record["count"],
        "outcome": OUTCOMES.get(str(record["outcome"]), "unknown") if operation else None,
        "externalId": record["id"],
        "cn2": record.get("revision"),
        "cs1": record["client"].get("zone"),
        "cs2": record["server"].get("zone"),
        "cs3": record.get("row") or nearest.get("row"),
        "cs4": operation.get("function"),
        "cs5": _targets(record),
        "flexString1": ", ".join(record.get("attack", ())),
        "msg": record["title"],
    }


def _targets(record: Mapping[str, Any]) -> str:
    """`holding register 40046 (PDU address 45); 3 more`."""
    words = [place(Target(**one["target"])) for one in record.get("targets", ()) if one.get("target")]
    if more := record.get("more_targets"):
        words.append(f"{more:,} more")
    return "; ".join(words)


def _party(who: Mapping[str, Any], address: str, mac: str, host: str, address6: str) -> dict[str, Any]:
    """Address and name of one side, under the keys for each form that an address has."""
    endpoint, name = str(who["endpoint"]), who.get("name")
    if _MAC.match(endpoint):
        return {mac: endpoint, host: name}
    try:
        version = ipaddress.ip_address(endpoint).version
    except ValueError:
        return {host: name or (endpoint if endpoint != "*" else None)}
    return {address if version == 4 else address6: endpoint, host: name}


def _clean(text: str, limit: int) -> str:
    """Safe text; lines stay apart. The format keeps no spaces at either end of a value."""
    # A megabyte of text must not cost more than what is kept of it.
    return _cut("\n".join(safe_text(line, limit) for line in text[: limit + 1].splitlines()), limit).strip()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + MARK


def _fit(text: str, less: int) -> str:
    """The beginning of a text, with a mark, that is `less` bytes shorter when written; the mark alone if it must be."""
    room = len(_escaped(text)) - less - len(MARK.encode())
    for at, char in enumerate(text):
        room -= len(_escaped(char))
        if room < 0:
            return text[:at].rstrip() + MARK
    return text


def _escaped(text: str) -> bytes:
    return text.translate(_VALUE).encode()


def _pair(key: str, text: str) -> str:
    pair = f"{key}={text.translate(_VALUE)}"
    return f"{pair} {key}Label={LABELS[key]}" if key in LABELS else pair
