"""The commands around policies at the size they promise: `python -m benchmarks.policies [--rows N]`.

Two policies of 10,000 rows that differ in every row are loaded, checked and compared, denials are explained, a policy
is written for other devices and asked who can reach what, and a million stored operations are hunted in and replayed.
Prints JSON, in seconds of this process's own time; nothing is asserted.
"""

import argparse
import gc
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from otmon.model import Counts, OperationKey, OperationRecord, Target
from otmon.policy.difference import difference
from otmon.policy.edit import Asked
from otmon.policy.flows import flow_rows
from otmon.policy.judge import Policy
from otmon.policy.lint import look
from otmon.policy.load import load_policy, load_source
from otmon.policy.optext import parse_operation
from otmon.policy.pattern import parse_pattern
from otmon.policy.reach import Map
from otmon.policy.reader import read_bytes
from otmon.policy.replay import Replay
from otmon.policy.separate import Ways
from otmon.policy.targets import TARGETS, writer
from otmon.policy.why import Explainer
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.database import SiteDatabase, write_database

PER_CONDUIT = 20
NOON = 1_764_590_400 * 10**9


def policy_text(rows: int, seed: int) -> str:
    """As a large site would have it: a pair of hosts a conduit, ranges of registers a row."""
    choose = random.Random(seed)
    lines = ["otmon: 1", "site: big", "zones:", "  control: {hosts: [10.1.0.0/16]}", "  panels: {hosts: [10.2.0.0/16]}"]
    lines.append("conduits:")
    for number in range(rows):
        pair, step = divmod(number, PER_CONDUIT)
        if step == 0:
            host = f"{pair // 250}.{pair % 250 + 1}"
            lines += [f"  - id: c{pair}", f"    from: 10.2.{host}", f"    to: 10.1.{host}", "    allow:"]
        first = step * 100 + choose.randrange(40)
        last = first + choose.randrange(40)
        row = f"protocol: modbus, functions: [read_holding_registers], units: {step % 5}, addresses: {first}-{last}"
        lines.append(f"      - {{{row}}}")
    return "\n".join(lines) + "\n"


def operations(number: int, pairs: int) -> Iterator[OperationRecord]:
    """Half of them where a row may be, half beyond."""
    counts = Counts(1, 1)
    for n in range(number):
        pair, rest = n % pairs, n // pairs
        host = f"{pair // 250}.{pair % 250 + 1}"
        target = Target("holding_register", rest, rest + 1)
        key = OperationKey(
            *("default", f"10.2.{host}", f"10.1.{host}", "tcp", 502, "modbus", rest // 100 % 5, 3),
            *("read_holding_registers", "read", target),
        )
        yield OperationRecord(key, counts, 260, NOON, NOON, (1, n + 1), {}, {}, None, None)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = run()
    return round(time.process_time() - start, 6), result


def explained(policy: Policy, times: int = 200) -> dict[str, float]:
    ready_s, explainer = timed(lambda: Explainer(policy))
    key, value = parse_operation("10.2.0.7 -> 10.1.0.7 modbus unit 1 read_holding_registers 190-195", policy)
    questions = [
        Asked(key._replace(target=Target("holding_register", n, n + 5)), NOON, value) for n in range(190, 190 + times)
    ]
    each_s = [timed(lambda: explainer.why(asked))[0] for asked in questions]  # noqa: B023  # called at once
    return {"ready_s": ready_s, "explanation_ms": round(1000 * median(each_s), 3)}


def compiled(policy: Policy) -> dict[str, float]:
    flows_s, found = timed(lambda: flow_rows(policy))
    return {"flows_s": flows_s} | {f"{name}_s": timed(lambda: writer(name)(policy, found))[0] for name in TARGETS}  # noqa: B023  # called at once


def reached(policy: Policy) -> dict[str, float]:
    map_s, found = timed(lambda: Map(policy))
    who_s, _ = timed(lambda: found.reached(found.box(parse_pattern("* -> 10.1.0.7 read", {}))))
    panels, control = (policy.sites.zones[n].hosts.ranges for n in (1, 0))
    cut_s, _ = timed(lambda: Ways(found, panels, control).cut())
    return {"map_s": map_s, "who_s": who_s, "cut_s": cut_s}


HUNTS = (
    "10.2.0.10 -> * modbus unit 1 read* 100-150",
    "* -> 10.1.0.7 write",
    "10.1.0.7",
    "read* 40-50",
    "block OB1",
    "*",
)


def hunted(results: SiteDatabase) -> dict[str, float]:
    return {words: timed(lambda: results.hunt(parse_pattern(words, {})))[0] for words in HUNTS}  # noqa: B023  # called at once


def main() -> None:
    gc.disable()  # as the command line does
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--operations", type=int, default=1_000_000)
    chosen = parser.parse_args()
    out: dict[str, Any] = {"rows": chosen.rows, "operations": chosen.operations}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{seed}.yaml" for seed in (1, 2)]
        for seed, path in enumerate(paths):
            path.write_text(policy_text(chosen.rows, seed))
        out["load_s"], source = timed(lambda: load_source(read_bytes(str(paths[0])), str(paths[0])))
        old = source.policy
        out["check_s"], _ = timed(lambda: look(source))
        new = load_policy(paths[1])
        out["diff_s"], found = timed(lambda: difference(old, new))
        out["changes"] = len(found.changes)
        out |= explained(old) | compiled(old) | reached(old)
        site_db = Path(folder) / "site.db"
        pairs = max(1, chosen.rows // PER_CONDUIT)
        part = Part(operations=list(operations(chosen.operations, pairs)))
        write_database(site_db, Site(part), [])
        with SiteDatabase(site_db) as results:
            replay = Replay(old)
            out["hunt_s"] = hunted(results)
            question = parse_pattern("* -> 10.1.0.7 write", {})
            out["absent_s"], _ = timed(lambda: results.absence(question, NOON, NOON + 10**9))
            out["replay_s"], _ = timed(lambda: replay.run(results.groups()))
        out["denied"] = sum(tally.operations for tally in replay.denied.values())
    print(json.dumps(out))


if __name__ == "__main__":
    main()
