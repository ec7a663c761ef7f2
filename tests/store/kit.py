"""Parts as a sensor hands them over, and what must have come of them."""

import copy
import random
from typing import Any

from otmon.alerts.episodes import Episode
from otmon.site.part import UNITE, Part, block_order, merge, united
from otmon.store.rows import connection_row, other_way
from tests.site.test_part import plain


def whole_of(given: list[Part]) -> dict[str, Any]:
    """`merge`, but for what a store does otherwise: connections replace, the newest verdict counts."""
    whole = merge(copy.deepcopy(given))
    connections: dict[Any, Any] = {}
    verdicts: dict[Any, Any] = {}
    for part in given:
        for connection in part.connections:
            key = connection_row(connection)[:9]
            connections.pop(other_way(key), None)
            connections[key] = connection
        verdicts |= {op.key: (op.verdict, op.row) for op in part.operations if op.verdict is not None}
    whole.connections = [record for _, record in sorted(connections.items())]
    for index, op in enumerate(whole.operations):
        verdict, row = verdicts.get(op.key, (None, None))
        whole.operations[index] = op._replace(verdict=verdict, row=row)
    whole.blocks = sorted(united(whole.blocks, *UNITE["blocks"]).values(), key=block_order)
    whole.episodes = []
    return plain(whole)


def deltas(part: Part, number: int, seed: int) -> list[Part]:
    """A run in checkpoints: counts and histograms in shares that add up, connections again as they grow."""
    rng = random.Random(seed)
    out = [Part() for _ in range(number)]
    for op in part.operations:
        left = op.counts.as_dict()
        for share in out[:-1]:
            taken = {name: rng.randint(0, max(0, value)) for name, value in left.items()}
            # A request asked for now and settled later: pending goes up and comes down again.
            taken["pending"] += 1
            left = {name: left[name] - value for name, value in taken.items()}
            share.operations.append(op._replace(counts=type(op.counts)(**taken), bytes=0, intervals={}, responses={}))
        out[-1].operations.append(op._replace(counts=type(op.counts)(**left)))
    for connection in part.connections:
        for share in out[rng.randrange(number) : -1]:
            share.connections.append(connection._replace(frames=(1, 0)))
        out[-1].connections.append(connection)
    for name in ("hosts", "bindings", "facts", "blocks", "habits"):
        for record in getattr(part, name):
            getattr(rng.choice(out), name).append(record)
    for name in ("frames", "ot_bytes", "visibility", "unsupported", "protocols"):
        setattr(rng.choice(out), name, copy.deepcopy(getattr(part, name)))
    rng.choice(out).lost_datagrams, rng.choice(out).shed = part.lost_datagrams, part.shed
    return out


def episode_view(episode: Episode) -> dict[str, Any]:
    """Everything that counts in an episode."""
    names = (
        "site",
        "key",
        "verdict",
        "op",
        "first_ts_ns",
        "last_ts_ns",
        "count",
        "other_targets",
        "units",
        "frames",
        "flow",
    )
    view = {name: getattr(episode, name) for name in (*names, "flags", "detail", "id")}
    view["targets"] = [(target, counts.as_dict()) for target, counts in episode.targets.items()]
    view["written"] = [(op, repr(value)) for op, value in episode.written]
    return view | {name: getattr(episode, name).as_dict() for name in ("total", "others")}
