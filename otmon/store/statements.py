"""How a sensor adds operations to those that are there: statements that take a row of `operation_row`, or its key."""

from typing import Final

from otmon.model import Counts
from otmon.store.tables import KEYS, insert

_SUMS: Final = (*Counts.FIELDS, "bytes")
_FIRST: Final = ("first_ts_ns", "first_input", "first_frame")
_EARLIER: Final = f"({', '.join(f'excluded.{name}' for name in _FIRST)}) < ({', '.join(_FIRST)})"
ADD_OPERATION: Final = (
    insert("operation_rows", 33)
    + f" ON CONFLICT ({', '.join(KEYS['operation_rows'])}) DO UPDATE SET "
    + ", ".join(
        [
            *(f"{name} = {name} + excluded.{name}" for name in _SUMS),
            *(f"{name} = CASE WHEN {_EARLIER} THEN excluded.{name} ELSE {name} END" for name in _FIRST),
            "last_ts_ns = max(last_ts_ns, excluded.last_ts_ns)",
            *(
                f"{name} = CASE '{{}}' WHEN excluded.{name} THEN {name} WHEN {name} THEN excluded.{name}"
                f" ELSE add_histograms({name}, excluded.{name}) END"
                for name in ("intervals", "responses")
            ),
            "row = CASE WHEN excluded.verdict IS NULL THEN row ELSE excluded.row END",
            "verdict = ifnull(excluded.verdict, verdict)",
        ]
    )
)
REMOVE_EMPTY: Final = (
    f"DELETE FROM operation_rows WHERE {' AND '.join(f'{name} = ?' for name in KEYS['operation_rows'])}"
    " AND attempted <= 0"
)
KNOWN: Final = f"SELECT 1 FROM operation_rows WHERE {' AND '.join(f'{name} = ?' for name in KEYS['operation_rows'])}"
