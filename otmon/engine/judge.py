"""Verdicts of shapes and messages, and the episodes they open.

The compiled loop hands up a message while its shape is not judged, when its values must be looked at, and when its
episode may have ended; everything else it counts itself, into the `hits` of an open episode.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from otmon.alerts.episodes import Episode, EpisodeKey, Episodes, Ports
from otmon.engine.events import SETTING, frames_of, ops_of, pdu_of
from otmon.engine.names import Names, Pair, frame_ref
from otmon.engine.readings import ANOTHER_READING, FRAGMENTS, SAID, requests
from otmon.limits import MAX_SHAPES
from otmon.model import Counts, Malformed, Message, Op, OperationKey, Target
from otmon.policy.verdict import Verdict
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c
from otmon.wire.compact import drop_hits, moved_keys
from otmon.wire.contract import Protocol
from otmon.wire.state import add_hit, room_for_episode

if TYPE_CHECKING:
    from otmon.policy.judge import Policy

PORTED: Final = frozenset({"tcp", "udp"})


class Judged(NamedTuple):
    """One operation of a shape or message, and its verdict."""

    op: OperationKey
    verdict: Verdict


Denials = Mapping[EpisodeKey, list[Judged]]
"""What is denied, by the episode that it belongs to."""


class _Hit(NamedTuple):
    episode: Episode
    denied: Sequence[Judged]


class Judge:
    """Keeps verdicts in the shape table and episodes in step with it."""

    def __init__(self, state: Any, names: Names, policy: "Policy | None") -> None:
        self._state, self._names, self.policy = state, names, policy
        self.episodes = Episodes(policy.site if policy is not None else "default")
        self._numbers: dict[int, int] = {}
        """id(episode) -> its number in state.episodes."""
        self._next_number = 0
        self._hits: list[_Hit] = []
        self._hit_of: dict[tuple[int, int, tuple[Target | None, ...]], int] = {}
        self._wide: dict[int, Op] = {}
        """Wide shape -> an operation of it."""
        self._known: dict[int, Sequence[Judged]] = {}
        """Shape -> its operations as they were judged last; MAX_SHAPES bounds it."""
        self._awaited: dict[int, int] = {}
        """Message number -> hit, where the compiled path does not know the hit."""
        self._denied: dict[int, Denials] = {}
        self.shadow: Any = None
        """What points were last set to; without a policy nobody asks."""
        if policy is not None:
            from otmon.engine.shadow import Shadow

            self.shadow = Shadow()
            state.ctl[c.CTL_HORIZON] = policy.horizon(0)

    # --- shapes ------------------------------------------------------------------------------------------------------

    def operations(self, shape: int) -> list[OperationKey]:
        """What a shape means, with its endpoints. A wide shape means nothing by itself: []."""
        return self.keys(shape, self.ops(shape))

    def known(self, shape: int) -> Sequence[tuple[OperationKey, Verdict | None]]:
        """What a shape means, and its verdict where that needs not be asked for again."""
        known = self._known.get(shape)
        if known and self.policy is not None and self.policy.timeless:
            return known
        keys = [op for op, _ in known] if known else self.operations(shape) or self._wide_operations(shape)
        return [(key, None) for key in keys]

    def sets(self, shape: int) -> bool:
        """Whether a shape sets values."""
        known = self._known.get(shape)
        ops = [judged.op for judged in known] if known else self.ops(shape)
        return any(op.access in SETTING for op in ops)

    def ops(self, shape: int) -> Sequence[Op]:
        """The operations of a shape, from its words alone."""
        return ops_of(self._state, shape)

    def _wide_operations(self, shape: int) -> list[OperationKey]:
        """The one operation a wide shape is recorded as: its function, at no target in particular."""
        op = self._wide.get(shape)
        return [] if op is None else self.keys(shape, (op._replace(target=None),))

    def keys(self, shape: int, ops: Iterable[Op]) -> list[OperationKey]:
        """Operations of a shape with its endpoints."""
        k0 = self._state.shapes.item(shape, c.S_K0)
        realm, client, server, transport, _, port, proto = self._names.pair(k0 >> 24)
        protocol, kind, from_client = PROTOCOLS[proto].name, k0 >> 13 & 7, k0 >> 12 & 1
        by: Literal["client", "server"] = "client" if (kind == 1) == bool(from_client) and kind != 3 else "server"
        return [
            OperationKey(realm, client, server, transport, port, protocol, unit, code, function, access, target, by)
            for code, function, access, unit, target in ops
        ]

    def forget(self) -> None:
        """Verdicts no longer hold; the next message of each shape asks again."""
        used = int(self._state.ctl[c.CTL_SHAPES])
        shapes = self._state.shapes[:used]
        wide = shapes[:, c.S_K0] & c.S_WIDE != 0
        shapes[:, c.S_VERDICT] = wide * c.VERDICT_INSPECT
        shapes[:, c.S_HIT] = -1
        self._denied.clear()

    def adopt(self, policy: "Policy", ts_ns: int) -> None:
        """Judge by this policy from now on."""
        self.policy = policy
        self._state.ctl[c.CTL_HORIZON] = policy.horizon(ts_ns)
        self._known.clear()
        self.forget()

    def _verdict(self, shape: int, ts_ns: int) -> int:
        """Judge a shape anew and write its verdict: the strictest of its operations."""
        verdict, policy = c.VERDICT_PASS, self.policy
        judged = () if policy is None else [Judged(op, policy.judge(op, ts_ns)) for op in self.operations(shape)]
        self._known[shape] = judged
        weighed = [v for _, v in judged if not v.permit or v.inspect or v.bounds is not None]
        if weighed:  # the others just pass
            denied, limits = _denials(judged), {v.bounds for v in weighed if v.bounds is not None}
            inspect = len(limits) > 1 or any(v.inspect for v in weighed)
            if denied:
                self._denied[shape] = denied
                verdict = c.VERDICT_ALERT if len(denied) == 1 and not (limits or inspect) else c.VERDICT_INSPECT
            elif inspect:
                verdict = c.VERDICT_INSPECT
            else:
                ends = (min(max(end, -(2**63)), 2**63 - 1) for end in next(iter(limits)))
                self._state.shapes[shape, [c.S_VMIN, c.S_VMAX]] = tuple(ends)
                verdict = c.VERDICT_BOUNDS
        self._state.shapes[shape, c.S_VERDICT] = verdict
        return verdict

    # --- messages ----------------------------------------------------------------------------------------------------

    def message(self, event: list[int]) -> None:
        """A message that the compiled path could not judge."""
        shape, ts_ns = event[c.E_SHAPE], event[c.E_TS]
        verdict = self._state.shapes.item(shape, c.S_VERDICT)
        if (
            verdict == c.VERDICT_INSPECT
            and shape not in self._wide
            and int(self._state.shapes[shape, c.S_K0]) & c.S_WIDE
        ):
            first = self.decode(event)
            if first is not None and first.ops:
                self._wide[shape] = first.ops[0]
        if verdict == c.VERDICT_UNKNOWN:
            verdict = self._verdict(shape, ts_ns)
        if verdict == c.VERDICT_PASS or self.policy is None:
            self._settle(event, -1)
            return
        message = None
        if verdict == c.VERDICT_ALERT:
            denied = self._denied[shape]
        else:
            message = self.decode(event)
            denied = self._judge_values(shape, event, message)
        if not denied:
            self._settle(event, -1)
            return
        self._alert(event, shape, denied, message, verdict)

    def _judge_values(self, shape: int, event: list[int], message: Message | None) -> Denials:
        """Denied operations of one message, its values considered."""
        assert self.policy is not None
        if message is None:  # read by key but not by the decoder: no values, so the operations alone decide
            return _denials((key, self.policy.judge(key, event[c.E_TS])) for key in self.operations(shape))
        written = self.protocol(shape).written(message)
        keys = self.keys(shape, message.ops)
        return _denials(self.shadow.judged(self.policy, keys, message, written, event))

    def protocol(self, shape: int) -> Protocol:
        """The protocol a shape is of."""
        return PROTOCOLS[int(self._state.shapes[shape, c.S_K0]) >> 16 & 0xFF]

    def protocol_of(self, event: list[int]) -> Protocol:
        """The protocol an event's connection is of."""
        return PROTOCOLS[int(self._state.conns[event[c.E_CONN], c.C_PROTO])]

    def decode(self, event: list[int], pdu: bytes | None = None) -> Message | None:
        """The message of an event (`pdu`: in place of its own), None if it is malformed."""
        pdu = pdu_of(self._state, event) if pdu is None else pdu
        try:
            return self.protocol_of(event).decode(pdu, event[c.E_FROM_CLIENT] == 1, None)
        except Malformed:
            return None

    def _alert(self, event: list[int], shape: int, denied: Denials, message: Message | None, verdict: int) -> None:
        """Count a denied message into its episodes."""
        state, ts_ns = self._state, event[c.E_TS]
        for number, (key, members) in enumerate(denied.items()):
            episode = self._touch(key, ts_ns, members[0])
            if not episode.frames:
                message = message or self.decode(event)
                if message is not None:
                    if "malformed" not in message.flags:  # else they are bounds, no values
                        episode.written = tuple(self.protocol(shape).written(message))[:64]
                    episode.flags = message.flags
                    if verdict == c.VERDICT_ALERT:  # those that follow are counted, not looked at
                        self.shadow.lost(self.policy, [d.op for d in members], message, episode.written)
                    episode.detail |= self.shadow.told(self.policy, members[0].op, members[0].verdict, ts_ns)
            place = self._numbers[id(episode)]
            hit = self._hit(event, place, episode, members, verdict)
            state.hits[hit, c.H_COUNT] += 1
            state.hits[hit, c.H_LAST_TS] = max(ts_ns, int(state.hits[hit, c.H_LAST_TS]))
            state.episodes[place] = max(ts_ns, int(state.episodes[place]))
            if number == 0:
                self._settle(event, hit)
            else:  # a message has one pending request, whose outcome goes to its first episode
                state.hits[hit, c.H_COUNT + c.OUTCOME_UNSEEN] += 1

    def _hit(self, event: list[int], place: int, episode: Episode, members: list[Judged], verdict: int) -> int:
        """The row of `hits` for this shape and episode; messages judged one by one have one for each set of targets.

        The first message of each row is evidence: which others come up to here depends on where batches are cut.
        """
        state, shape = self._state, event[c.E_SHAPE]
        if verdict != c.VERDICT_INSPECT:
            hit = int(state.shapes[shape, c.S_HIT])
            if hit >= 0 and self._hits[hit].episode is episode:
                return hit
        targets = tuple(d.op.target for d in members)
        key = (shape, place, targets if len(self._hit_of) < MAX_SHAPES else ())
        known = self._hit_of.get(key)
        if known is None:
            known = self._hit_of[key] = add_hit(state, place, shape, event[c.E_TS])
            self._hits.append(_Hit(episode, members))
            episode.evidence(frames_of(state, event), self._ports(event))
        if verdict != c.VERDICT_INSPECT:
            state.shapes[shape, c.S_HIT] = known
        return known

    def _ports(self, event: list[int]) -> Ports | None:
        """The ports of the conversation that an event is of."""
        pair = self.flow(event)
        return Ports(pair.client_port, pair.server_port) if pair.transport in PORTED else None

    def flow(self, event: list[int]) -> Pair:
        """Client and server of an event's connection, as far as that is known by now."""
        conn = event[c.E_CONN]
        return self._names.flow(2 * conn + max(int(self._state.conns[conn, c.C_CLIENT]), 0))

    def _touch(self, key: EpisodeKey, ts_ns: int, first: Judged) -> Episode:
        live = self.episodes.live(key)
        if live is not None:
            number = self._numbers.get(id(live))
            if number is not None:  # else it began in an earlier run
                live.last_ts_ns = max(live.last_ts_ns, int(self._state.episodes[number]))
        episode = self.episodes.touch(key, ts_ns, first.verdict, first.op)
        if id(episode) not in self._numbers:
            number = self._numbers[id(episode)] = self._next_number
            self._next_number += 1
            room_for_episode(self._state, number)
            self._state.episodes[number] = ts_ns
        return episode

    def _settle(self, event: list[int], hit: int) -> None:
        """Tell the pending request which hit its outcome adds to; -1: none."""
        pending, n = event[c.E_PENDING], event[c.E_N]
        asked = self.shadow is not None and self.shadow.awaits(n)
        if pending >= 0 and not asked and self._state.pending.item(pending, c.Q_N) == n:
            self._state.pending[pending, c.Q_HIT] = hit
            self._state.pending[pending, c.Q_JUDGED] |= 1
        elif hit >= 0:
            self._awaited[n] = hit

    def outcome(self, event: list[int]) -> None:
        """The outcome of a request whose hit, or whose effect, the compiled path did not know."""
        if self.shadow is not None:
            self.shadow.settle(event)
        hit = self._awaited.pop(event[c.E_REQUEST], -1)
        if hit >= 0:
            self._state.hits[hit, c.H_COUNT + event[c.E_OUTCOME]] += 1

    # --- what is not an operation ------------------------------------------------------------------------------------

    def conflict(self, event: list[int]) -> None:
        """Another reading of a stream: evidence, unless it only could not be compared; its requests are judged."""
        proto, pair = int(self._state.conns[event[c.E_CONN], c.C_PROTO]), self.flow(event)
        op = OperationKey(
            pair.realm, pair.client, pair.server, pair.transport, pair.server_port, PROTOCOLS[proto].name, None, None,
            "", "write", None, "client" if event[c.E_FROM_CLIENT] else "server",
        )  # fmt: skip
        function, flag = SAID.get(event[c.E_WHY], ("", ""))
        if function:
            episode = self._note(op._replace(function=function), Verdict(False, function, "protocol", "high"), event)
            episode.flags = tuple(sorted({*episode.flags, flag}))
        if self.policy is None or not event[c.E_FROM_CLIENT]:
            return
        data = self._state.ev_bytes[event[c.E_OFF] : event[c.E_OFF] + event[c.E_LEN]].copy()
        protocol, new = PROTOCOLS[proto], (event[c.E_FIRST], event[c.E_COUNT])
        for message in requests(data, protocol, *new, self._state.scratch):
            written = protocol.written(message)
            keys = [op._replace(**read._asdict(), initiated_by="client") for read in message.ops]
            effects = self.shadow.lost(self.policy, keys, message, written)
            for key in keys:
                verdict = self.policy.judge_reading(key, written, event[c.E_TS], effects)
                if not verdict.permit:
                    told = message._replace(flags=(*message.flags, ANOTHER_READING))
                    self._note(key, verdict, event, told, written)

    def fragments(self, realm: str, source: str, destination: str, ts_ns: int, frame: int) -> None:
        """IP fragments that overlap with other bytes: nobody knows what the device made of them."""
        op = OperationKey(realm, source, destination, "ip", None, "ip", None, None, FRAGMENTS, "write", None)
        verdict = Verdict(False, FRAGMENTS, "protocol", "high")
        episode = self._touch(EpisodeKey.of(op, verdict), ts_ns, Judged(op, verdict))
        episode.note(None, Counts(attempted=1, unseen=1), ts_ns, ts_ns, [frame_ref(frame)])

    def _note(
        self,
        op: OperationKey,
        verdict: Verdict,
        event: list[int],
        message: Message | None = None,
        written: Sequence[tuple[Op, float]] = (),
    ) -> Episode:
        episode = self._touch(EpisodeKey.of(op, verdict), event[c.E_TS], Judged(op, verdict))
        if not episode.frames:
            episode.written = tuple(written)[:64]
            episode.flags = message.flags if message is not None else ()
        frames = [frame_ref(event[c.E_FRAME])]
        episode.note(
            op.target, Counts(attempted=1, unseen=1), event[c.E_TS], event[c.E_TS], frames, flow=self._ports(event)
        )
        return episode

    def retire(self, now_ns: int) -> list[Episode]:
        """Let go of episodes that ended; they are written down."""
        ended = self.episodes.retire(now_ns)
        for episode in ended:
            self._numbers.pop(id(episode), None)
        return ended

    def move_shapes(self, rows: Any) -> None:
        """Shapes have other rows now: old -> new, -1: gone."""
        self._wide, self._known, self._denied = (
            moved_keys(self._wide, rows),
            moved_keys(self._known, rows),
            moved_keys(self._denied, rows),
        )
        hit_of = {(int(rows[s]), place, t): hit for (s, place, t), hit in self._hit_of.items() if rows[s] >= 0}
        self._hit_of = hit_of

    def drop_hits(self) -> None:
        """Let go of what counts into episodes that were retired. To be called when the hits were counted."""
        live = set(map(id, self.episodes.all))
        keep = np.array([id(hit.episode) in live for hit in self._hits], bool)
        numbers = np.full(self._next_number, -1, np.int64)
        old = sorted(self._numbers.items(), key=lambda item: item[1])
        for new, (name, number) in enumerate(old):
            numbers[number] = new
            self._numbers[name] = new
        self._next_number = len(old)
        rows = drop_hits(self._state, keep, numbers)
        self._hits = [hit for hit, stays in zip(self._hits, keep.tolist(), strict=True) if stays]
        self._hit_of = {
            (shape, int(numbers[place]), targets): int(rows[hit])
            for (shape, place, targets), hit in self._hit_of.items()
            if rows[hit] >= 0
        }
        self._awaited = {n: int(rows[hit]) for n, hit in self._awaited.items() if rows[hit] >= 0}

    # --- on the way out ----------------------------------------------------------------------------------------------

    def count_hits(self) -> None:
        """Give the episodes what the compiled path counted since the last time."""
        used = int(self._state.ctl[c.CTL_HITS])
        rows = self._state.hits[:used]
        counted = np.flatnonzero(rows[:, c.H_COUNT : c.H_COUNT + 1 + c.OUTCOME_PENDING].any(axis=1))
        for number, row in zip(counted.tolist(), rows[counted].tolist(), strict=True):
            hit, counts = self._hits[number], Counts(*row[c.H_COUNT : c.H_COUNT + c.OUTCOME_PENDING])
            counts.pending = counts.unsettled()
            for d in hit.denied:
                hit.episode.note(d.op.target, counts, row[c.H_FIRST_TS], row[c.H_LAST_TS], (), d.op.unit)
        rows[:, c.H_COUNT : c.H_COUNT + 1 + c.OUTCOME_PENDING] = 0


def _denials(judged: Iterable[tuple[OperationKey, Verdict]]) -> Denials:
    found: dict[EpisodeKey, list[Judged]] = {}
    for op, verdict in judged:
        if not verdict.permit:
            found.setdefault(EpisodeKey.of(op, verdict), []).append(Judged(op, verdict))
    return found
