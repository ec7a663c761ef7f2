"""The sinks of a configuration: what each needs, from one table."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otmon.cli.common import Stop, complain
from otmon.cli.deliver import connection

if TYPE_CHECKING:
    from otmon.outputs.sink import Sink
    from otmon.sensor.settings import Settings

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


class Way(NamedTuple):
    """A sink, and what it needs when rights are given up."""

    sink: "Sink"
    reads: tuple[Path, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports that it connects to."""
    records_per_s: float | None = None


def _elastic(said: dict[str, Any], data: Path) -> Way:
    from otmon.outputs.elastic.sink import ElasticSink

    rate = said.pop("records_per_s", None)
    settings = connection(said.pop("url"), said).early()
    if settings.insecure:
        complain("certificates are not verified: whoever is between can read and change what is sent", "warning")
    return Way(ElasticSink(settings), _files(settings.key_file, settings.ca), settings.ports, rate)


def _syslog(said: dict[str, Any], data: Path) -> Way:
    from otmon.outputs.syslog_cef import FACILITIES, SyslogCef

    facility = FACILITIES.index(said.pop("facility", "local0"))
    sink = SyslogCef(said.pop("url"), facility=facility, **said)
    return Way(sink, ports=sink.ports)


def _webhook(said: dict[str, Any], data: Path) -> Way:
    from otmon.outputs.secret import SecretFile
    from otmon.outputs.webhook import Webhook

    path = said.pop("secret_file")
    sink = Webhook(said.pop("url"), SecretFile(path), **said)
    return Way(sink, (path,), sink.ports)


def _lines(said: dict[str, Any], data: Path) -> Way:
    from otmon.outputs.lines import Lines

    return Way(Lines(beneath(data, said.pop("path")), **said))


WAYS: Final[Mapping[str, Callable[[dict[str, Any], Path], Way]]] = {
    "elastic": _elastic,
    "syslog": _syslog,
    "webhook": _webhook,
    "lines": _lines,
}


class BadOutput(Stop):
    """What is said of an output cannot be."""

    def __init__(self, output: str, reason: str) -> None:
        super().__init__(f"{output}: {reason}")
        self.output, self.reason = output, reason


@contextmanager
def placed(config: Path | None) -> Iterator[None]:
    """Whatever is wrong with an output is said with its place in the configuration file."""
    try:
        yield
    except BadOutput as error:
        raise Stop(_place(config, error)) from None


def _place(config: Path | None, error: BadOutput) -> str:
    from otmon.policy.errors import PolicyError
    from otmon.policy.reader import parse, read_bytes

    try:
        document = parse(read_bytes(str(config)), str(config))
        said = document.data[error.output]
    except (PolicyError, LookupError, TypeError):
        return error.message  # said on the command line, or the file is another one by now
    values = said.items() if isinstance(said, dict) else ()
    key = [key for key, value in values if isinstance(value, str) and Path(value).name in error.reason][:1]
    wrong, _, right = error.reason.partition("; ")
    return str(PolicyError(str(config), [document.problem((error.output, *key), wrong, right)]))


def ways(settings: "Settings") -> list[Way]:
    """Every sink of a sensor, with its secrets as they are now. Raises Stop."""
    return [way(name, said, settings.data) for name, said in told(settings)]


def told(settings: "Settings") -> "Iterator[tuple[str, dict[str, Any]]]":
    """What is said of each sink there is; secrets are where systemd has put them, if it has."""
    from otmon.sensor.sinks import SECRETS

    for name in WAYS:
        if (said := getattr(settings, name)) is not None:
            key = SECRETS.get(name, "")
            yield name, said | ({key: handed_over(name, said[key])} if key in said else {})


def way(name: str, said: Mapping[str, Any], data: Path) -> Way:
    """One of them. Raises Stop."""
    from otmon.outputs.secret import SecretError
    from otmon.outputs.sink import SinkError

    try:
        return WAYS[name](dict(said), data)
    except (Stop, SecretError, SinkError, ValueError) as error:
        raise BadOutput(name, str(error)) from None


def handed_over(name: str, path: Path) -> Path:
    """The service's copy of a secret (LoadCredential= of its unit), else the file itself."""
    folder = os.environ.get(CREDENTIALS)
    copy = Path(folder, name) if folder else path
    return copy if copy.is_file() else path


def beneath(data: Path, name: str) -> Path:
    """A file in the data folder, where alone a sensor can write, that is none of otmon's own. Raises ValueError."""
    from otmon.outputs.folder import FILES

    folder, path = data.resolve(), (data / name).resolve()
    if not path.is_relative_to(folder) or path == folder:
        raise ValueError(f"{path} is not in the data folder {data}, where alone the sensor writes; name a file there")
    if path.suffix != ".jsonl" or path.relative_to(folder).parts[0] in FILES:
        raise ValueError(f"{path}: name it .jsonl, and not as otmon's own files; events.jsonl would do")
    return path


def _files(*paths: Path | None) -> tuple[Path, ...]:
    return tuple(path for path in paths if path is not None)
