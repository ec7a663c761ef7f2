"""Columns of the compiled path's tables, slots of its counters, codes of its results. Words are int64."""

from typing import Final

# --- flows: one row a direction; flow f and its peer f ^ 1 are connection f >> 1. 16 words: two cache lines ----------
F_K0: Final = 0
"""Source host << 32 | destination host (IPv4 addresses, or numbers of IPv6 hosts)."""
F_K1: Final = 1
"""Ports, transport, IP family and realm; see `flow_key`."""
F_HELD: Final = 2
"""Slot of a segment that overtook another (otmon.wire.held), -1: none."""
F_SEQ: Final = 3
"""Next TCP sequence number expected, -1 until one was seen."""
F_ACKED: Final = 4
"""Highest acknowledgement the other side sent for this direction, -1: none."""
F_BITS: Final = 5
"""FLOW_* flags."""
F_FRAMES: Final = 6
F_BYTES: Final = 7
F_SIG: Final = 8
"""Signatures of the last four frames (columns 8-11), to tell copies."""
F_LAST_TS: Final = 12
F_CARRY: Final = 13
"""Carry slot << 16 | bytes in it, -1: none: a wire unit that runs over the segment's end."""
F_ASM: Final = 14
"""Assembly slot << 16 | bytes in it, -1: none: a PDU of several units."""
F_HISTORY: Final = 15
"""Number of this flow's newest entry in the history, 0: none."""
F_WORDS: Final = 16

FLOW_SYN: Final = 1
FLOW_FIN: Final = 2
FLOW_RST: Final = 4
FLOW_PAYLOAD: Final = 8
FLOW_RESYNC_HOLE: Final = 16
"""The next byte may be anywhere in a PDU, because of a hole or because capture began here."""
FLOW_RESYNC_BAD: Final = 32
"""The same, because of malformed bytes."""
FLOW_SYNACK: Final = 64
FLOW_MIDSTREAM: Final = 256
FLOW_BEHIND_HOLE: Final = 512
"""Units again after a hole, but no whole PDU yet: fragments of one whose beginning is missing are no fault."""
FLOW_TWO_READINGS: Final = 1024
"""The beginning of the PDU under way came with other bytes as well."""

# --- connections: every frame touches the first cache line, every PDU the second -------------------------------------
C_PROTO: Final = 0
"""Index into PROTOCOLS, PROTO_UNDECIDED or PROTO_NONE."""
C_CLIENT: Final = 4
"""Which direction is the client's: 0, 1, -1 undecided."""
C_ROLE: Final = 15
"""How that is known: ROLE_*."""
C_PAIR: Final = 5
"""Row of the pair, -1 until roles and protocol are known."""
C_SLOW: Final = 1
"""Nonzero: frames of this connection go to the slow path; SLOW_HELD: but the one that fills a hole."""
SLOW_HELD: Final = 2
C_HEAD: Final = 8
C_TAIL: Final = 9
C_PENDING: Final = 10
C_SHAPE: Final = 11
"""Shape last seen, for prediction; -1."""
C_FIRST_TS: Final = 16
C_FIRST_FRAME: Final = 17
C_LAST_TS: Final = 6
C_VLAN: Final = 3
"""Up to two different VLAN words seen, 16 bits each; 0xFFFF none."""
C_GAPS: Final = 18
C_MISSING: Final = 19
C_GAP_TS: Final = 12
"""Time of the last hole in the server's direction."""
C_ENCRYPTED: Final = 20
C_NUMBER: Final = 21
"""Number given at the first frame, from 1."""
C_SAMPLED: Final = 22
"""What the fragments to come stand for, if they go on with a response that was sampled: its count; else 0."""
C_SYN_SEQ: Final = 2
"""Of a SYN that came inside a live connection: its direction << 32 | the sequence number behind it; -1."""
C_PORT_HINT: Final = 7
"""Protocol registered for one of the ports, -1."""
C_ASM_WIRE: Final = 13
"""Wire bytes that the two assembly slots stand for: direction 0 here, 1 in the next column."""
C_CLOSED: Final = 23
C_MALFORMED: Final = 24
"""Malformed bytes, both directions."""
C_BEGUN: Final = 25
"""First sequence number of direction 0 as its SYN told, with bit 32 set; 0: no SYN. Direction 1: the next column."""
C_TOLD: Final = 27
"""Which sides told who they are while they connected: 1 direction 0, 2 direction 1."""
C_STACK: Final = 28
"""Of the SYN: hop limit, window << 8, maximum segment size << 24, window scale + 1 << 40, 1 << 48; 0: unseen."""
C_OPTIONS: Final = 29
"""The kinds of its options, the first in the lowest 4 bits: kind + 1, 15 for those above 13."""
C_REFERENCE: Final = 30
"""Reference that the client gave its end of the session (COTP); 0: none."""
C_TOKENS: Final = 31
"""Of the first two requests: low 16 bits of the token, the second << 16; TOKEN_* flags; OUT_FUNC << TOKEN_FUNCTION, the
second TOKEN_FUNCTION_BITS higher; 0: none yet. Of what began with one, C_SHAPE is SHAPE_SECOND until the next."""
C_WORDS: Final = 32

HINT_ENCRYPTED: Final = 1 << 8
"""Added to C_PORT_HINT: what the connection carries is TLS."""

TOKEN_FIRST: Final = 1 << 32
TOKEN_SECOND: Final = 1 << 33
TOKEN_NONE: Final = 1 << 34
"""It begins with something else, or behind a hole."""
TOKEN_FUNCTION: Final = 35
TOKEN_FUNCTION_BITS: Final = 13
SHAPE_SECOND: Final = -2

PROTO_UNDECIDED: Final = -1
PROTO_NONE: Final = -2

ROLE_ASSUMED: Final = 1
ROLE_RESPONSE: Final = 2
ROLE_PORT: Final = 3
ROLE_SYN: Final = 4
ROLE_APPLICATION: Final = 5

TRANSPORT_TCP: Final = 6
TRANSPORT_UDP: Final = 17

# --- pairs: who speaks to which service ----------------------------------------------------------------------------
P_K0: Final = 0
"""Client host << 32 | server host."""
P_K1: Final = 1
"""As a flow's key, with the client's port 0 and the protocol in the top byte."""
P_WORDS: Final = 2

# --- shapes: the first cache line finds and counts, the second has outcomes ------------------------------------------
S_K0: Final = 0
"""Pair << 24 | protocol << 16 | kind << 13 | from_client << 12 | wide << 11 | number of words (of LONG: 0x400)."""
S_K1: Final = 1
S_K2: Final = 2
S_K3: Final = 3
S_NEXT: Final = 4
S_VERDICT: Final = 5
S_HIT: Final = 16
S_COUNT: Final = 6
S_FIRST_TS: Final = 19
S_LAST_TS: Final = 7
S_ACCEPTED: Final = 10
S_REJECTED: Final = 11
S_PARTIAL: Final = 12
S_UNANSWERED: Final = 13
S_UNSEEN: Final = 14
S_BYTES: Final = 8
S_VMIN: Final = 17
S_VMAX: Final = 18
S_HIST: Final = 9
S_SAMPLE: Final = 15
"""SAMPLE_*: of which of its messages the values are wanted."""
S_FIRST_FRAME: Final = 20
S_TICK: Final = 21
"""Count at the last tick."""
S_IDENTITY: Final = 22
"""Handed up for identity: 1 a response to it, 2 a message of it."""
S_SAMPLED: Final = 23
"""Count at the last sample."""
S_WORDS: Final = 24

S_LONG: Final = 0x400
S_WIDE: Final = 0x800

SAMPLE_OFF: Final = 0
SAMPLE_IDLE: Final = 1
"""Of those that are handed up to be judged, what they set."""
SAMPLE_ONCE: Final = 2
"""Of the next one and of its response."""
SAMPLE_ALWAYS: Final = 3
"""Of every one and of its response."""

VERDICT_UNKNOWN: Final = 0
VERDICT_PASS: Final = 1
VERDICT_ALERT: Final = 2
VERDICT_INSPECT: Final = 3
VERDICT_BOUNDS: Final = 4

OUTCOME_ACCEPTED: Final = 1
OUTCOME_REJECTED: Final = 2
OUTCOME_PARTIAL: Final = 3
OUTCOME_UNANSWERED: Final = 4
OUTCOME_UNSEEN: Final = 5
OUTCOME_PENDING: Final = 6

# --- hits: what one shape adds to one episode ----------------------------------------------------------------------
H_EPISODE: Final = 0
H_SHAPE: Final = 1
H_COUNT: Final = 2
"""Column H_COUNT + OUTCOME_* counts that outcome."""
H_FIRST_TS: Final = 9
H_LAST_TS: Final = 10
H_WORDS: Final = 12

# --- pending requests ----------------------------------------------------------------------------------------------
Q_TOKEN: Final = 0
Q_REPLY: Final = 1
"""OUT_REPLY_KEY and these bits."""
REPLY_PERHAPS: Final = 1 << 61
"""There may be no response."""
REPLY_LATE: Final = 1 << 62
"""Somebody answered in its place: it is settled, and waits for its own response."""
Q_SHAPE: Final = 2
Q_TS: Final = 3
Q_N: Final = 4
Q_NEXT: Final = 5
Q_HIT: Final = 6
Q_JUDGED: Final = 7
"""Bit 0 not set: its shape was UNKNOWN, ALERT or INSPECT without a hit: its outcome is handed up.

Above: how many messages it stands for if its response is to be sampled as well; else 0.
"""
Q_WORDS: Final = 8

# --- folds: shapes of one (pair, unit, function) -------------------------------------------------------------------
D_K0: Final = 0
D_K1: Final = 1
D_COUNT: Final = 2
D_WIDE: Final = 3
D_WORDS: Final = 4

# --- events --------------------------------------------------------------------------------------------------------
E_TYPE: Final = 0
E_FLAGS: Final = 1
E_SHAPE: Final = 2
E_N: Final = 3
E_TS: Final = 4
E_CONN: Final = 5
E_FROM_CLIENT: Final = 6
E_OFF: Final = 7
"""PDU: offset and length in ev_bytes."""
E_LEN: Final = 8
E_PENDING: Final = 9
E_REQUEST: Final = 10
"""Number of the request a response answers, 0: none."""
E_FRAMES: Final = 11
E_NFRAMES: Final = 12
E_OUTCOME: Final = 13
E_KIND: Final = 14
E_FRAME: Final = 15
E_WORDS: Final = 16

EV_PDU: Final = 1
EV_OUTCOME: Final = 2
EV_BINDING: Final = 3
EV_CONFLICT: Final = 4
"""Another reading of a stream: E_OFF and E_LEN are all of it, E_FIRST and E_COUNT what of it is new, E_WHY is why."""
E_FIRST: Final = E_REQUEST
E_COUNT: Final = E_N
E_WHY: Final = E_OUTCOME
(
    WHY_EITHER, WHY_FIRST_WRONG, WHY_LATER_WRONG, WHY_UNSURE, WHY_URGENT, WHY_UNKNOWN,
) = range(6)  # fmt: skip
"""Other bytes: both checksums are right, the first one's is wrong, the later one's, or it cannot be said. Urgent data.
Bytes that cannot be compared any more, or an end to what was another reading: no evidence by itself."""

EVF_JUDGE: Final = 1
EVF_MESSAGE: Final = 2
EVF_IDENTITY: Final = 4
EVF_SAMPLE: Final = 8
"""Its values are wanted, and those of its response."""
EVF_BESIDE: Final = 16
"""Handed up to be judged: what it sets is taken along."""
EVF_TRANSFER: Final = 32
"""Part of a transfer of logic or of a file. The same bit as FLAG_TRANSFER of otmon.wire.contract."""
EVF_ORDER: Final = 64
"""A response that several open requests could claim: the oldest has it."""
EVF_LATE: Final = 128
"""A response that comes after another spoke in its place."""
EVF_COUNT: Final = 8
"""Above this bit: how many messages of its shape a sample stands for."""

# --- control words -------------------------------------------------------------------------------------------------
CTL_SEED: Final = 0
CTL_CONNS: Final = 1
CTL_PAIRS: Final = 2
CTL_SHAPES: Final = 3
CTL_HITS: Final = 4
CTL_FOLDS: Final = 5
CTL_EVENTS: Final = 6
CTL_EV_BYTES: Final = 7
CTL_EV_FRAMES: Final = 8
CTL_ARENA: Final = 9
CTL_FREE_PENDING: Final = 10
CTL_FREE_SLOT: Final = 11
CTL_HOSTS6: Final = 12
CTL_BINDINGS: Final = 13
CTL_HISTS: Final = 14
CTL_N: Final = 15
"""Number of the last PDU."""
CTL_NUMBER: Final = 16
"""Number of the last connection."""
CTL_HISTORY: Final = 18
"""Number of the newest history entry."""
CTL_HISTORY_POS: Final = 19
"""Bytes ever written to the history."""
CTL_MESSAGES: Final = 20
CTL_HORIZON: Final = 21
CTL_QUIET: Final = 22
CTL_JOB: Final = 23
CTL_JOBS: Final = 24
CTL_FORCE_SLOW: Final = 25
CTL_FRAME: Final = 26
"""Input << 40 | number of the frame in work."""
CTL_SHED_SHAPES: Final = 27
CTL_SHED_PENDING: Final = 29
CTL_TICK_TS: Final = 32
CTL_TICKS: Final = 33
"""1: return at every new second of capture time with the rows touched."""
CTL_TOUCHED: Final = 34
CTL_LAST_TS: Final = 35
CTL_SHED_BINDINGS: Final = 38
CTL_NEED: Final = 39
"""Rows asked for when the loop stops to grow."""
CTL_REALM: Final = 40
"""Realm of the input in work."""
CTL_CREDIT: Final = 42
"""Rows the loop may use before it asks for room again."""
CTL_EXPRESS: Final = 43
"""1: the express lane is open (one realm, one job)."""
CTL_MARKS: Final = 44
"""Durations noted and not counted yet."""
CTL_ASKED: Final = 45
"""Events since the last drain that wait for a verdict."""
CTL_SHARE: Final = 46
"""Processes that share the caps of otmon.limits, each with its own tables."""
CTL_SAMPLE: Final = 47
"""S_SAMPLE of a new shape."""
CTL_WORDS: Final = 64

# --- totals of a protocol (state.totals) ---------------------------------------------------------------------------
TOTALS: Final = ("pdus", "requests", "responses", "exceptions", "malformed", "units", "bad_units")
(
    TOTAL_PDUS, TOTAL_REQUESTS, TOTAL_RESPONSES, TOTAL_EXCEPTIONS, TOTAL_MALFORMED, TOTAL_UNITS, TOTAL_BAD_UNITS,
) = range(7)  # fmt: skip

# --- buckets -------------------------------------------------------------------------------------------------------
FRAME_BUCKETS: Final = (
    "ot", "tcp_control", "other_ip", "non_ip", "fragment", "copy", "malformed", "truncated", "unsupported", "shed",
    "internal",
)  # fmt: skip
(
    FB_OT, FB_TCP_CONTROL, FB_OTHER_IP, FB_NON_IP, FB_FRAGMENT, FB_COPY, FB_MALFORMED, FB_TRUNCATED, FB_UNSUPPORTED,
    FB_SHED, FB_INTERNAL,
) = range(11)  # fmt: skip
BYTE_BUCKETS: Final = (
    "decoded", "gap", "malformed", "unrecognised", "encrypted", "truncated", "copy", "shed", "pending", "seen",
)  # fmt: skip
(
    BB_DECODED, BB_GAP, BB_MALFORMED, BB_UNRECOGNISED, BB_ENCRYPTED, BB_TRUNCATED, BB_COPY, BB_SHED, BB_PENDING,
    BB_SEEN,
) = range(10)  # fmt: skip

# --- why the loop came back ----------------------------------------------------------------------------------------
STOP_END: Final = 0
STOP_SLOW: Final = 1
"""The segment in `seg` needs the slow path."""
STOP_FULL: Final = 2
"""Events are to be drained."""
STOP_GROW: Final = 3
STOP_FRAGMENT: Final = 4
STOP_HORIZON: Final = 5
STOP_TICK: Final = 6

# --- the segment in work (state.seg) -------------------------------------------------------------------------------
(G_FLOW, G_SEQ, G_ACK, G_FLAGS, G_START, G_END) = range(6)
G_LENGTH: Final = 6
"""Payload bytes on the wire; more than END - START if the frame was cut by the snap length."""
(G_TS, G_TRANSPORT, G_L3, G_L3_END, G_FAMILY, G_REALM, G_CUT, G_SIG, G_VLAN, G_SMAC) = range(7, 17)
G_STACK: Final = 17
"""As C_STACK, of the last SYN; G_OPTIONS as C_OPTIONS."""
G_OPTIONS: Final = 18
G_WORDS: Final = 24

SLOT_BYTES: Final = 8192
SLOT_FRAMES: Final = 16
EVENTS_CAP: Final = 131072
EV_BYTES_CAP: Final = 4 * 1024 * 1024
EV_FRAMES_CAP: Final = 65536
HISTORY_ENTRIES: Final = 8192
HISTORY_BYTES: Final = 1024 * 1024
HISTORY_DEPTH: Final = 32
"""Entries of one flow looked at when a segment comes again."""
HISTORY_HEAD: Final = 32
"""An entry's third word: bytes of payload, those of the headers before it from this bit on, and HISTORY_ flags."""
HISTORY_BEGINS: Final = 1 << 48
"""No PDU was under way when it came: one begins with it."""
HISTORY_RIGHT: Final = 1 << 49
"""Its bytes are no longer those that came; its checksums were right."""
HISTORY_WRONG: Final = 1 << 50
HISTORY_UNSURE: Final = 1 << 51
HIST_BUCKETS: Final = 128
MARK_SHIFT: Final = 8
"""A mark is a histogram's row above its bucket, of 2 * HIST_BUCKETS."""
MARKS: Final = 1024
COPY_TCP_NS: Final = 1_000_000_000
COPY_NS: Final = 10_000_000
"""Without an IP identification, and for datagrams, an equal frame is a copy only within 10 ms."""
