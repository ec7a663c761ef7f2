"""What a sensor can be told, on the command line or in a file, and how each value is written."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from otmon.limits import KEEP_BYTES, KEEP_NS, MAX_JOBS
from otmon.text import safe_text

DAY_NS: Final = 86_400 * 1_000_000_000
OUTPUTS: Final = ("elastic", "syslog", "webhook", "lines")
"""Settings that are sinks; all but the first stand in the file alone."""
LOG_FORMS: Final = ("text", "json")
LEAST_KEEP_BYTES: Final = 16 * 1024 * 1024
_UNITS: Final = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE: Final = re.compile(r"(\d{1,18})\s*([A-Za-z]{0,3})\Z")
_ADDRESS: Final = re.compile(r"(?:\[?([0-9a-fA-F.:]{2,45})\]?:)?(\d{1,5})\Z")


class Wrong(ValueError):
    """A value that cannot be: what is wrong, and what would be right."""

    def __init__(self, what: str, right: str) -> None:
        super().__init__(f"{what}; {right}")
        self.what, self.right = what, right


class Address(NamedTuple):
    """Where metrics are served."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class Settings:
    """A sensor's settings; what is not said has its default here."""

    interfaces: tuple[str, ...] = ()
    tap: tuple[tuple[str, str], ...] = ()
    """Pairs of interfaces with a direction of one link each."""
    policy: Path | None = None
    data: Path = Path("otmon-data")
    filter: str | None = None
    jobs: int = 1
    """Processes that share the frames."""
    user: str | None = None
    metrics: Address | None = None
    log: str = "text"
    keep: int = KEEP_NS // DAY_NS
    """Days."""
    keep_bytes: int = KEEP_BYTES

    elastic: Mapping[str, Any] | None = None
    """Fields of otmon.outputs.elastic.connection.Elastic, and `records_per_s`."""
    syslog: Mapping[str, Any] | None = None
    """url, and ca, certificate, facility."""
    webhook: Mapping[str, Any] | None = None
    """url, secret_file, and ca."""
    lines: Mapping[str, Any] | None = None
    """path, and streams."""

    @property
    def all_interfaces(self) -> tuple[str, ...]:
        """Those of taps come last."""
        return self.interfaces + tuple(name for pair in self.tap for name in pair)


def _quoted(value: Any) -> str:
    return f"'{safe_text(str(value), 60)}'"


def address(value: Any) -> Address:
    """`9105` (this machine only) or `ADDRESS:PORT`. Raises Wrong."""
    match = _ADDRESS.match(str(value).strip())
    right = "write a port such as 9105, which this machine alone reaches, or 192.0.2.1:9105"
    if match is None or isinstance(value, bool):
        raise Wrong(f"{_quoted(value)} is not an address and a port", right)
    host, port = match[1] or "127.0.0.1", int(match[2])
    if not 0 < port < 65536:
        raise Wrong(f"{port} is not a port", "write a number from 1 to 65535")
    try:
        return Address(str(ipaddress.ip_address(host)), port)
    except ValueError:
        raise Wrong(f"{_quoted(host)} is not an IP address", right) from None


def days(value: Any) -> int:
    """A whole number of days. Raises Wrong."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", text) or not 0 < int(text) <= 36_500:
        raise Wrong(f"{_quoted(value)} is not a number of days", "write 1 to 36500")
    return int(text)


def size(value: Any) -> int:
    """Bytes, or `500MB`, `2GiB`. Raises Wrong."""
    match = _SIZE.match(str(value).strip())
    unit = None if match is None or isinstance(value, bool) else _UNITS.get(match[2])
    if match is None or unit is None:
        raise Wrong(f"{_quoted(value)} is not a size", "write 500MB or 2GiB")
    if int(match[1]) * unit < LEAST_KEEP_BYTES:
        raise Wrong(f"{_quoted(value)} is too little to work with", "write 16MiB or more")
    return int(match[1]) * unit


def tap(value: Any) -> tuple[str, str]:
    """`eth1+eth2`. Raises Wrong."""
    first, _, second = str(value).partition("+")
    if not (first and second) or "+" in second:
        raise Wrong(f"{_quoted(value)} is no pair of interfaces", "name two, as in eth1+eth2")
    return first, second


def jobs(value: Any) -> int:
    """1 to MAX_JOBS. Raises Wrong."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", text) or not 0 < int(text) <= MAX_JOBS:
        raise Wrong(f"{_quoted(value)} is not a number of jobs", f"write 1 to {MAX_JOBS}")
    return int(text)


def log_form(value: Any) -> str:
    """text or json. Raises Wrong."""
    if value not in LOG_FORMS:
        raise Wrong(f"{_quoted(value)} is not a form of log", f"write {' or '.join(LOG_FORMS)}")
    return str(value)


WRITTEN: Final[dict[str, Callable[[Any], Any]]] = {
    "tap": tap,
    "jobs": jobs,
    "metrics": address,
    "log": log_form,
    "keep": days,
    "keep_bytes": size,
}
"""Settings that are more than text."""
