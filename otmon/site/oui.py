"""Vendor of a MAC address, from the IEEE's registry (`make_oui` generates the table from Debian's ieee-data)."""

import gzip
from functools import cache
from importlib import resources


@cache
def _table() -> dict[str, str]:
    text = gzip.decompress(resources.files("otmon.site").joinpath("oui.tsv.gz").read_bytes()).decode()
    table: dict[str, str] = {}
    for line in text.splitlines():
        vendor, _, prefixes = line.partition("\t")
        table.update(dict.fromkeys(prefixes.split(), vendor))
    return table


def vendor_of(mac: str) -> str | None:
    """Organisation that a MAC (`00:1b:1b:...`) is registered to; None for local, group and unregistered addresses."""
    digits = mac.replace(":", "").replace("-", "").lower()
    if len(digits) != 12 or int(digits[1], 16) & 3:
        return None
    table = _table()
    return next((table[digits[:n]] for n in (9, 7, 6) if digits[:n] in table), None)
