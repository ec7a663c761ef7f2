"""What can be wrong with an input."""

from otmon.text import safe_text

_PATH_CHARS = 1024


def safe_path(path: str) -> str:
    """A path as it may be shown and stored."""
    return safe_text(path, _PATH_CHARS)


class CaptureError(Exception):
    """Nothing could be read from an input: `path`, `offset` (bytes) and `reason`; str() is one line for people."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(path, offset, reason)
        self.path = path
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        where = f" (at byte {self.offset:,})" if self.offset else ""
        return f"{safe_path(self.path)}: {self.reason}{where}"


class DamagedError(Exception):
    """The bytes of an input end or break here; what came before is good. Does not leave this package."""


class InterfaceError(Exception):
    """Nothing can be captured from an interface: `interface` and `reason`; str() is one line for people."""

    def __init__(self, interface: str, reason: str) -> None:
        super().__init__(interface, reason)
        self.interface = interface
        self.reason = reason

    def __str__(self) -> str:
        return f"{safe_path(self.interface)}: {self.reason}"


class FilterError(Exception):
    """A filter expression cannot be used; str() is one line for people."""
