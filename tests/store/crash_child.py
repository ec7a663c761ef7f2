"""Writes to a site database for as long as it lives, and says what was committed: `crash_child.py PATH`."""

import sys
from itertools import count
from pathlib import Path

from otmon.model import OperationRecord
from otmon.site.part import Part
from otmon.store.sensor import SiteStore
from tests.alerts.stub import episode, operation
from tests.site.plant import connection, host, op

OPERATIONS = 300


def operations(step: int) -> list[OperationRecord]:
    """Some that every step adds to, one that is its own."""
    return [
        *(op(client=f"10.1.{n >> 8}.{n & 255}", accepted=1) for n in range(OPERATIONS)),
        op(client=f"10.2.{step >> 8}.{step & 255}", accepted=1),
    ]


def main(path: Path) -> None:
    with SiteStore(path, "default") as store:
        for step in count(int(store.meta("step") or 0)):
            new = episode(operation(client=f"10.3.{step >> 8}.{step & 255}"))
            store.alerts([new], [{"id": new.id, "count": new.count, "severity": "high"}])
            print("alert", new.id, flush=True)
            one = connection(client_port=step % 60_000)
            store.add(Part(frames={"captured": 1}, operations=operations(step), connections=[one], hosts=[host("a")]))
            print("step", step, flush=True)
            store.set_meta("step", str(step + 1))
            if step % 5 == 0:
                store.forget(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
