"""The systemd unit of the sensor, and the commands that make what it needs; nothing is run or written here."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Final

from otmon.text import safe_text

UNIT: Final = Path("/etc/systemd/system/otmon.service")
CACHE: Final = Path("/var/cache")
"""OTMON_CACHE of the service; the file of kernels is in `otmon` beneath it."""
DEFAULT_DATA: Final = Path("/var/lib/otmon")
DEFAULT_USER: Final = "otmon"
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What ProtectHome= and PrivateTmp= take out of the service's sight."""
_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@=+,-]+")


class ServiceError(Exception):
    """The service cannot be made like this; str() is one line that says what to do."""


def _address(host: str) -> str | None:
    """A host as IPAddressAllow= takes it; None for a name."""
    if host == "localhost":
        return host
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _path(path: Path) -> str:
    """A path in a unit's setting: percent signs are doubled; quotes and backslashes cannot be written everywhere."""
    text = str(path)
    if not path.is_absolute() or re.search(r"[\x00-\x1f\x7f\"'\\]", text):
        raise ServiceError(
            f"{text!r}: a unit needs an absolute path without quotes, backslashes and control characters"
        )
    text = text.replace("%", "%%")
    return text if _PLAIN.fullmatch(text) else f'"{text}"'


def _argument(path: Path) -> str:
    """A path in a command of a unit, where dollar signs are doubled as well."""
    return _path(path).replace("$", "$$")


@dataclass(frozen=True, slots=True)
class Service:
    """A sensor to install. Paths are absolute; `program` is the `otmon` to run.

    Raises ServiceError for names that no interface or user can have.
    """

    interfaces: tuple[str, ...]
    policy: Path | None
    data: Path
    user: str
    program: Path
    config: Path | None = None
    """A configuration file, which names the interfaces itself."""
    hosts: tuple[str, ...] = ()
    """Where its outputs are: addresses and names."""
    credentials: tuple[tuple[str, Path], ...] = ()
    """(output, file of root's that it needs): systemd hands over a copy, named as the output."""

    def __post_init__(self) -> None:
        for name in self.interfaces:
            if not _INTERFACE.fullmatch(name):
                raise ServiceError(f"{name!r} is no name of an interface; `ip -br link` lists them")
        if not _USER.fullmatch(self.user) or self.user == "root":
            raise ServiceError(f"{self.user!r} is no user for a service: a name in lower case, and not root")

    def unit(self) -> str:
        """The unit file. Raises ServiceError for paths that cannot be written in one."""
        prepare = [
            f"ExecStartPre=-+{command}"
            for name in self.interfaces
            for command in (
                f"ip link set {name} up arp off",
                f"sysctl -qw net.ipv6.conf.{name.replace('.', '/')}.disable_ipv6=1",
                f"ethtool -K {name} gro off lro off",
            )
        ]
        policy = [] if self.policy is None else ["--policy", _argument(self.policy)]
        what = list(self.interfaces) if self.config is None else ["--config", _argument(self.config)]
        template = Template((resources.files("otmon.outputs") / "otmon.service").read_text())
        return template.substitute(
            interfaces=" ".join(self.interfaces),
            prepare="\n".join(prepare),
            program=_argument(self.program),
            arguments=" ".join([*what, *policy, "--data", _argument(self.data)]),
            user=self.user,
            cache_base=CACHE,
            data_path=_path(self.data),
            data_mount=_path(self.data),
            network=self._network(),
            credentials="".join(f"{line}\n" for line in self._credentials()),
        )

    def _network(self) -> str:
        """Whom it may speak with."""
        names = [host for host in self.hosts if _address(host) is None]
        if names:
            return (
                f"# No IPAddressDeny=: {safe_text(', '.join(dict.fromkeys(names)), 500)} is a name, whose address may\n"
                "# change, and somebody must be asked for it. With addresses alone in the configuration nothing else\n"
                "# is let through. Landlock holds otmon to the outputs' TCP ports."
            )
        allowed = " ".join(dict.fromkeys(["localhost", *filter(None, map(_address, self.hosts))]))
        return f"# Nothing but this machine and the addresses of outputs.\nIPAddressDeny=any\nIPAddressAllow={allowed}"

    def _credentials(self) -> Iterator[str]:
        """Secrets that lie in files of root's. Raises ServiceError."""
        if self.credentials:
            yield ""
            yield "# Secrets of outputs that root alone can read: systemd hands over a copy at each start."
        for name, path in self.credentials:
            _path(path)
            yield f"LoadCredential={name}:{str(path).replace('%', '%%')}"

    def before(self, user_exists: bool) -> list[list[str]]:
        """Commands, in order, to run as root before the unit is written."""
        useradd = ["useradd", "--system", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin"]
        kernels = str(CACHE / "otmon")
        return [
            *([] if user_exists else [[*useradd, "--user-group", self.user]]),
            ["install", "-d", "-o", self.user, "-g", self.user, "-m", "0750", str(self.data)],
            ["install", "-d", "-m", "0755", kernels],
            ["env", f"OTMON_CACHE={CACHE}", str(self.program), "warm"],
            ["chmod", "-R", "u=rwX,go=rX", kernels],
        ]

    def after(self) -> list[list[str]]:
        """Commands to run once the unit is there."""
        return [["systemctl", "daemon-reload"]]

    def out_of_sight(self, code: tuple[Path, ...]) -> list[Path]:
        """Which of its paths, and of those that its code lies in, the service would not see."""
        paths = [self.program, *code, self.data, *filter(None, (self.policy, self.config))]
        places = [place for path in paths for place in dict.fromkeys((path, path.resolve()))]
        return [place for place in places if any(place.is_relative_to(hidden) for hidden in _HIDDEN)]


def shown(command: list[str]) -> str:
    """A command as one would type it."""
    return shlex.join(command)
