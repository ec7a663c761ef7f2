"""Everything that is not a control protocol is an operation too: `connect` to a service port, or `scan` of many.

What is told of a connection may change while it lasts, and a pair's connects become a scan with one port too many: what
was told before is then taken back by a record of negative counts (ADR 0007).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from otmon.alerts.episodes import Episode, EpisodeKey, Ports
from otmon.engine.judge import PORTED, Judge
from otmon.limits import MAX_SERVICES, SCAN_PORTS, SERVICES_IDLE_NS
from otmon.model import ConnectionRecord, Counts, OperationKey, OperationRecord, Target
from otmon.policy.verdict import Verdict
from otmon.site.part import add_operations
from otmon.wire.compact import moved_keys


class _Side(NamedTuple):
    """Who uses services of whom."""

    realm: str
    client: str
    server: str
    transport: str
    """tcp, udp, icmp, ip."""


class _Services:
    """What a pair was told to use."""

    __slots__ = ("last_ts_ns", "ports", "scan")

    def __init__(self) -> None:
        self.last_ts_ns = 0
        self.ports: dict[int | None, OperationRecord | None] = {}
        """Port (of ip: protocol number) -> all that was told; emptied once it is a scan."""
        self.scan = False


class Connects:
    """Makes operations of plain connections and judges them, each once."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._services: dict[_Side, _Services] = {}
        self._told: dict[int, ConnectionRecord] = {}
        """Row of a connection -> as it was when last told."""
        self._alerts: dict[int, Episode] = {}
        """Row of a denied connection -> its episode, which follows its outcome."""

    def take(self, connections: Iterable[tuple[int, ConnectionRecord]]) -> list[OperationRecord]:
        """What is to be added to the operations, by (row, connection as it is now).

        A connection that turned out to speak a control protocol is taken back.
        """
        found: dict[OperationKey, OperationRecord] = {}
        fresh: list[tuple[int, ConnectionRecord]] = []
        for row, now in sorted(connections, key=lambda item: (item[1].first_ts_ns, item[1].first_frame)):
            before = self._told.pop(row, None)
            same = before is not None and now.protocol is None and _service(before) == _service(now)
            if before is not None:
                self._change(row, before, now if same else None, found)
            if now.protocol is None:
                self._told[row] = now
                if not same:
                    fresh.append((row, now))
        for _, c in fresh:
            side, port = _service(c)
            services = self._services.setdefault(side, _Services())
            services.last_ts_ns = max(services.last_ts_ns, c.first_ts_ns)
            if not services.scan:
                services.ports.setdefault(port, None)
        for side in dict.fromkeys(_service(c)[0] for _, c in fresh):
            if len(self._services[side].ports) > SCAN_PORTS:
                self._fold(side, found)
        for row, c in fresh:
            side, port = _service(c)
            counts = Counts(attempted=1, **{c.answer: 1})
            key, verdict = self._tell(side, port, c, counts, sum(c.bytes), found)
            self._note_alert(row, self._deny(key, verdict, port, counts, c))
        return list(found.values())

    def adopt(self, now_ns: int) -> None:
        """Judge what is open by another policy: what it denies begins to be denied now."""
        for row, record in self._told.items():
            side, port = _service(record)
            scan = self._services[side].scan
            key = _key(side, None if scan else port, scan)
            if row not in self._alerts:
                counts = Counts(attempted=1, **{record.answer: 1})
                now = record._replace(first_ts_ns=now_ns)
                self._note_alert(row, self._deny(key, self._verdict(key, now_ns), port, counts, now))

    def _note_alert(self, row: int, episode: Episode | None) -> None:
        if episode is not None:
            self._alerts[row] = episode

    def knows(self, row: int) -> bool:
        """Whether this connection was told as a plain one."""
        return row in self._told

    def age(self, now_ns: int) -> None:
        """Forget the ports of pairs that opened none for long, and of those beyond MAX_SERVICES; a scan begins anew."""
        old_ns = now_ns - SERVICES_IDLE_NS
        if len(self._services) > MAX_SERVICES:
            times = sorted(services.last_ts_ns for services in self._services.values())
            old_ns = max(old_ns, times[len(times) - MAX_SERVICES // 2])
        open_now = {_service(record)[0] for record in self._told.values()}
        self._services = {
            side: services
            for side, services in self._services.items()
            if services.last_ts_ns >= old_ns or side in open_now
        }

    def move(self, rows: Any) -> None:
        """Connections have other rows now: old -> new, -1: gone."""
        self._told = moved_keys(self._told, rows)
        self._alerts = moved_keys(self._alerts, rows)

    def forget(self, row: int) -> None:
        """The row will be another connection's."""
        self._told.pop(row, None)
        self._alerts.pop(row, None)

    def _change(
        self,
        row: int,
        before: ConnectionRecord,
        now: ConnectionRecord | None,
        found: dict[OperationKey, OperationRecord],
    ) -> None:
        """It is otherwise than it was told, or was not of this service at all."""
        counts = Counts(**{before.answer: -1})
        size = -sum(before.bytes)
        if now is None:
            counts.attempted = -1
        else:
            counts.add(Counts(**{now.answer: 1}))
            size += sum(now.bytes)
        side, port = _service(before)
        self._tell(side, port, now or before, counts, size, found)
        if now is None:
            self._alerts.pop(row, None)  # what it said stays said
        elif now.answer != before.answer and row in self._alerts:
            self._alerts[row].note(_target(side.transport, port), counts, before.first_ts_ns, before.first_ts_ns)

    def _tell(
        self,
        side: _Side,
        port: int | None,
        c: ConnectionRecord,
        counts: Counts,
        size: int,
        found: dict[OperationKey, OperationRecord],
    ) -> tuple[OperationKey, Verdict | None]:
        """Add to the operation of this service; gives it and its verdict."""
        services = self._services[side]
        key = _key(side, None if services.scan else port, services.scan)
        verdict = self._verdict(key, c.first_ts_ns)
        word, row = _said(verdict)
        mine = OperationRecord(key, counts, size, c.first_ts_ns, c.last_ts_ns, c.first_frame, {}, {}, word, row)
        _add(found, mine)
        if not services.scan:
            known = services.ports.get(port)
            services.ports[port] = mine if known is None else add_operations(known, mine)
        return key, verdict

    def _fold(self, side: _Side, found: dict[OperationKey, OperationRecord]) -> None:
        """One port too many: all that was told of this pair is part of a scan."""
        services = self._services[side]
        services.scan, told = True, [record for record in services.ports.values() if record is not None]
        services.ports.clear()
        key = _key(side, None, True)
        for record in told:
            _add(found, record._replace(counts=_negative(record.counts), bytes=-record.bytes))
            verdict = self._verdict(key, record.first_ts_ns)
            word, row = _said(verdict)
            _add(found, record._replace(key=key, verdict=word, row=row))
            if record.verdict != "deny":
                self._deny(key, verdict, record.key.port, record.counts, record)

    def _deny(
        self,
        key: OperationKey,
        verdict: Verdict | None,
        port: int | None,
        counts: Counts,
        c: ConnectionRecord | OperationRecord,
    ) -> Episode | None:
        """Count into the episode, if the policy denies it, and give that."""
        if verdict is None or verdict.permit:
            return None
        ts_ns = c.first_ts_ns
        # A scan begins as a connect, and stays the same episode.
        name = EpisodeKey.of(key, verdict)._replace(function="connect")
        episode = self._judge.episodes.touch(name, ts_ns, verdict, key)
        if key.function == "scan" and episode.op is not None and episode.op.function != "scan":
            episode.op, episode.verdict = episode.op._replace(function="scan", port=None), verdict
        episode.note(_target(key.transport, port), counts, ts_ns, ts_ns, [c.first_frame], flow=_flow(c))
        return episode

    def _verdict(self, key: OperationKey, ts_ns: int) -> Verdict | None:
        policy = self._judge.policy
        return None if policy is None else policy.judge(key, ts_ns)


def _service(c: ConnectionRecord) -> tuple[_Side, int | None]:
    """The pair and the server's port; of what is neither TCP, UDP nor ICMP the protocol number."""
    transport, _, number = c.transport.partition("-")
    return _Side(c.realm, c.client, c.server, transport), int(number) if number else c.server_port


def _flow(c: ConnectionRecord | OperationRecord) -> Ports | None:
    """The ports of a connection; what was told before it became a scan has none."""
    if isinstance(c, OperationRecord) or c.transport not in PORTED or c.client_port is None or c.server_port is None:
        return None
    return Ports(c.client_port, c.server_port)


def _target(transport: str, port: int | None) -> Target | None:
    return None if port is None else Target("ip_protocol" if transport == "ip" else "port", port, port)


def _key(side: _Side, port: int | None, scan: bool) -> OperationKey:
    function = "scan" if scan else "connect"
    return OperationKey(*side, port, side.transport, None, None, function, "connect", None)


def _said(verdict: Verdict | None) -> tuple[str | None, str | None]:
    return (None, None) if verdict is None else (verdict.word, verdict.row)


def _negative(counts: Counts) -> Counts:
    return Counts(**{field: -getattr(counts, field) for field in Counts.FIELDS})


def _add(found: dict[OperationKey, OperationRecord], record: OperationRecord) -> None:
    known = found.get(record.key)
    found[record.key] = record if known is None else add_operations(known, record)
