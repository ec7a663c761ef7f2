"""That a command goes on, for people who wait."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from otmon.cli.common import progress_bar

AFTER_S: Final = 1.0
"""What is done sooner needs no bar."""


@contextmanager
def patience(doing: str) -> Iterator[None]:
    """A bar and the time that went by, on stderr, where it takes longer than a second; nothing but on a terminal.

    Write no results meanwhile.
    """
    if not sys.stderr.isatty():
        yield
        return
    done = Event()

    def show() -> None:
        if not done.wait(AFTER_S):
            with progress_bar(doing):
                done.wait()

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
