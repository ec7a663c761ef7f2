"""Everything that is not a control protocol is an operation too: `connect` to a service port, or `scan` of many."""

from collections.abc import Sequence

from otmon.alerts.episodes import EpisodeKey
from otmon.engine.judge import Judge
from otmon.limits import SCAN_PORTS
from otmon.model import ConnectionRecord, Counts, OperationKey, OperationRecord, Target


def _service(c: ConnectionRecord) -> tuple[str, int | None]:
    """(transport, server port); of what is neither TCP, UDP nor ICMP: ("ip", protocol number)."""
    transport, _, number = c.transport.partition("-")
    return transport, int(number) if number else c.server_port


def connects(connections: Sequence[ConnectionRecord], judge: Judge) -> list[OperationRecord]:
    """Operations of the plain connections; those that the policy denies go into their episodes."""
    plain = [c for c in connections if c.protocol is None]
    plain.sort(key=lambda c: (c.first_ts_ns, c.first_frame))
    ports: dict[tuple[str, str, str, str], set[int | None]] = {}
    for c in plain:
        transport, port = _service(c)
        ports.setdefault((c.realm, c.client, c.server, transport), set()).add(port)
    found: dict[OperationKey, OperationRecord] = {}
    for c in plain:
        transport, port = _service(c)
        scan = len(ports[c.realm, c.client, c.server, transport]) > SCAN_PORTS
        key = OperationKey(
            c.realm, c.client, c.server, transport, None if scan else port, transport, None, None,
            "scan" if scan else "connect", "connect", None,
        )  # fmt: skip
        counts = Counts(attempted=1, **{c.answer: 1})
        verdict = judge.policy.judge(key, c.first_ts_ns) if judge.policy is not None else None
        if verdict is not None and not verdict.permit:
            episode = judge.episodes.touch(EpisodeKey.of(key, verdict), c.first_ts_ns, verdict, key)
            target = None if port is None else Target("ip_protocol" if transport == "ip" else "port", port, port)
            episode.note(target, counts, c.first_ts_ns, c.first_ts_ns, [c.first_frame])
        known = found.get(key)
        if known is None:
            text = None if verdict is None else verdict.word
            row = None if verdict is None else verdict.row
            found[key] = OperationRecord(
                key, counts, sum(c.bytes), c.first_ts_ns, c.first_ts_ns, c.first_frame, {}, {}, text, row
            )
        else:
            known.counts.add(counts)
            found[key] = known._replace(bytes=known.bytes + sum(c.bytes), last_ts_ns=c.first_ts_ns)
    return list(found.values())
