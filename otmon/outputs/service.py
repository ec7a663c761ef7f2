"""The systemd unit of the sensor, and the commands that make what it needs; nothing is run or written here."""

import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

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
        )

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
