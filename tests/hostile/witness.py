"""What must hold whatever came before: nothing internal, sums, and that later traffic is still judged."""

from collections.abc import Sequence
from typing import Any

from tests.engine.scenes import policies
from tests.engine.traffic import conversation, frames
from tests.engine.world import START_NS, Frame, Seen, see
from tests.hostile.kit import Session
from tests.protocols.modbus_corpus import adu

FORBIDDEN = adu(6, b"\0\x32\0\x01", transaction=77)
"""A write, which the policy of these tests never permits."""
READ = adu(3, b"\0\x01\0\x02", transaction=5)
VALUES = adu(3, b"\4\0\1\0\2", transaction=5)
OTHER_WRITE = adu(6, b"\0\x32\x02\x9a", transaction=77)
CLIENT, SERVER = "10.0.2.9", "10.0.1.9"


def timed(frames: Sequence[Frame | bytes], step_ns: int = 1_000_000) -> list[Frame]:
    """Bare frames get a time each."""
    return [f if isinstance(f, Frame) else Frame(START_NS + n * step_ns, f) for n, f in enumerate(frames)]


def survive(hostile: Sequence[Frame | bytes], rules: str = "refused", **options: Any) -> Seen:
    """Runs hostile frames and then a forbidden write on another connection, which must be reported, once."""
    before = timed(hostile)
    last = max((frame.ts_ns for frame in before), default=START_NS)
    witness = conversation(Session("10.0.2.250", "10.0.1.250"), [(FORBIDDEN, FORBIDDEN)], start_ns=last + 10**9)
    seen = see([*before, *frames(witness)], policies()[rules], **options)
    mine = [a for a in seen.policy_alerts() if a["client"]["endpoint"] == "10.0.2.250"]
    assert [(a["operation"]["function"], a["count"], a["outcome"]) for a in mine] == [
        ("write_single_register", 1, "accepted")
    ]
    return seen


def reported(seen: Seen, client: str = CLIENT, function: str = "write_single_register") -> int:
    """How often alerts say that `client` did this."""
    alerts = [a for a in seen.policy_alerts() if a["client"]["endpoint"] == client]
    return sum(a["count"] for a in alerts if a["operation"]["function"] == function)


def functions(seen: Seen) -> list[tuple[str, str]]:
    """(kind, function) of the messages of others than the witness, in order."""
    return [(m["kind"], m["function"]) for m in seen.messages if "10.0.2.250" not in (m["src"][0], m["dst"][0])]


def opened(*ports: int) -> tuple[Session, list[bytes]]:
    """A connection in which a read was answered."""
    session = Session(CLIENT, SERVER, *ports)
    return session, [*session.handshake(), session.send(READ), session.send(VALUES, from_client=False)]


def conflicts(seen: Seen) -> int:
    alerts = (a for a in seen.alerts("protocol") if a["operation"])
    return sum(a["count"] for a in alerts if a["operation"]["function"] == "overlap_conflict")
