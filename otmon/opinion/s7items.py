"""S7: tshark's fields of items beyond areas and bytes (numerical controls, drives, symbols) beside a message record."""

from typing import Any, Final

from otmon.opinion.rows import Record, Row
from otmon.protocols.s7comm.addresses import DATA_BLOCK, NCK_AREAS, STEPS

_NCK: Final = "s7comm.items[syntax=nck,nck_m,nck_i]"
_DRIVE: Final = "s7comm.items[syntax=drive_es]"
_SYMBOL: Final = "s7comm.items[syntax=symbolic]"
_STEPS: Final = {name: code for code, name in STEPS.items()}


def _second(roots: tuple[int, ...]) -> Any:
    """The second word of a symbol's root, which has another name in tshark for each first word."""

    def read(record: Record) -> list[int]:
        found = [item for item in record["s7comm"].get("items", ()) if item.get("syntax") == "symbolic"]
        return [item["area_raw_2"] for item in found if item.get("area_raw_1") in roots]

    read.__doc__ = f"{_SYMBOL}.area_raw_2, where area_raw_1 is {roots[0]}."
    return read


def _unknown(place: int) -> Any:
    """One of the words of a drive's address that have no meaning known."""
    return lambda words: words[place]


ROWS: Final = (
    Row("s7comm.param.item.nck.area", f"{_NCK}.area", as_ours=NCK_AREAS.index),
    Row("s7comm.param.item.nck.unit", f"{_NCK}.unit"),
    Row("s7comm.param.item.nck.column", f"{_NCK}.column"),
    Row("s7comm.param.item.nck.line", f"{_NCK}.line"),
    Row("s7comm.param.item.nck.module", f"{_NCK}.module_raw"),
    Row("s7comm.param.item.nck.linecount", f"{_NCK}.lines"),
    Row("s7comm.param.item.driveesany.parameternr", f"{_DRIVE}.parameter"),
    Row("s7comm.param.item.driveesany.parameteridx", f"{_DRIVE}.index"),
    *(Row(f"s7comm.param.item.driveesany.unknown{i + 1}", f"{_DRIVE}.unknown", as_ours=_unknown(i)) for i in range(3)),
    Row("s7comm.tiap.item.area1", f"{_SYMBOL}.area_raw_1"),
    Row("s7comm.tiap.item.area2", _second((0,))),
    Row("s7comm.tiap.item.dbnumber", _second((DATA_BLOCK,))),
    Row("s7comm.tiap.item.crc", f"{_SYMBOL}.crc"),
    Row("s7comm.tiap.item.lid_flags", f"{_SYMBOL}.path[].step", as_ours=lambda step: _STEPS.get(step) or int(step)),
    Row("s7comm.tiap.item.value", f"{_SYMBOL}.path[].value"),
)
NOT_COMPARED: Final = {
    "s7comm.param.item.nck.area_unit": "the octet whose parts are compared one by one",
    "s7comm.tiap.item.reserved1": "reserved, or not known what it means",
}
