"""What a run could not see, as findings: one for each (pair, reason), made once the run is over."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from otmon.alerts.episodes import MANY, Episode, EpisodeKey
from otmon.model import SESSION, ConnectionRecord, Fact, FrameRef
from otmon.policy.verdict import AlertKind, Severity, Verdict

REASONS: Final[dict[str, tuple[AlertKind, Severity]]] = {
    "gap": ("visibility", "low"),
    "one_sided": ("visibility", "low"),
    "encrypted": ("visibility", "info"),
    "truncated": ("visibility", "low"),
    "lost_datagrams": ("visibility", "low"),
    "unsupported": ("visibility", "info"),
    "shed": ("visibility", "medium"),
    "folded": ("visibility", "info"),
    "internal": ("visibility", "medium"),
    "dropped": ("visibility", "medium"),
    "interface_dropped": ("visibility", "medium"),
    "silent": ("visibility", "medium"),
    "gone": ("visibility", "high"),
    "one_way": ("visibility", "medium"),
    "tagged_one_way": ("visibility", "info"),
    "doubled": ("visibility", "low"),
    "switch_loss": ("visibility", "medium"),
    "job_ended": ("visibility", "high"),
    "policy_broken": ("visibility", "medium"),
    "not_judged": ("visibility", "medium"),
    "disk_full": ("visibility", "high"),
    "sink_stopped": ("visibility", "medium"),
    "sink_away": ("visibility", "medium"),
    "sink_refused": ("visibility", "medium"),
    "spool_shed": ("visibility", "medium"),
    "malformed": ("protocol", "low"),
    "unrecognised": ("protocol", "low"),
}

DOWNLOAD_BYTES: Final = 64 * 1024
DOWNLOAD_RATIO: Final = 4
"""Encrypted traffic is called consistent with a download if the client sent so much, and so many times what it got.

A handshake is a few thousand bytes; who reads or subscribes gets more than it sends.
"""


class Dark(NamedTuple):
    """Something that was not seen, or seen and not understood."""

    reason: str
    """A key of REASONS."""
    realm: str
    client: str
    server: str
    protocol: str
    first_ts_ns: int
    last_ts_ns: int
    frame: FrameRef | None
    bytes: int = 0
    frames: int = 0
    gaps: int = 0
    layers: Mapping[str, int] | None = None
    """Of `unsupported`: name -> frames."""
    sent: tuple[int, int] = (0, 0)
    """Of `encrypted`: bytes from client, from server."""
    session: str = ""
    """Of `encrypted`: what kind of session it is, where that stood in clear."""
    operations: int = 0
    """Of `not_judged`."""


def of_connections(connections: Iterable[ConnectionRecord], facts: Iterable[Fact] = ()) -> Iterator[Dark]:
    """Gaps, half conversations, encryption and bytes that are not what their port says, of control protocols.

    `facts` may say what kind of encrypted session a client asked for.

    A one-sided TCP connection of no known protocol is reported as well if it carried anything: from one direction a
    stream on another port cannot be identified, so it may have been control traffic. What is encrypted on a registered
    port is named by it.
    """
    # Late: who imports this first has not chosen yet whether kernels are compiled (otmon.engine.cache.choose).
    from otmon.protocols import protocol_of_port

    sessions = {(fact.realm, fact.address): fact.value for fact in facts if fact.name == SESSION}
    for c in connections:
        known, carried = c.protocol is not None, c.bytes[0] + c.bytes[1]
        at = (c.realm, c.client, c.server, c.protocol or c.transport, c.first_ts_ns, c.last_ts_ns, c.first_frame)
        if known and (c.gaps or c.missing_bytes):
            yield Dark("gap", *at, bytes=c.missing_bytes, gaps=c.gaps)
        if c.one_sided and (known or (c.transport == "tcp" and carried)):
            yield Dark("one_sided", *at, bytes=carried)
        if c.encrypted_bytes:
            guess = c.protocol or protocol_of_port(c.server_port) or protocol_of_port(c.client_port) or c.transport
            session = sessions.get((c.realm, c.client), "")
            yield Dark("encrypted", *at[:3], guess, *at[4:], bytes=c.encrypted_bytes, sent=c.bytes, session=session)
        if c.malformed_bytes:
            yield Dark("malformed", *at, bytes=c.malformed_bytes)
        if c.unrecognised_bytes:
            yield Dark("unrecognised", *at, bytes=c.unrecognised_bytes)


def of_capture(
    frames: Mapping[str, int], unsupported: Mapping[str, int], realm: str, first_ts_ns: int, last_ts_ns: int
) -> Iterator[Dark]:
    """The frame buckets of summary.json (and the names of what is unsupported) that mean something was not seen.

    They concern no pair: client and server are `*`.
    """
    for reason in ("truncated", "lost_datagrams", "unsupported", "shed", "folded", "internal"):
        if frames.get(reason, 0):
            layers = unsupported if reason == "unsupported" else None
            at = (realm, MANY, MANY, "", first_ts_ns, last_ts_ns, None)
            yield Dark(reason, *at, frames=frames[reason], layers=layers)


def visibility(site_name: str, dark: Iterable[Dark]) -> list[Episode]:
    """One episode for each (reason, pair in either order, protocol), figures added; in the order of first time and id.

    The order in which `dark` comes does not matter.
    """
    found: dict[tuple[str, ...], list[Dark]] = {}
    for item in dark:
        low, high = sorted((item.client, item.server))
        found.setdefault((item.reason, item.realm, low, high, item.protocol), []).append(item)
    episodes = [_episode(site_name, items) for items in found.values()]
    return sorted(episodes, key=lambda episode: (episode.first_ts_ns, episode.id))


def _episode(site_name: str, items: list[Dark]) -> Episode:
    first = min(items, key=lambda item: (item.first_ts_ns, item.frame or (0, 0), item.client, item.server))
    kind, severity = REASONS[first.reason]
    key = EpisodeKey(kind, first.realm, first.client, first.server, first.protocol, first.reason, None)
    verdict = Verdict(permit=False, kind=kind, severity=severity)
    episode = Episode(site_name, key, first.first_ts_ns, verdict, None)
    frames = sorted(item.frame for item in items if item.frame is not None)
    episode.last_ts_ns = max(item.last_ts_ns for item in items)
    episode.evidence(frames)
    layers: dict[str, int] = {}
    for item in items:
        for name, number in (item.layers or {}).items():
            layers[name] = layers.get(name, 0) + number
    episode.count = sum(item.gaps or item.frames or 1 for item in items)
    episode.detail = {
        "bytes": sum(item.bytes for item in items),
        "connections": len(items),
        "frames": sum(item.frames for item in items),
        "gaps": sum(item.gaps for item in items),
    }
    if first.reason == "encrypted":
        # Of those in which the two change places, what was sent changes places as well.
        ways = [item.sent if item.client == first.client else item.sent[::-1] for item in items]
        episode.detail |= {"sent": sum(way[0] for way in ways), "got": sum(way[1] for way in ways)}
        kinds = sorted({item.session for item in items if item.session})
        if kinds:
            episode.detail["session"] = ", ".join(kinds)
    if first.operations:
        episode.detail["operations"] = sum(item.operations for item in items)
    if layers:
        episode.detail["layers"] = ", ".join(f"{name}: {layers[name]:,}" for name in sorted(layers))
    return episode
