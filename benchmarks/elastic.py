"""Delivery to a real Elasticsearch on this machine: `python -m benchmarks.elastic [--records N] [--backlog N]`.

Prints JSON: documents a second from the spool until they are acknowledged, beside a bare loop of the client's
`helpers.streaming_bulk` over the same documents, made beforehand (alternating, the same node, a stream each); spool
inserts a second; memory of a delivery with a large backlog; time from a commit until a search finds it.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elasticsearch import helpers

from otmon.delivery.ledger import NAME
from otmon.delivery.once import deliver_all, states
from otmon.outputs.elastic.connection import Elastic, client
from otmon.outputs.elastic.documents import data_stream, document
from otmon.outputs.elastic.install import Installation
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import Outgoing
from otmon.store import spool
from otmon.store.database import create_tables
from tests.elastic.recipe import Missing, prepare
from tests.elastic.server import Node

EXAMPLE = json.loads((Path(__file__).parents[1] / "docs" / "records" / "alert.example.json").read_text())
ROUNDS, BATCH = 4, 1_000


def alerts(number: int, mark: str) -> Iterator[spool.Entry]:
    for n in range(number):
        name = f"{mark}{n:015x}"
        yield spool.Entry(f"{name}-1", EXAMPLE["last_ts_ns"] + n, EXAMPLE | {"id": name, "revision": 1})


def filled(folder: Path, number: int, mark: str) -> float:
    """A site database whose spool holds alerts; gives inserts a second, a commit for each BATCH."""
    folder.mkdir()
    db = sqlite3.connect(folder / "site.db", isolation_level=None)
    create_tables(db, "bench")
    spool.begin(db)
    db.execute("COMMIT")
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    entries, began_s = alerts(number, mark), time.perf_counter()
    while batch := list(itertools.islice(entries, BATCH)):
        db.execute("BEGIN IMMEDIATE")
        spool.append(db, "alert", batch)
        db.execute("COMMIT")
    spent_s = time.perf_counter() - began_s
    db.close()
    return number / spent_s


def ours(folder: Path, settings: Elastic) -> float:
    """Seconds. A node that is busy for longer than the delivery's patience is come back to, as a sensor does."""
    began_s = time.perf_counter()
    while deliver_all(folder, [ElasticSink(settings)], "bench") != {"elastic": 0}:
        print(*(state.reason for state in states(folder).values()), file=sys.stderr)
    return time.perf_counter() - began_s


def bare(settings: Elastic, number: int, mark: str) -> float:
    """Seconds of the client's own loop over documents that are there already."""
    documents = [
        document(Outgoing("alert", n, entry.id, entry.ts_ns, "bench", "bench", dict(entry.record)))
        for n, entry in enumerate(alerts(number, mark), 1)
    ]
    index = data_stream("alert", settings.namespace)
    actions = ({"_op_type": "create", "_index": index, "_id": one["event"]["id"], "_source": one} for one in documents)
    began_s = time.perf_counter()
    for ok, item in helpers.streaming_bulk(client(settings), actions, chunk_size=BATCH):
        assert ok, item
    return time.perf_counter() - began_s


def latency_s(folder: Path, settings: Elastic) -> float:
    """From before a commit until a search finds the record; the stream is refreshed every second, as by default."""
    sink, there, mark = ElasticSink(settings), client(settings), f"l{time.time_ns():x}"
    began_s = time.perf_counter()
    filled(folder, 1, mark)
    deliver_all(folder, [sink], "bench")
    query = {"term": {"otmon.alert.id": f"{mark}{0:015x}"}}
    while not there.count(index=data_stream("alert", settings.namespace), query=query)["count"]:
        time.sleep(0.01)
    return time.perf_counter() - began_s


def arrived(settings: Elastic, number: int, mark: str) -> bytearray:
    """How often each alert is there, in every backing index."""
    there, stream = client(settings, timeout_s=120), data_stream("alert", settings.namespace)
    there.indices.refresh(index=stream)
    times = bytearray(number)
    query = {"query": {"prefix": {"otmon.alert.id": mark}}}
    for hit in helpers.scan(there, query, index=stream, size=10_000, _source=False):
        n = int(hit["_id"].removeprefix(mark).partition("-")[0], 16)
        times[n] = min(times[n] + 1, 255)
    return times


def _deliver_backlog(folder: Path, settings: Elastic, result: Any) -> None:
    spent_s = ours(folder, settings)
    result.put((spent_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def backlog(folder: Path, settings: Elastic, number: int) -> dict[str, Any]:
    """A process of its own delivers it all."""
    inserts = filled(folder, number, "b")
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=_deliver_backlog, args=(folder, settings, result))
    process.start()
    spent_s, peak_mib = result.get()
    process.join()
    there = arrived(settings, number, "b")
    size = sum(path.stat().st_size for path in (folder / "site.db", folder / NAME))
    return {
        "records": number,
        "spool_inserts_per_s": round(inserts),
        "seconds": round(spent_s),
        "delivered_per_s": round(number / spent_s),
        "lost": there.count(0),
        "doubled": sum(times > 1 for times in there),
        "peak_mib": round(peak_mib),
        "mib_on_disk_after": round(size / 2**20),
    }


def run(records: int, waiting: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, Node(prepare(), Path(name) / "node", heap="2g") as node:
        folder, settings = Path(name), Elastic(node.url)
        Installation(client(settings), settings.namespace).install()
        filled(folder / "warm", BATCH, "w")
        ours(folder / "warm", settings)
        bare(settings, records, "v")  # a node compiles what it does often: whoever came first would pay for both
        rounds = []
        for n in range(ROUNDS):
            inserts = filled(folder / f"r{n}", records, f"r{n}")
            first = bare(settings, records, f"x{n}") if n % 2 else None
            one = ours(folder / f"r{n}", settings)
            other = bare(settings, records, f"x{n}") if first is None else first
            rounds.append({"ours_s": one, "bare_s": other, "inserts_per_s": inserts})
        return {
            "documents_per_s": round(records / statistics.median(r["ours_s"] for r in rounds)),
            "streaming_bulk_per_s": round(records / statistics.median(r["bare_s"] for r in rounds)),
            "ratio": round(statistics.median(r["bare_s"] / r["ours_s"] for r in rounds), 2),
            "ratios": [round(r["bare_s"] / r["ours_s"], 2) for r in rounds],
            "spool_inserts_per_s": round(statistics.median(r["inserts_per_s"] for r in rounds)),
            "alert_to_searchable_s": [round(latency_s(folder / f"l{n}", settings), 2) for n in range(5)],
            "backlog": backlog(folder / "backlog", settings, waiting) if waiting else None,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    given = parser.parse_args()
    try:
        print(json.dumps(run(given.records, given.backlog), indent=2))
    except Missing as missing:
        sys.exit(f"no Elasticsearch here: {missing}")


if __name__ == "__main__":
    main()
