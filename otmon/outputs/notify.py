"""Tells systemd how the service is: sd_notify(3) in plain Python. Without systemd every call does nothing."""

import os
import socket
import time
from contextlib import suppress
from typing import Final

from otmon.text import safe_text

_STATUS_CHARS: Final = 256
ALIVE_S: Final = 1.0
"""`alive` may be called at every turn; it is said so often at most."""


class Notifier:
    """The socket that $NOTIFY_SOCKET names, kept open: it works on after privileges were dropped.

    A service manager that does not listen is no reason to stop watching: what cannot be sent is dropped.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._alive_s = -ALIVE_S
        if not address.startswith(("/", "@")):
            return
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        made.setblocking(False)
        try:
            # An abstract socket's name begins with a zero byte, written as @.
            made.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            made.close()
            return
        self._socket = made

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send("\n".join(lines).encode())

    def ready(self, status: str) -> None:
        """The service is up, doing what `status` says."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(status))

    def alive(self) -> None:
        """The watchdog may sleep on: said from where the work is done, not from a timer."""
        now_s = time.monotonic()
        if now_s - self._alive_s >= ALIVE_S:
            self._alive_s = now_s
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is ending."""
        self._send("STOPPING=1")


def _status(text: str) -> str:
    return f"STATUS={safe_text(text, _STATUS_CHARS)}"


def watchdog_s() -> float | None:
    """How often, in seconds, to call `alive`: twice in what the service manager waits. None if it does not wait.

    $WATCHDOG_USEC and $WATCHDOG_PID, as sd_watchdog_enabled(3).
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        timeout_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return timeout_us / 2_000_000 if timeout_us > 0 else None
