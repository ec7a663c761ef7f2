"""Stream bytes in order -> wire units -> canonical PDUs: carrying over segment ends, assembly, resynchronisation."""

from collections.abc import Callable
from typing import Any

from otmon.wire.accounts import bad
from otmon.wire.columns import (
    BB_GAP,
    BB_MALFORMED,
    BB_SHED,
    BB_TRUNCATED,
    C_ASM_WIRE,
    C_MALFORMED,
    C_PROTO,
    CTL_FRAME,
    CTL_FREE_SLOT,
    F_ASM,
    F_BITS,
    F_CARRY,
    FLOW_BEHIND_HOLE,
    FLOW_RESYNC_BAD,
    FLOW_RESYNC_HOLE,
    FLOW_TWO_READINGS,
    SLOT_BYTES,
    TOTAL_BAD_UNITS,
    TOTAL_UNITS,
)
from otmon.wire.conflicts import far_reading
from otmon.wire.contract import (
    FAULT_CLASS,
    FAULTS,
    UNWRAP_BAD,
    UNWRAP_BUILT,
    UNWRAP_DROPPED,
    UNWRAP_FAULT,
    UNWRAP_KEPT,
    UNWRAP_MORE,
    UNWRAP_STATUS,
    UNWRAP_WHOLE,
)
from otmon.wire.events import add_frame
from otmon.wire.far import far
from otmon.wire.loads import copy, jit


@jit
def take_slot(state: Any) -> int:
    """A free slot of the pool, -1 if there is none."""
    slot = state.ctl[CTL_FREE_SLOT]
    if slot >= 0:
        state.ctl[CTL_FREE_SLOT] = state.slots[slot, 0]
        state.slots[slot, 1] = 0
    return slot


@jit
def free_slot(state: Any, slot: int) -> None:
    """Give a slot back."""
    state.slots[slot, 0] = state.ctl[CTL_FREE_SLOT]
    state.ctl[CTL_FREE_SLOT] = slot


@jit
def abandon(state: Any, flow: int, byte_bucket: int) -> None:
    """Drop what the flow carries and assembles; the bytes go to the bucket."""
    flows = state.flows
    held = flows[flow, F_CARRY]
    if held >= 0:
        state.bytes[byte_bucket] += held & 0xFFFF
        free_slot(state, held >> 16)
        flows[flow, F_CARRY] = -1
    held = flows[flow, F_ASM]
    if held >= 0:
        wire = C_ASM_WIRE + (flow & 1)
        state.bytes[byte_bucket] += state.conns[flow >> 1, wire]
        state.conns[flow >> 1, wire] = 0
        free_slot(state, held >> 16)
        flows[flow, F_ASM] = -1


far_abandon = far("abandon", "v(sii)", abandon)


@jit
def hole(state: Any, flow: int, truncated: int) -> None:
    """Bytes are missing here: what was begun cannot be finished."""
    far_abandon(state, flow, BB_TRUNCATED if truncated else BB_GAP)
    state.flows[flow, F_BITS] = (state.flows[flow, F_BITS] & ~(FLOW_RESYNC_BAD | FLOW_TWO_READINGS)) | FLOW_RESYNC_HOLE


def make_deliver(
    frame_of: Callable[..., int],
    unwrap_here: Callable[..., tuple[int, int, int]],
    unwrap_of: Callable[..., tuple[int, int, int]],
    key_of: Callable[..., int],
    scans: Callable[[int], int],
    pdu: Callable[..., None],
) -> tuple[Callable[..., None], Callable[..., None]]:
    """(`deliver` for streams, `deliver_datagram`) for these protocols.

    `unwrap_here` is compiled into the hot loop, `unwrap_of` is the same far away.
    """

    @jit
    def again(proto: int, buf: Any, a: int, b: int) -> int:
        """Where in a unit buf[a:b] that is none the next one may begin; `b`: not there."""
        if not scans(proto):
            return b
        a += 1
        while a < b and frame_of(proto, buf, a, b) < 0:
            a += 1
        return a

    @jit
    def unit(state: Any, buf: Any, a: int, b: int, flow: int, proto: int, ts: int, slot: int) -> int:
        """One complete wire unit buf[a:b]; `slot` holds the frames that brought it, -1: the one in work.

        How many of its last bytes must be read again: those of a damaged unit may be the beginning of the next.
        """
        state.totals[proto, TOTAL_UNITS] += 1
        conn = flow >> 1
        wire = C_ASM_WIRE + (flow & 1)
        held = state.flows[flow, F_ASM]
        if held >= 0:
            asm_slot, fill = held >> 16, held & 0xFFFF
            asm = state.pool[asm_slot * SLOT_BYTES : (asm_slot + 1) * SLOT_BYTES]
        else:
            asm_slot, fill = -1, 0
            asm = state.scratch
        status, x, y = unwrap_here(proto, buf, a, b, asm, fill)
        length = b - a
        kept = 0
        if status > UNWRAP_STATUS:
            kept = status >> UNWRAP_KEPT
            fault = status >> UNWRAP_FAULT & FAULTS
            if fault > 0:
                state.classes[proto, FAULT_CLASS + fault] += 1
            if status & UNWRAP_DROPPED:
                bad(state, conn, state.conns[conn, wire] - kept)
                state.conns[conn, wire] = kept
                if asm_slot >= 0 and kept == 0:
                    state.slots[asm_slot, 1] = 0
            status &= UNWRAP_STATUS
        if status == UNWRAP_WHOLE:
            state.flows[flow, F_BITS] &= ~FLOW_BEHIND_HOLE
            pdu(state, buf, x, y, length, flow, proto, ts, slot)
            if asm_slot >= 0 and state.conns[conn, wire] == 0:
                free_slot(state, asm_slot)
                state.flows[flow, F_ASM] = -1
            return 0
        if status == UNWRAP_MORE:
            if asm_slot < 0:
                asm_slot = take_slot(state)
                if asm_slot < 0:
                    state.bytes[BB_SHED] += length
                    return 0
                base = asm_slot * SLOT_BYTES
                copy(state.pool, base, asm, 0, y)
            _frames(state, asm_slot, slot)
            state.conns[conn, wire] += length
            state.flows[flow, F_ASM] = (asm_slot << 16) | y
            return 0
        rest = 0
        if status == UNWRAP_BUILT:
            state.flows[flow, F_BITS] &= ~FLOW_BEHIND_HOLE
            length += state.conns[conn, wire] - kept
            state.conns[conn, wire] = kept
            if asm_slot >= 0:
                state.flows[flow, F_ASM] = (asm_slot << 16) | x
                _frames(state, asm_slot, slot)
                pdu(state, asm, x, y, length, flow, proto, ts, asm_slot)
            else:
                pdu(state, asm, x, y, length, flow, proto, ts, slot)
        else:
            rest = b - again(proto, buf, a, b)
            if state.flows[flow, F_BITS] & FLOW_BEHIND_HOLE:
                state.bytes[BB_GAP] += length - rest
            else:
                bad(state, conn, length - rest)
                state.totals[proto, TOTAL_BAD_UNITS] += 1
        if kept > 0 and status == UNWRAP_BAD:
            state.flows[flow, F_ASM] = (asm_slot << 16) | y
        if asm_slot >= 0 and state.conns[conn, wire] == 0:
            free_slot(state, asm_slot)
            state.flows[flow, F_ASM] = -1
        return rest

    far_unit = far("unit", "i(sbiiiiii)", unit)

    @jit
    def aligned(state: Any, proto: int, buf: Any, a: int, e: int) -> int:
        """Whether PDUs begin at `a`: whole ones to the end, or one with a sound key and nothing impossible after."""
        length = frame_of(proto, buf, a, e)
        if length <= 0 or a + length > e:
            return 0
        status, x, y = unwrap_of(state, proto, buf, a, a + length, state.scratch, 0)
        sound = 1 if status == UNWRAP_MORE or scans(proto) else 0
        if status == UNWRAP_WHOLE:
            sound = 1 if key_of(state, proto, buf, x, y, -1) >= 0 else 0
        elif status == UNWRAP_BUILT:
            sound = 1 if key_of(state, proto, state.scratch, x, y, -1) >= 0 else 0
        a += length
        while a < e:
            length = frame_of(proto, buf, a, e)
            if length < 0:
                return 0
            if length == 0 or a + length > e:
                return sound
            a += length
        return 1  # units that end just where the segment does need no sound key

    @jit
    def seek(state: Any, proto: int, buf: Any, a: int, e: int) -> int:
        """First place at or after `a` where a whole unit stands, or `e`; only for protocols strict enough to look."""
        if not scans(proto):
            return e
        while a < e:
            length = frame_of(proto, buf, a, e)
            if length > 0 and a + length <= e:
                return a
            a += 1
        return e

    @jit
    def resync(state: Any, proto: int, buf: Any, a: int, e: int) -> int:
        """Where PDUs begin again: `a`, a later place (strict protocols), or `e`."""
        return a if aligned(state, proto, buf, a, e) else seek(state, proto, buf, a, e)

    far_resync = far("resync", "i(sibii)", resync)

    @jit
    def finish_carry(state: Any, buf: Any, a: int, e: int, flow: int, proto: int, ts: int) -> int:
        """Complete the unit carried over from the segment before; returns where the next one begins, or `e`."""
        held = state.flows[flow, F_CARRY]
        slot, have = held >> 16, held & 0xFFFF
        base = slot * SLOT_BYTES
        pool = state.pool
        while True:
            need = 0
            while True:
                need = frame_of(proto, pool, base, base + have)
                if need != 0 or a >= e:
                    break
                if have >= SLOT_BYTES:
                    need = -1
                    break
                pool[base + have] = buf[a]
                have += 1
                a += 1
            if need > SLOT_BYTES:
                need = -1
            if need > have:
                take = min(need - have, e - a)
                copy(pool, base + have, buf, a, take)
                have += take
                a += take
            if need == 0 or need > have:
                add_frame(state, slot, state.ctl[CTL_FRAME])
                state.flows[flow, F_CARRY] = (slot << 16) | have
                return e
            state.flows[flow, F_CARRY] = -1
            if need < 0:
                behind = again(proto, pool, base, base + have)
                bad(state, flow >> 1, behind - base)
                if behind == base + have:
                    state.flows[flow, F_BITS] |= FLOW_RESYNC_BAD
                    break
            else:
                # What is behind the unit is there only if an earlier one was none.
                behind = base + need - far_unit(state, pool, base, base + need, flow, proto, ts, slot)
                if behind == base + have:
                    break
            have += base - behind
            for i in range(have):
                pool[base + i] = pool[behind + i]
        free_slot(state, slot)
        if state.flows[flow, F_BITS] & FLOW_TWO_READINGS:
            state.flows[flow, F_BITS] &= ~FLOW_TWO_READINGS
            far_reading(state, flow, ts)
        return a

    far_carried = far("carried", "i(sbiiiii)", finish_carry)

    @jit
    def deliver(state: Any, buf: Any, a: int, e: int, flow: int, ts: int) -> None:
        """The next bytes buf[a:e] of a direction."""
        proto = state.conns[flow >> 1, C_PROTO]
        flows = state.flows
        if flows[flow, F_CARRY] >= 0:
            a = far_carried(state, buf, a, e, flow, proto, ts)
        while a < e:
            bits = flows[flow, F_BITS]
            if bits & (FLOW_RESYNC_HOLE | FLOW_RESYNC_BAD):
                bucket = BB_GAP if bits & FLOW_RESYNC_HOLE else BB_MALFORMED
                at = far_resync(state, proto, buf, a, e)
                state.bytes[bucket] += at - a
                if bucket == BB_MALFORMED:
                    state.conns[flow >> 1, C_MALFORMED] += at - a
                a = at
                if a >= e:
                    return
                behind = FLOW_BEHIND_HOLE if bits & FLOW_RESYNC_HOLE else 0
                flows[flow, F_BITS] = (bits & ~(FLOW_RESYNC_HOLE | FLOW_RESYNC_BAD)) | behind
            length = frame_of(proto, buf, a, e)
            if length > 0 and a + length <= e:
                a += length - unit(state, buf, a, a + length, flow, proto, ts, -1)
            elif length < 0 or e - a > SLOT_BYTES:
                far_abandon(state, flow, BB_MALFORMED)
                at = seek(state, proto, buf, a + 1, e)
                bad(state, flow >> 1, at - a)
                a = at
                if a >= e:
                    flows[flow, F_BITS] |= FLOW_RESYNC_BAD
            else:
                slot = take_slot(state)
                if slot < 0:
                    state.bytes[BB_SHED] += e - a
                    flows[flow, F_BITS] |= FLOW_RESYNC_HOLE
                    return
                base = slot * SLOT_BYTES
                copy(state.pool, base, buf, a, e - a)
                add_frame(state, slot, state.ctl[CTL_FRAME])
                flows[flow, F_CARRY] = (slot << 16) | (e - a)
                return

    @jit
    def deliver_datagram(state: Any, buf: Any, a: int, e: int, flow: int, ts: int) -> None:
        """One datagram: units from its start to its end; what is left over is malformed."""
        proto = state.conns[flow >> 1, C_PROTO]
        while a < e:
            length = frame_of(proto, buf, a, e)
            if length == 0 or (length < 0 and scans(proto)):
                bad(state, flow >> 1, e - a)
                return
            # It may be cut, or longer than it says: servers exist that do what stands in it all the same.
            behind = e if length < 0 else min(a + length, e)
            a = behind - far_unit(state, buf, a, behind, flow, proto, ts, -1)

    return deliver, deliver_datagram


@jit
def _frames(state: Any, target: int, source: int) -> None:
    """Add the frames of slot `source` (-1: the frame in work) to slot `target`."""
    if source >= 0:
        for i in range(state.slots[source, 1]):
            add_frame(state, target, state.slots[source, 2 + i])
    add_frame(state, target, state.ctl[CTL_FRAME])
