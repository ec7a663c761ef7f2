"""A site as large as a sensor promises to hold: `python -m benchmarks.limits [--share N]`.

20,000 hosts, 100,000 connections that stay open, 1,000,000 operations and 1,000 alerts, shown to the sensor's own loop
on a clock that is turned as fast as it goes. No interface and no root: frames are made in memory. Prints JSON.
"""

import argparse
import json
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOSTS, CONNECTIONS, CLIENTS, GUESTS = 20_000, 100_000, 200, 2
FUNCTIONS = (3, 3, 3, 3, 3, 3, 4, 4, 4, 1)
"""Of the operations of a connection, each at an address of its own. Guests may not do the last: an alert for each."""
OPERATIONS, ALERTS = CONNECTIONS * len(FUNCTIONS), CONNECTIONS * GUESTS // CLIENTS
LIMIT_MIB = 1024
POLICY = """otmon: 1
site: large
zones:
  clients: {level: 2, hosts: [10.10.0.0/16]}
  guests:  {level: 3, hosts: [10.11.0.0/16]}
  servers: {level: 1, hosts: [10.20.0.0/16]}
conduits:
  - {id: polls, from: clients, to: servers, allow: [{protocol: modbus, access: [read]}]}
  - {id: looks, from: guests, to: servers, allow: [{protocol: modbus, functions: [read_holding_registers]},
                                                   {protocol: modbus, functions: [read_input_registers]}]}
"""
FRAMES_PER_S = 4_000
CHUNK = 1_000
"""Connections whose frames are made at once."""
START_NS = 1_800_000_000 * 1_000_000_000
AGAIN = 2
"""Turns in which everything is known."""
_SIZE, _REQUEST, _ANSWER = 66, 12, 11
"""Octets of a frame, and of the PDUs in it; of one coil the answer is padded to that of one register."""


def _big(values: Any, octets: int) -> NDArray[np.uint8]:
    """Numbers in network order, a row each."""
    shifts = np.arange(8 * (octets - 1), -8, -8)
    return (np.asarray(values, np.int64)[:, None] >> shifts & 0xFF).astype(np.uint8)


class World:
    """Frames in rows of one table; `share`: of the whole, one of so many parts."""

    def __init__(self, share: int = 1) -> None:
        self.connections, self.clients = CONNECTIONS // share, CLIENTS // share
        self.servers = HOSTS // share - self.clients
        self._identification = 0

    def turn(self, number: int) -> Iterator[NDArray[np.uint8]]:
        """Every connection asks once and is answered; at first it is opened."""
        for first in range(0, self.connections, CHUNK):
            which = np.arange(first, min(first + CHUNK, self.connections))
            if number == 0:
                yield self._opened(which)
            yield self._asked(which, number)

    def _frames(self, which: NDArray[np.int64], said: list[tuple[int, int, int, bytes]]) -> NDArray[np.uint8]:
        """From client, from server, and so on: (sequence number, acknowledged, flags, payload)."""
        rows = np.zeros((len(which), len(said), _SIZE), np.uint8)
        client, server = which % self.clients, (which + which // self.servers) % self.servers
        ends = np.concatenate(
            [_big(10 << 24 | (10 + (client < GUESTS)) << 16 | client, 4), _big(10 << 24 | 20 << 16 | server, 4)], 1
        )
        ports = np.concatenate(
            [_big(40_000 + which // self.clients, 2), np.broadcast_to(_big([502], 2), (len(which), 2))], 1
        )
        for at, (seq, ack, flags, payload) in enumerate(said):
            frame, back = rows[:, at], at % 2
            mine, other = (ends[:, 4:], ends[:, :4]) if back else (ends[:, :4], ends[:, 4:])
            frame[:, 0], frame[:, 2:6], frame[:, 6], frame[:, 8:12], frame[:, 12] = 2, other, 2, mine, 8
            ids = self._identification + np.arange(len(which)) & 0xFFFF
            self._identification += len(which)
            head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0)
            frame[:, 14:26] = np.frombuffer(head, np.uint8)
            frame[:, 18:20], frame[:, 26:30], frame[:, 30:34] = _big(ids, 2), mine, other
            frame[:, 34:38] = np.roll(ports, 2, axis=1) if back else ports
            tcp = struct.pack(">IIBBHHH", seq, ack, 0x50, flags, 8192, 0, 0) + payload
            frame[:, 38 : 38 + len(tcp)] = np.frombuffer(tcp, np.uint8)
        return rows.reshape(-1, _SIZE)

    def _opened(self, which: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._frames(which, [(1_000, 0, 0x02, b""), (2_000, 1_001, 0x12, b""), (1_001, 2_001, 0x10, b"")])

    def _asked(self, which: NDArray[np.int64], turn: int) -> NDArray[np.uint8]:
        place = turn % len(FUNCTIONS)
        code, before = FUNCTIONS[place], [FUNCTIONS[n % len(FUNCTIONS)] for n in range(turn)]
        asked, answered = 1_001 + _REQUEST * turn, 2_001 + sum(_ANSWER - (function < 3) for function in before)
        octets = 1 if code < 3 else 2
        ask = struct.pack(">HHHBBHH", turn + 1, 0, 6, 1, code, 10 * place, 1)
        answer = struct.pack(">HHHBBB", turn + 1, 0, 3 + octets, 1, code, octets) + bytes(octets)
        return self._frames(which, [(asked, answered, 0x18, ask), (answered, asked + _REQUEST, 0x18, answer)])


def _memory_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def resident_mib() -> float:
    """Of this process, now."""
    return _memory_mib("VmRSS")


def peak_mib() -> float:
    """Of this program, ever; `ru_maxrss` would count who started it, too (getrusage(2): it outlives execve)."""
    return _memory_mib("VmHWM")


def measured(folder: Path, share: int = 1) -> dict[str, Any]:
    """Show a sensor such a site, and end it; what it came to."""
    from otmon.engine import cache

    cache.choose([])  # before all that follows, which is compiled or not as it says
    from otmon.outputs.results import Clock as RunClock
    from otmon.policy.load import load_bytes
    from otmon.sensor.export import write_files
    from otmon.sensor.watch import Sensor
    from otmon.store.sensor import SiteStore
    from otmon.wire.columns import CTL_CONNS
    from tests.live.fed import Fed
    from tests.sensor.deal import Clock

    world, fed, clock, policy = World(share), Fed(), Clock(), load_bytes(POLICY.encode(), "policy")
    found: dict[str, Any] = {"start_mib": resident_mib(), "longest_step_s": 0.0}
    found |= {"turns_mib": [], "turns_written_mb": []}
    with SiteStore(folder / "site.db", policy.site) as store:
        sensor = Sensor([fed], store, policy, monotonic=clock)

        def step(seconds: float) -> None:
            clock.now_s += seconds
            started = time.perf_counter()
            sensor.step(0)
            found["longest_step_s"] = max(found["longest_step_s"], time.perf_counter() - started)

        for number in range(len(FUNCTIONS) + AGAIN):
            for rows in world.turn(number):
                fed.table(rows, START_NS + int(clock.now_s * 1e9), 1_000_000_000 // FRAMES_PER_S)
                step(len(rows) / FRAMES_PER_S)
            found["turns_mib"].append(round(resident_mib()))
            found["turns_written_mb"].append(round(store.bytes_written / 1e6))
        sensor.checkpoint()
        sensor.describe()
        found |= {"steady_mib": resident_mib(), "steady_peak_mib": peak_mib()}
        found |= {"connections": int(sensor.front._run.state.ctl[CTL_CONNS]), "assets": len(sensor.site.assets)}
        sensor.finish()
        write_files(folder, store, policy, [fed.info], None, RunClock())
        found |= {"end_mib": resident_mib(), "peak_mib": peak_mib()}
        found |= {name: store.sizes()[name] for name in ("operations", "alerts", "hosts")}
        found |= {"shed": sensor.totals.shed, "checkpoints": sensor.totals.checkpoints, "capture_s": clock.now_s}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--share", type=int, default=1, help="show one of so many parts of it (1)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="otmon-limits-", dir="/var/tmp") as folder:
        print(json.dumps(measured(Path(folder), args.share)))


if __name__ == "__main__":
    main()
