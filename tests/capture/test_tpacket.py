"""The walk over a ring's blocks, on blocks made by hand: no kernel needed."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.capture.batch import LINK_ETHERNET, LINK_RAW
from otmon.capture.tpacket import ADVANCE_NS, BROKEN, DONE, STATE_SIZE, STEP_NS, STEPPED
from otmon.capture.walk import MAX_TS_NS
from otmon.limits import CLOCK_STEP_NS
from tests.capture.rings import VLAN, VLAN_TPID, Walked, block, frame, of
from tests.effort import examples

T = 1_795_000_000_000_000_123
S = 1_000_000_000
MACS = bytes(range(12))
PLAIN = MACS + b"\x08\x00" + b"payload"


def test_frames_in_order_where_they_lie():
    data = [PLAIN, b"", b"x", bytes(range(256)) * 6]
    walked = Walked(of(*((T + n, d) for n, d in enumerate(data))), before=4096, behind=64)
    assert walked.statuses == [DONE]
    assert walked.frames == data
    assert walked.times == [T, T + 1, T + 2, T + 3]
    assert walked.lengths == [(len(d), len(d)) for d in data]
    assert set(walked.records[:, 3]) == {LINK_ETHERNET}


def test_wire_length_of_a_cut_frame_and_one_that_is_too_small():
    assert Walked(of((T, PLAIN, {"wire": 1500}), (T, PLAIN, {"wire": 3}))).lengths == [(21, 1500), (21, 21)]


@pytest.mark.parametrize(
    ("status", "tpid", "written"), [(VLAN_TPID, 0x88A8, 0x88A8), (VLAN_TPID, 0x8100, 0x8100), (VLAN, 0, 0x8100)]
)
@pytest.mark.parametrize("mac", [82, 68])
def test_a_tag_is_put_back(status, tpid, written, mac):
    tagged = {"status": status, "tci": 0x6064, "tpid": tpid, "mac": mac}
    walked = Walked(of((T, PLAIN, tagged), (T, PLAIN), (T, PLAIN, tagged | {"wire": 100})))
    expected = MACS + struct.pack(">HH", written, 0x6064) + PLAIN[12:]
    assert walked.frames == [expected, PLAIN, expected]
    assert walked.lengths == [(25, 25), (21, 21), (25, 104)]


def test_no_tag_into_what_is_no_ethernet_or_has_no_addresses():
    tagged = {"status": VLAN_TPID, "tci": 1, "tpid": 0x8100}
    assert Walked(of((T, PLAIN, tagged)), link=LINK_RAW).frames == [PLAIN]
    assert Walked(of((T, MACS[:11], tagged))).frames == [MACS[:11]]
    assert Walked(of((T, MACS, tagged))).frames == [MACS + b"\x81\x00\x00\x01"]


def test_a_clock_set_back_goes_on_from_where_it_was():
    state = np.zeros(STATE_SIZE, np.int64)
    first = Walked(of((T, PLAIN), (T + 5 * S, PLAIN)), state)
    assert first.statuses == [DONE]
    second = Walked(of((T - 3600 * S, PLAIN), (T - 3598 * S, PLAIN), (T - 7200 * S, PLAIN)), state)
    assert second.statuses == [STEPPED, STEPPED, DONE]
    assert second.times == [T + 5 * S, T + 7 * S, T + 7 * S]
    assert state[STEP_NS] == 3602 * S
    assert state[ADVANCE_NS] == 3605 * S + 3602 * S
    third = Walked(of((T - 7199 * S, PLAIN)), state)
    assert third.times == [T + 8 * S]


def test_small_steps_are_left_to_the_clock_until_they_sum_up():
    back = CLOCK_STEP_NS // 2
    walked = Walked(of((T, PLAIN), (T - back, PLAIN), (T - 2 * back, PLAIN), (T - 3 * back, PLAIN)))
    assert walked.statuses == [STEPPED, DONE]
    assert walked.times == [T, T - back, T - 2 * back, T]


def test_a_clock_set_forward_is_left_as_it_is():
    walked = Walked(of((T, PLAIN), (T + 400 * 86_400 * S, PLAIN)))
    assert walked.times == [T, T + 400 * 86_400 * S]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(47),
        block([], count=1),
        of((T, PLAIN), count=2),
        of((T, PLAIN), first=4096)[:200],
        of((T, PLAIN, {"mac": 67})),
        of((T, PLAIN))[:-1],
        block([frame(T, PLAIN)[:4] + b"\xff" * 40]),
    ],
)
def test_headers_that_cannot_be(raw):
    walked = Walked(raw, before=128, behind=128)
    assert walked.statuses[-1] == BROKEN
    assert all(at >= 128 and at + (lengths >> 32) <= 128 + len(raw) for at, lengths, _, _ in walked.records)


def test_more_frames_than_rows_is_broken_not_an_overrun():
    walked = Walked(of((T, b"a"), (T, b"b"), (T, b"c")), rows=2)
    assert (walked.statuses, walked.frames) == ([BROKEN], [b"a", b"b"])


SOME_FRAMES = st.lists(
    st.builds(
        frame,
        st.integers(0, 2**32 * S - 1),
        st.binary(max_size=64),
        status=st.sampled_from([0, VLAN, VLAN_TPID, 0x40]),
        wire=st.sampled_from([0, 60, 2**32 - 1]),
        tci=st.integers(0, 2**32 - 1),
        mac=st.integers(60, 90),
    ),
    max_size=6,
)


@settings(max_examples=examples(200), deadline=None)
@given(
    SOME_FRAMES,
    st.integers(0, 8),
    st.lists(st.tuples(st.integers(0, 800), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
    st.booleans(),
)
def test_arbitrary_blocks_never_leave_the_block(frames, count, changes, cut, ethernet):
    raw = bytearray(block(frames, count=count))
    for at, value in changes:
        raw[at % len(raw)] = value
    check(bytes(raw[: max(1, len(raw) - cut)]), LINK_ETHERNET if ethernet else LINK_RAW)


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=600))
def test_arbitrary_bytes(raw):
    check(raw, LINK_ETHERNET)


def check(raw, link):
    state = np.zeros(STATE_SIZE, np.int64)
    for _ in range(3):  # what steps add up to stays within its bounds
        walked = Walked(raw, state, before=96, behind=96, link=link)
        assert walked.statuses[-1] in (DONE, BROKEN)
        for at, lengths, ts_ns, word in walked.records:
            assert 96 <= at <= at + (lengths >> 32) <= 96 + len(raw)
            assert lengths >> 32 <= lengths & 0xFFFFFFFF
            assert 0 <= ts_ns <= MAX_TS_NS
            assert word == link
        outside = np.r_[walked.buf[:96], walked.buf[96 + len(raw) :]]
        assert not outside.any()
