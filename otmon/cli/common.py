"""What every command needs: exit codes, one-line errors, and output that survives a closed pipe."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console

    from otmon.policy.tags import TagMap
    from otmon.store.database import SiteDatabase

RAN: Final = 0
CHECK_FAILED: Final = 1
USAGE: Final = 2
DAMAGED: Final = 3
INTERRUPTED: Final = 130
SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
"""As otmon.policy.verdict.SEVERITIES, which is not imported for --help."""
DEFAULT_FOLDER: Final = "otmon-out"
_LINE_CHARS: Final = 2000


class Stop(click.ClickException):
    """Ends the command with one line on stderr and an exit code (`code`)."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str, level: str = "error") -> None:
    """`otmon: error: ...` on stderr, one line for each line of the message; quiet if nobody listens."""
    try:
        for line in message.splitlines():
            sys.stderr.write(f"otmon: {level}: {safe_text(line, _LINE_CHARS)}\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        pass


@contextmanager
def log_said() -> Iterator[None]:
    """What parts that sensors have too log meanwhile is said as all else is, and without a traceback."""
    import logging

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complain(record.getMessage(), record.levelname.lower())

    logger, handler = logging.getLogger("otmon"), Said(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def note(message: str) -> None:
    """Something the user should know while waiting; nothing is wrong."""
    complain(message, "note")


def emit(text: str) -> None:
    """Write to stdout; if the reader has gone away (`| head`), what is left is dropped in silence."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def emit_json(records: Iterable[Mapping[str, Any]]) -> None:
    """A JSON array with one record a line."""
    from otmon.outputs.jsonl import line

    lines = [line(record).decode().rstrip("\n") for record in records]
    emit("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n")


def emit_rich(render: "Callable[[Console], None]") -> None:
    """What `render` prints to a console, as one text: colours and width are those of stdout."""
    from otmon.outputs.console import console

    out = console(sys.stdout)
    with out.capture() as captured:
        render(out)
    emit(captured.get())


def existing(paths: Iterable[str]) -> list[str]:
    """The captures named on the command line. Raises Stop if one is not there: then nothing is run."""
    named = list(paths)
    for path in named:
        if path != "-" and not Path(path).exists():
            raise Stop(f"{path}: no such file")
        if path != "-" and Path(path).is_dir():
            raise Stop(f"{path}: is a directory: name the capture files in it")
    if named.count("-") > 1:
        raise Stop("-: standard input can be read only once")
    return named


@contextmanager
def progress_bar(doing: str = "reading") -> Iterator[Callable[[int, int | None], None] | None]:
    """A callback (done, in all or None) that draws a bar on stderr; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def folder_argument(function: Any) -> Any:
    """The DIR of commands that show results."""
    return click.argument("folder", metavar="[DIR]", default=DEFAULT_FOLDER, type=click.Path(path_type=Path))(function)


def data_option(function: Any, *, required: bool = False) -> Any:
    """--data DIR of commands that ask a policy, or everything."""
    return click.option(
        "--data",
        metavar="DIR",
        required=required,
        type=click.Path(path_type=Path),
        help="A result folder, or the data of a sensor, which may be running.",
    )(function)


def needed_data_option(function: Any) -> Any:
    """The same, and nothing is done without it."""
    return data_option(function, required=True)


def out_option(function: Any) -> Any:
    """--out of commands that write a result folder."""
    return click.option(
        *("--out", "folder"),
        metavar="DIR",
        default=DEFAULT_FOLDER,
        show_default=True,
        type=click.Path(path_type=Path),
        help="Result folder; replaces a previous one of otmon, and nothing else.",
    )(function)


def form_options(function: Any) -> Any:
    """--json and --csv."""
    function = click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")(function)
    return click.option("--json", "form", flag_value="json", help="Print JSON records.")(function)


@contextmanager
def open_results(folder: Path) -> "Iterator[SiteDatabase]":
    """The site database of a result folder (or named itself). Raises Stop if there is none, or it cannot be read."""
    import sqlite3

    import orjson

    from otmon.store.database import SiteDatabase, StoreError

    path = folder / "site.db" if folder.is_dir() else folder
    if not path.is_file():
        raise Stop(f"{folder}: no results of otmon there; `otmon analyze CAPTURE --out {folder}` makes them")
    try:
        with SiteDatabase(path) as results:
            yield results
    except StoreError as error:
        raise Stop(str(error)) from None
    except (sqlite3.DatabaseError, orjson.JSONDecodeError) as error:
        raise Stop(f"{path}: is damaged ({error}): take it from a backup, or analyse the captures again") from None


def policy_of(folder: Path, results: "SiteDatabase") -> Path:
    """The policy that judged what is in the folder. Raises Stop if that is not known."""
    return Path(_judged_by(folder, results)["path"])


def tags_of(folder: Path, results: "SiteDatabase") -> "TagMap":
    """The tag map of that policy; none if it is not known, or no longer what it was."""
    from otmon.policy.errors import PolicyError
    from otmon.policy.load import load_bytes
    from otmon.policy.reader import read_bytes
    from otmon.policy.tags import NO_TAGS

    try:
        said = _judged_by(folder, results)
        path = str(said["path"])
        raw = read_bytes(path) if Path(path).is_file() else b""
        policy = load_bytes(raw, path) if b"tags" in raw else None
    except (Stop, PolicyError):
        return NO_TAGS
    return policy.tags if policy is not None and policy.sha256 == said.get("sha256") else NO_TAGS


def _judged_by(folder: Path, results: "SiteDatabase") -> "Mapping[str, Any]":
    """`path` and `sha256` of a policy. Raises Stop."""
    import orjson

    for entry in reversed(list(results.audit_log())):
        record = entry.record()
        if record["action"] in ("policy_loaded", "policy_changed") and "path" in record["detail"]:
            detail: Mapping[str, Any] = record["detail"]
            return detail
    try:
        found = orjson.loads((folder / "summary.json").read_bytes())["policy"]
        return {"path": str(found["path"]), "sha256": found.get("sha256")}
    except (OSError, ValueError, KeyError, TypeError):
        raise Stop(f"{folder}: does not say which policy judged it; name it with --policy FILE") from None
