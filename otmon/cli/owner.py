"""Root in a folder of a sensor: its user may have laid links there, and what lies there must stay that user's."""

import io
import os
import pwd
from pathlib import Path

from otmon.cli.common import Stop
from otmon.text import safe_text


def become_owner(folder: Path) -> None:
    """Root becomes the owner of a folder for good, if that is not root. Raises Stop.

    Before anything in it is opened. All that is loaded later, and every key, must be read before: the owner may not be
    able to read Python's own files.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    need = os.R_OK if folder.is_file() else os.R_OK | os.X_OK
    try:
        found = (folder.parent if folder.is_file() else folder).stat()
    except OSError:
        return  # whoever opens it says so
    if (uid := found.st_uid) == 0:
        return
    try:
        name, gid = pwd.getpwuid(uid).pw_name, pwd.getpwuid(uid).pw_gid
    except KeyError:
        name, gid = str(uid), found.st_gid
    _load()
    shown = safe_text(str(folder), 1024)
    try:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise Stop(f"{shown}: root cannot become its owner {name}: {error.strerror}; run this as {name}") from None
    if not os.access(folder, need):
        raise Stop(f"{shown}: its owner {name} cannot get there: its parent folders must let others enter")


def _load() -> None:
    """What commands load late: to show something, to read a folder, to end."""
    import encodings.idna  # noqa: F401 (only loaded)
    import sqlite3

    import orjson
    from rich.markup import escape
    from rich.table import Table

    import otmon.delivery.again
    import otmon.delivery.once
    import otmon.delivery.report
    import otmon.outputs.folder
    import otmon.outputs.jsonl
    import otmon.sensor.inbox
    import otmon.store.database
    import otmon.store.sensor  # noqa: F401 (only loaded)
    from otmon.outputs.console import console

    out, table = console(io.StringIO()), Table("", box=None)
    table.add_row(escape("[ä]"))
    with out.capture():
        out.print(table, "")
    orjson.dumps({})
    sqlite3.connect(":memory:").close()
