"""The whole table of fields: what of tshark stands beside what of otmon, and what of tshark is not compared and why."""

from typing import Final

from otmon.opinion import dnp3, modbus, s7comm, s7cpu, s7items
from otmon.opinion.rows import Row

TABLE: Final[dict[str, tuple[Row, ...]]] = {
    "modbus": modbus.ROWS,
    "dnp3": dnp3.ROWS,
    "s7comm": (*s7comm.ROWS, *s7items.ROWS, *s7cpu.ROWS),
}
"""Protocol -> its rows."""
NOT_COMPARED: Final = (
    modbus.NOT_COMPARED | dnp3.NOT_COMPARED | s7comm.NOT_COMPARED | s7items.NOT_COMPARED | s7cpu.NOT_COMPARED
)
"""Field of tshark -> why it has no row."""
