"""Hypothesis strategies: whole captures of several spoilt conversations, and policies to judge them by."""

from dataclasses import replace
from functools import cache
from heapq import merge
from typing import Any

from hypothesis import strategies as st

from tests.engine.traffic import MISCHIEF, PORTS, Shot, conversation, exchanges, frames, spoil
from tests.engine.world import Frame
from tests.hostile.kit import Session
from tests.policy.policy_kit import policy

PERMITTED = """
    otmon: 1
    timezone: UTC
    site: works
    zones:
      control: {hosts: [10.0.1.0/24, "fd00:1::/64"]}
      supervision: {hosts: [10.0.2.0/24, "fd00:2::/64"]}
    conduits:
      - id: polls
        from: supervision
        to: control
        allow:
          - {protocol: modbus, functions: [read_holding_registers], addresses: 0-4}
          - {protocol: modbus, access: write, addresses: 0-7, values: 0-20}
          - {protocol: s7comm, functions: [read_var], items: [DB1.DBB0-5]}
          - {protocol: dnp3, functions: [read, select, operate], objects: [g12 0-3, g60]}
      - id: maintenance
        from: supervision
        to: control
        during: {hours: "22:14-22:20"}
        allow:
          - {protocol: modbus, access: [read, write], addresses: 0-60}
          - {protocol: s7comm, functions: [write_var, plc_stop]}
          - {protocol: dnp3, functions: [cold_restart]}
"""
REFUSED = """
    otmon: 1
    site: works
    zones:
      control: {hosts: [10.0.1.0/24, "fd00:1::/64"]}
    never:
      - {to: control, operations: [{protocol: modbus, access: write}], because: "safety relay"}
"""


@cache
def policies() -> dict[str, Any]:
    return {"none": None, "permitted": policy(PERMITTED), "refused": policy(REFUSED)}


DEEDS = st.tuples(st.integers(0, len(MISCHIEF) - 1), st.integers(0, 60), st.integers(0, 63))
ISN = st.sampled_from([(1000, 5000), (2**32 - 20, 2**32 - 3), (2**31 - 9, 0)])


@st.composite
def conversations(draw: Any, number: int) -> list[Shot]:
    """One conversation, spoilt. Several may share hosts, and even ports; `number` tells them apart by default."""
    protocol = draw(st.sampled_from(sorted(PORTS)))
    family = draw(st.integers(0, 3))
    host = draw(st.integers(1, 2))
    client, server = (f"10.0.2.{host}", f"10.0.1.{host}") if family else (f"fd00:2::{host}", f"fd00:1::{host}")
    port = draw(st.sampled_from([PORTS[protocol], PORTS[protocol], 4000]))
    kinds = draw(st.lists(st.integers(0, 5), min_size=1, max_size=7))
    shots = conversation(
        Session(client, server, 49152 + number, port),
        exchanges(protocol, kinds, draw(st.sampled_from([1, 2, 40]))),
        opening=draw(st.booleans()),
        closing=draw(st.booleans()),
        isn=draw(ISN),
        step_ns=draw(st.sampled_from([1_000_000, 400_000, 1])),
        pipelined=draw(st.integers(1, 3)),
    )
    shots = spoil(shots, draw(st.lists(DEEDS, max_size=6)))
    if draw(st.integers(0, 4)) == 0:  # the same ports again, with or without having said good-bye
        later = conversation(shots[0].session, exchanges(protocol, kinds), isn=draw(ISN), ip_id=9000) if shots else []
        pause = shots[-1].ts_ns + draw(st.sampled_from([10**6, 10**10])) if shots else 0
        shots += [replace(s, ts_ns=s.ts_ns - later[0].ts_ns + pause) for s in later]
    return shots


def woven(conversations: list[list[Shot]]) -> list[Frame]:
    """One capture, by time."""
    return list(merge(*map(frames, conversations), key=lambda frame: frame.ts_ns))


@st.composite
def captures(draw: Any) -> list[Frame]:
    """Up to three conversations."""
    count = draw(st.integers(1, 3))
    return woven([draw(conversations(number)) for number in range(count)])
