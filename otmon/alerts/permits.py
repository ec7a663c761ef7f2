"""Orders of the shift lead, who opens and closes permits without editing a policy: one JSON object each.

They are made on the machine of the sensor by who may write its database, and reach a running one through its inbox.
"""

import hashlib
from typing import Final, NamedTuple

import orjson

from otmon.alerts.decisions import DecisionError, digits, moment_field, one_of, read_object, some_text

FORMAT: Final = 1
MAX_TICKET: Final = 64
"""Characters, as otmon.policy.compile.MAX_TICKET: a ticket stands in the ids of rows."""
_MUST: Final = {
    "by": some_text(100, 1),
    "format": one_of(FORMAT),
    "nonce": digits(32),
    "order": one_of("open", "close"),
    "otmon": one_of("permit"),
    "site": some_text(200, 1),
    "ticket": some_text(MAX_TICKET, 1),
}
_MAY: Final = {"conduit": some_text(64, 1), "from": moment_field, "until": moment_field, "note": some_text(1000)}


class PermitOrder(NamedTuple):
    """One order, read; times are nanoseconds."""

    order: str
    """open or close."""
    site: str
    ticket: str
    by: str
    digest: str
    """SHA-256 of the order: it counts once."""
    conduit: str = ""
    since_ns: int = 0
    until_ns: int = 0
    note: str = ""


def written(order: str, site: str, ticket: str, by: str, nonce: str, **more: str | None) -> bytes:
    """The order as bytes; `parse` says whether it can be."""
    head = {"otmon": "permit", "format": FORMAT, "nonce": nonce}
    said = head | {"order": order, "site": site, "ticket": ticket, "by": by}
    return orjson.dumps(said | {name: text for name, text in more.items() if text is not None}) + b"\n"


def parse(raw: bytes) -> PermitOrder:
    """An order. Raises DecisionError."""
    found = read_object(raw, 1, _MUST, _MAY)
    order, needed = found["order"], {"open": ("conduit", "from", "until"), "close": ()}
    for name in needed[order]:
        if name not in found:
            raise DecisionError(f"{name} is missing")
    return PermitOrder(
        *(order, found["site"], found["ticket"], found["by"], hashlib.sha256(raw).hexdigest()),
        *(found.get("conduit", ""), found.get("from", 0), found.get("until", 0), found.get("note", "")),
    )
