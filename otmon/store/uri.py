"""How SQLite is told to open a file, whatever bytes its name is made of."""

import os
from pathlib import Path
from urllib.parse import quote


def read_only(path: Path) -> str:
    """For `sqlite3.connect(..., uri=True)`: nothing is written, and a file that is not there is not made."""
    return f"file:{quote(os.fsencode(path))}?mode=ro"
