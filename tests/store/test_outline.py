"""Operations without their targets: what is made of them in memory is what the database makes of them."""

import sqlite3
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from hypothesis import given, settings

from otmon.model import OperationRecord
from otmon.site.part import Part, merge, outline
from otmon.store.database import create_tables
from otmon.store.tables import RECORDS, read_outline, write_records
from tests.effort import examples
from tests.site.plant import parts


def told(operations: Iterable[OperationRecord]) -> list[Any]:
    return [(o.key, o.counts.as_dict(), o.bytes, o.first_ts_ns, o.last_ts_ns, o.verdict) for o in operations]


@settings(max_examples=examples(40), deadline=None)
@given(parts(), parts())
def test_the_outline_is_that_of_the_database(one: Part, other: Part) -> None:
    part = merge([one, other])
    db = sqlite3.connect(":memory:", isolation_level=None)
    create_tables(db, "plant")
    table, row_of, _ = RECORDS["operations"]
    write_records(db, table, row_of, part.operations)
    assert told(outline(part.operations)) == told(read_outline(lambda: nullcontext(db)).operations)
    db.close()
