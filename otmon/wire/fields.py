"""The fields of the State: element types and sizes, for the compiled path and for Python alike."""

from typing import Final

from otmon import limits
from otmon.wire import columns as c
from otmon.wire import linknames
from otmon.wire.contract import OUT_SIZE

FAR_NAMES: Final = (
    *("run", "key", "pdu", "resync", "packet6", "unwrap", "evidence", "identify", "strip", "walk_pcapng", "deliver"),
    *("unit", "carried", "datagram", "tcp", "udp", "tcp_data", "packet", "find_shape", "pair", "emit_pdu"),
    *("emit_outcome", "drop_oldest", "abandon", "add_flow", "control", "gap", "repeated", "bind", "arp", "neighbour"),
    *("adopt", "frame", "head", "finish_conn", "finish_all", "reset_conn", "remember", "seen_before"),
    *("same_datagram", "urgent", "reading", "rehash", "settle_marks", "outer", "settle_times", "walk_pcap"),
    *("walk_ring", "syn", "find_request", "hold", "fills"),
)
"""All of them, those that take longest to compile first; the place here is the slot in front of a State's lines."""
FAR_SLOTS: Final = 64
LINE_WORDS: Final = 2
"""A field's line: address, rows."""
FIELDS: dict[str, tuple[str, int, int]] = {
    "flows": ("int64", 0, c.F_WORDS),
    "flow_index": ("int32", 0, 0),
    "conns": ("int64", 0, c.C_WORDS),
    "pairs": ("int64", 0, c.P_WORDS),
    "pair_index": ("int32", 0, 0),
    "shapes": ("int64", 0, c.S_WORDS),
    "shape_index": ("int32", 0, 0),
    "arena": ("int64", 0, 0),
    "folds": ("int64", 0, c.D_WORDS),
    "fold_index": ("int32", 0, 0),
    "hits": ("int64", 0, c.H_WORDS),
    "episodes": ("int64", 0, 0),
    "pending": ("int64", 0, c.Q_WORDS),
    "hosts6": ("int64", 0, 3),
    "host6_index": ("int32", 0, 0),
    "bindings": ("int64", 0, 3),
    "binding_index": ("int32", 0, 0),
    "hists": ("int32", 0, 2 * c.HIST_BUCKETS),
    "marks": ("int64", c.MARKS, 0),
    "pool": ("uint8", 0, 0),
    "slots": ("int64", 0, c.SLOT_FRAMES + 2),
    "scratch": ("uint8", limits.MAX_PDU_BYTES, 0),
    "history": ("int64", c.HISTORY_ENTRIES, 4),
    "history_bytes": ("uint8", c.HISTORY_BYTES, 0),
    "events": ("int64", c.EVENTS_CAP, c.E_WORDS),
    "ev_bytes": ("uint8", c.EV_BYTES_CAP, 0),
    "ev_frames": ("int64", c.EV_FRAMES_CAP, 0),
    "frames": ("int64", len(c.FRAME_BUCKETS), 0),
    "bytes": ("int64", len(c.BYTE_BUCKETS), 0),
    "funcs": ("int64", 0, 4),
    "classes": ("int64", 0, 256),
    "totals": ("int64", 0, len(c.TOTALS)),
    "unsupported": ("int64", linknames.REASONS, 65536),
    "realms": ("int64", 4096 + 256, 0),
    "touched": ("int64", 65536, 0),
    "ctl": ("int64", c.CTL_WORDS, 0),
    "out": ("int64", OUT_SIZE, 0),
    "link": ("int64", 32, 0),
    "seg": ("int64", c.G_WORDS, 0),
}
"""Element type, rows (0: they vary) and columns (0: one dimension) of each field.

What is fixed here is a constant in compiled code, and checks against it cost nothing.
"""
