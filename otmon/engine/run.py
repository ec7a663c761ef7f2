"""One run of the compiled loop over batches: what it stops for, and what it hands up."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from otmon.alerts.episodes import Episode, Episodes
from otmon.capture.batch import REC_TS, Batch
from otmon.capture.inputs import open_inputs
from otmon.engine.ageing import Ageing
from otmon.engine.collect import Collector
from otmon.engine.followed import Followed
from otmon.engine.glance import Busy, Counted, counted
from otmon.engine.judge import Judge
from otmon.engine.loop import LOOP
from otmon.engine.messages import MessageWriter
from otmon.engine.names import Names
from otmon.engine.points import Points
from otmon.protocols import PROTOCOLS
from otmon.site.part import Part
from otmon.stream.defrag import Defragmenter
from otmon.stream.segment import take_segment
from otmon.stream.slow import SlowPath
from otmon.wire import columns as c
from otmon.wire.finish import far_finish_all, far_finish_conn
from otmon.wire.link import L_END, L_FAMILY, L_L3, L_WIRE_END, LINK_IP, tunnel
from otmon.wire.room import full, room
from otmon.wire.state import State, grow, new_state

if TYPE_CHECKING:
    from otmon.capture.reader import InputInfo
    from otmon.policy.judge import Policy

DEFAULT_REALM = "default"
OnTick = Callable[[int, Any, Any], None]


class Run:
    """State, slow path and judgement of one process's share of the traffic.

    `on_tick(ts_ns, shapes, increments)`: once a second of capture time, the shape rows that were seen since and by how
    much their counts grew (int64 arrays); rate rules will hang here. `job` of `jobs`: every process is given all
    frames and takes its own. `share`: so many processes are each given their own frames, and share the caps.
    `points_per_s`: as many values of points are gathered on average by all of them; None: nobody takes them.
    """

    def __init__(
        self,
        policy: "Policy | None" = None,
        messages_path: Path | None = None,
        *,
        job: int = 0,
        jobs: int = 1,
        share: int = 1,
        force_slow: bool = False,
        seed: int | None = None,
        express: bool = True,
        on_tick: OnTick | None = None,
        points_per_s: float | None = None,
        **reader: Any,
    ) -> None:
        self.state: State = new_state(len(PROTOCOLS), seed=seed)
        self._reader, self._on_tick, self._policy = reader, on_tick, policy
        realms = [DEFAULT_REALM]
        self._realm_of_input: dict[str, int] = {}
        if policy is not None:
            realms += [name for name in policy.realms.names if name != DEFAULT_REALM]
            for vlan, name in policy.realms.vlans.items():
                self.state.realms[vlan] = realms.index(name)
            of_input = {**policy.realms.interfaces, **policy.realms.inputs}
            self._realm_of_input = {name: realms.index(realm) for name, realm in of_input.items()}
        self._names = Names(self.state, realms)
        ctl = self.state.ctl
        ctl[c.CTL_SHARE] = share
        ctl[c.CTL_JOB], ctl[c.CTL_JOBS], ctl[c.CTL_FORCE_SLOW] = job, jobs, int(force_slow)
        ctl[c.CTL_MESSAGES], ctl[c.CTL_TICKS] = int(messages_path is not None), int(on_tick is not None)
        ctl[c.CTL_EXPRESS] = int(express and jobs == 1 and len(realms) == 1)
        self._messages = MessageWriter(messages_path, self.state, self._names) if messages_path is not None else None
        self._judge = Judge(self.state, self._names, policy)
        self.points: Points | None = None
        if points_per_s is not None:
            self.points = Points(self.state, self._names, self._judge, points_per_s / share)
        self._followed = Followed(self.state, self._judge, policy)
        self._collector = Collector(self.state, self._names, self._judge)
        self._slow = SlowPath(LOOP, PROTOCOLS, self._reopened, self._make_room, force=force_slow)
        self._defrag = Defragmenter()
        self._ageing = Ageing(self.state, self._names, self._judge, self._collector, self._slow, self._drain)
        self._told = 0, 0
        """Lost datagrams and shed work that were harvested."""

    def read(
        self, paths: Sequence[str], *, hash_all: bool = False, progress: Callable[[int, int | None], None] | None = None
    ) -> "tuple[list[InputInfo], bool]":
        """Read all inputs to their end; (what they were, whether the user interrupted)."""
        inputs = open_inputs(paths, hash_all=hash_all, **self._reader)
        interrupted = False
        try:
            for batch in inputs:
                self.enter(Path(paths[batch.input]).name)
                self.feed(batch)
                if progress is not None:
                    progress(*inputs.progress)
        except KeyboardInterrupt:
            interrupted = True
        self.finish()
        return inputs.info, interrupted

    def enter(self, name: str) -> None:
        """The batches that follow are of this input (a file's name, without its folder) or interface."""
        if self._realm_of_input:
            self.state.ctl[c.CTL_REALM] = self._realm_of_input.get(name, 0)

    def feed(self, batch: Batch) -> None:
        """Every frame of a batch, to the end; its buffers may be reused afterwards."""
        state, at = self.state, 0
        first_frame = (batch.input << 40) | batch.first_frame
        while True:
            try:
                stop, at = LOOP.run(state, batch.data, batch.records, at, first_frame)
            except IndexError:
                at = self._internal(first_frame)
                continue
            if stop == c.STOP_SLOW:
                self._take_slow(batch.data)
            elif stop == c.STOP_FRAGMENT:
                self._take_fragment(batch.data, int(batch.records[at - 1, REC_TS]))
            elif stop == c.STOP_GROW:
                grow(state)
            elif stop == c.STOP_FULL:
                self._drain()
            elif stop == c.STOP_HORIZON:
                self._turn(int(batch.records[at, REC_TS]))
            elif stop == c.STOP_TICK:
                self._tick(int(batch.records[at, REC_TS]))
            else:
                break
        self._drain()

    def _internal(self, first_frame: int) -> int:
        """A kernel met an index that cannot be: our bug. The frame is counted, the run goes on behind it."""
        state = self.state
        state.frames[c.FB_INTERNAL] += 1
        return int(state.ctl[c.CTL_FRAME]) - first_frame + 1

    def _take_slow(self, data: Any, *, fragments: bool = False) -> None:
        ctl = self.state.ctl
        self._slow.take(self.state, take_segment(self.state.seg, data, int(ctl[c.CTL_FRAME]), fragments))
        if ctl[c.CTL_FREE_PENDING] < 0 or ctl[c.CTL_FREE_SLOT] < 0:
            grow(self.state)

    def _make_room(self, octets: int) -> None:
        """For a step outside the loop over frames, which asks itself, that may send on so many octets at once."""
        state, need = self.state, (octets >> 3) + 8
        if full(state):
            self._drain()
        if not room(state, need):
            state.ctl[c.CTL_NEED] = need
            grow(state)
            state.ctl[c.CTL_CREDIT] = 0  # the loop asks for its frames

    def _take_fragment(self, data: Any, ts_ns: int) -> None:
        state, seg = self.state, self.state.seg
        state.frames[c.FB_FRAGMENT] += 1
        family = int(seg[c.G_FAMILY])
        at, end, realm = int(seg[c.G_L3]), int(seg[c.G_L3_END]), int(seg[c.G_REALM])
        packet = self._defrag.offer(data, at, end, family, realm, ts_ns)
        if self._defrag.conflict is not None:
            self._drain()
            source, destination = (str(ip_address(end)) for end in self._defrag.conflict)
            self._judge.fragments(self._names.realms[realm], source, destination, ts_ns, int(state.ctl[c.CTL_FRAME]))
        if packet is None:
            return
        self._make_room(len(packet))
        counted = state.frames.copy()
        l3, end, wire_end, family = self._inner(packet, family)
        stop = LOOP.packet(state, packet, l3, end, wire_end, family, ts_ns)
        state.frames[:] = counted  # its frames are counted as fragments
        if stop == c.STOP_SLOW:
            self._take_slow(packet, fragments=True)

    def _inner(self, packet: Any, family: int) -> tuple[int, int, int, int]:
        """The innermost IP packet of a reassembled one, which may be a tunnel's: (l3, end, wire end, family)."""
        size, link = len(packet), self.state.link
        link[[L_L3, L_END, L_WIRE_END, L_FAMILY]] = 0, size, size, family
        if tunnel(packet, 0, size, size, link) != LINK_IP:
            return 0, size, size, family
        return int(link[L_L3]), int(link[L_END]), int(link[L_WIRE_END]), int(link[L_FAMILY])

    def _turn(self, ts_ns: int) -> None:
        """A time window of the policy opens or closes: every verdict is made anew."""
        self._drain()
        assert self._policy is not None
        self._collector.permitted.mark(self._policy, int(self.state.ctl[c.CTL_HORIZON]))
        self.state.ctl[c.CTL_HORIZON] = self._policy.horizon(ts_ns)
        self._judge.forget()

    def _tick(self, ts_ns: int) -> None:
        state = self.state
        rows = np.unique(state.touched[: int(state.ctl[c.CTL_TOUCHED])])
        before = -1 - state.shapes[rows, c.S_TICK]
        counts = state.shapes[rows, c.S_COUNT]
        state.shapes[rows, c.S_TICK] = counts
        state.ctl[c.CTL_TOUCHED] = 0
        if self._on_tick is not None and len(rows) and state.ctl[c.CTL_TICK_TS]:
            self._on_tick(int(state.ctl[c.CTL_TICK_TS]), rows, counts - before)
        state.ctl[c.CTL_TICK_TS] = ts_ns - ts_ns % 1_000_000_000

    def _reopened(self, conn: int) -> None:
        """The row of a connection is about to be used by another one on the same ports."""
        far_finish_conn(self.state, conn, int(self.state.ctl[c.CTL_LAST_TS]), 0)
        self._drain()
        self._collector.close_connection(conn)

    def _drain(self) -> None:
        """Everything handed up, in order."""
        state = self.state
        count = int(state.ctl[c.CTL_EVENTS])
        if not count:
            return
        for event in state.events[:count].tolist():
            kind = event[c.E_TYPE]
            if kind == c.EV_PDU:
                flags = event[c.E_FLAGS]
                if flags & c.EVF_JUDGE:
                    self._judge.message(event)
                    self._collector.permitted.message(event)
                if flags & c.EVF_IDENTITY:
                    self._collector.identity(event)
                if flags & c.EVF_TRANSFER:
                    self._collector.transfer(event)
                if flags & c.EVF_MESSAGE and self._messages is not None:
                    self._messages.write(event)
                if flags & (c.EVF_SAMPLE | c.EVF_BESIDE):
                    if self.points is not None:
                        self.points.take(event)
                    self._followed.take(event)
            elif kind == c.EV_OUTCOME:
                self._judge.outcome(event)
            elif kind == c.EV_BINDING:
                self._collector.binding(event)
            else:
                self._judge.conflict(event)
        state.ctl[[c.CTL_EVENTS, c.CTL_EV_BYTES, c.CTL_EV_FRAMES, c.CTL_ASKED]] = 0

    def finish(self) -> None:
        """The traffic ended: settle what is open."""
        self._slow.finish(self.state)
        self._drain()
        ts_ns, conns, at = int(self.state.ctl[c.CTL_LAST_TS]), int(self.state.ctl[c.CTL_CONNS]), 0
        while at < conns:
            at = int(far_finish_all(self.state, at, conns, ts_ns))
            self._drain()
        if self._messages is not None:
            self._messages.close()

    @property
    def episodes(self) -> Episodes:
        """Live and ended ones."""
        return self._judge.episodes

    @property
    def last_ts_ns(self) -> int:
        """Time of the last frame, 0 before the first."""
        return int(self.state.ctl[c.CTL_LAST_TS])

    def count_hits(self) -> None:
        """Give the episodes what the compiled path counted."""
        self._judge.count_hits()

    def adopt(self, policy: "Policy") -> None:
        """Another policy of the same site and realms: every verdict is made anew."""
        self._drain()
        self._collector.permitted.mark(self._policy, self.last_ts_ns)
        self._policy = policy
        self._judge.adopt(policy, self.last_ts_ns)
        self._followed.adopt(policy)
        self._collector.adopt(self.last_ts_ns)

    def age(self, now_ns: int) -> bool:
        """Close some of the connections that ended; whether a table is so full that a harvest should come soon."""
        self._ageing.step(now_ns)
        return self._ageing.crowded

    def sample(self, now_ns: int) -> None:
        """Choose the messages whose values are looked at next, if anybody takes them."""
        if self.points is not None:
            self.points.ask(now_ns)

    def retire(self, now_ns: int) -> list[Episode]:
        """Let go of episodes that ended, once they are written down."""
        return self._judge.retire(now_ns)

    def forget(self, now_ns: int) -> None:
        """After a harvest: let go of shapes, hosts and pairs not seen for long."""
        self._ageing.forget_shapes(now_ns)

    def judge_connections(self, now_ns: int) -> None:
        """Judge the plain connections of which enough is known by now."""
        self._collector.judge_connections(now_ns)

    def counted(self) -> Counted:
        """What was counted since the last harvest, which stays there for the next."""
        return counted(self.state)

    def busy(self) -> Busy:
        """To see which conduits are busy, from look to look."""
        return Busy(self.state, self._names)

    def harvest(self, now_ns: int | None = None) -> Part:
        """What was seen since the last harvest, see `Collector.harvest`."""
        part = self._collector.harvest(now_ns)
        self._collector.permitted.mark(self._policy, self.last_ts_ns)
        part.permitted, part.permit_writes = self._collector.permitted.take_all()
        lost, shed = self._defrag.missing(), self._shed()
        part.lost_datagrams, part.shed = lost - self._told[0], shed - self._told[1]
        self._told = lost, shed
        if self.points is not None:
            part.points, part.points_shed = self.points.take_all()
        return part

    def _shed(self) -> int:
        words = (c.CTL_SHED_SHAPES, c.CTL_SHED_PENDING, c.CTL_SHED_BINDINGS)
        return (
            sum(int(self.state.ctl[word]) for word in words)
            + self._slow.shed
            + self._ageing.shed
            + self._collector.shed
            + self._collector.transfers.shed
            + self._collector.habits.shed
        )
