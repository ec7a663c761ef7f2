"""Makes `oui.tsv.gz` from Debian's ieee-data: `python -m otmon.site.make_oui [/usr/share/ieee-data]`.

The IEEE's public registration data: 24-bit (MA-L), 28-bit (MA-M) and 36-bit (MA-S) blocks. Only prefix and organisation
are kept, one organisation a line, its prefixes (6, 7 or 9 hexadecimal digits) behind it.
"""

import csv
import gzip
import sys
from collections import defaultdict
from pathlib import Path

from otmon.text import safe_text

_FILES = ("oui.csv", "mam.csv", "oui36.csv")
_NOBODY = ("Private", "IEEE Registration Authority")
"""Prefixes that name nobody, or that are divided further in the other two files."""


def make(source: Path) -> bytes:
    """The table's bytes, the same for the same registration data."""
    prefixes: dict[str, set[str]] = defaultdict(set)
    for name in _FILES:
        with (source / name).open(encoding="utf-8", errors="backslashreplace", newline="") as file:
            for row in csv.DictReader(file):
                vendor = safe_text(" ".join(row["Organization Name"].split()))
                if vendor and vendor not in _NOBODY:
                    prefixes[vendor].add(row["Assignment"].lower())
    lines = (f"{vendor}\t{' '.join(sorted(found))}\n" for vendor, found in sorted(prefixes.items()))
    return gzip.compress("".join(lines).encode(), 9, mtime=0)


if __name__ == "__main__":
    table = make(Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/ieee-data"))
    Path(__file__).with_name("oui.tsv.gz").write_bytes(table)
