"""`otmon install-service`: the sensor as a systemd service."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.analyze import load
from otmon.cli.common import Stop, complain, emit
from otmon.cli.watch import configuration

if TYPE_CHECKING:
    from otmon.outputs.service import Service

_EPILOG = """\b
Examples:
  otmon install-service eth1 --dry-run
  sudo /opt/otmon/bin/otmon install-service eth1 eth2 --policy /etc/otmon/plant.yaml
  sudo /opt/otmon/bin/otmon install-service --config /etc/otmon/sensor.yaml
"""


@click.command("install-service", epilog=_EPILOG)
@click.argument("interfaces", metavar="INTERFACE...", nargs=-1)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Options of the sensor, a YAML file.")
@click.option("--policy", metavar="FILE", type=click.Path(path_type=Path), help="Judge by this policy.")
@click.option(
    *("--data", "data"),
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Data folder; made for the user if it is not there.  [default: /var/lib/otmon]",
)
@click.option("--user", metavar="NAME", help="User to run as; made if not there.  [default: otmon]")
@click.option("--dry-run", is_flag=True, help="Print the unit and the commands, and do nothing.")
def install_service(
    interfaces: tuple[str, ...],
    config: Path | None,
    policy: Path | None,
    data: Path | None,
    user: str | None,
    dry_run: bool,
) -> None:
    """Install the sensor as a hardened systemd service.

    Makes the user and the data folder, compiles the packet engine where the service can read it, writes the unit.
    The service is not started. To be run again after an upgrade of otmon.
    """
    import otmon
    from otmon.outputs.service import DEFAULT_DATA, DEFAULT_USER, UNIT, Service, ServiceError, shown
    from otmon.sensor.settings import OUTPUTS
    from otmon.sensor.sinks import files as files_of
    from otmon.sensor.sinks import hosts

    program = Path(sys.executable).with_name("otmon")
    said: dict[str, Any] = {} if config is None else configuration(config)
    if config is not None and interfaces:
        raise Stop(f"{config} names the interfaces: add {', '.join(interfaces)} there, not here")
    interfaces = interfaces or _interfaces(said)
    if not interfaces:
        raise Stop("name an interface to watch, or a file of --config that does")
    data, user = data or said.get("data", DEFAULT_DATA), user or said.get("user", DEFAULT_USER)
    outputs: dict[str, dict[str, Any]] = {name: said[name] for name in OUTPUTS if name in said}
    credentials = _credentials(outputs, user)
    # What the file says of a policy the sensor reads there; here it is only looked at.
    in_file = said.get("policy") if policy is None else None
    files = [None if path is None else path.absolute() for path in (policy, config)]
    try:
        service = Service(
            interfaces, files[0], data.absolute(), user, program, files[1], hosts(outputs), tuple(credentials.items())
        )
        text = service.unit()
    except ServiceError as error:
        raise Stop(str(error)) from None
    for path in filter(None, (policy, in_file)):
        load(path)
    read = [path.absolute() for path in files_of(outputs).values()]
    read = [path for path in read if path not in credentials.values()]
    read += [] if in_file is None else [in_file.absolute()]
    places = (Path(sys.base_prefix), Path(otmon.__file__), *read)
    hidden = service.out_of_sight(places)
    problem = (
        f"{hidden[0]}: the service cannot see it there; install otmon in /opt, see docs/install.md" if hidden else ""
    )
    before = service.before(_uid(user) >= 0)
    if dry_run:
        if problem:
            complain(problem, "warning")
        commands = [*map(shown, before), f"this file, as {UNIT}", *map(shown, service.after())]
        emit("# What would be done, as root:\n" + "".join(f"#   {line}\n" for line in commands) + "\n" + text)
        return
    if os.geteuid() != 0:
        raise Stop("only root can install a service; run it with sudo, or look at it first with --dry-run")
    if problem:
        raise Stop(problem)
    if not program.exists():
        raise Stop(f"{program}: is not there; install otmon with pip, see docs/install.md")
    _install(service, before, text)


def _install(service: "Service", before: list[list[str]], text: str) -> None:
    from otmon.outputs.service import UNIT

    for command in before:
        _run(command)
    emit(f"writing {UNIT}\n")
    fresh = UNIT.with_name(f".{UNIT.name}.new")
    try:
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.replace(UNIT)
    except OSError as error:
        raise Stop(f"{error.filename}: {error.strerror}") from None
    for command in service.after():
        _run(command)
    emit("Installed. Start it:  systemctl enable --now otmon\n")


def _run(command: list[str]) -> None:
    from otmon.outputs.service import shown

    emit(f"{shown(command)}\n")
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        raise Stop(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        raise Stop(f"this failed with {done.returncode}, and nothing after it was done: {shown(command)}")


def _interfaces(said: dict[str, Any]) -> tuple[str, ...]:
    from otmon.sensor.settings import Settings

    return Settings(**said).all_interfaces


def _credentials(outputs: dict[str, dict[str, Any]], user: str) -> dict[str, Path]:
    """Output -> its secret, where that is not the user's own. Raises Stop if it is not there."""
    from otmon.sensor.sinks import SECRETS, files

    found = {name: path.absolute() for (name, key), path in files(outputs).items() if SECRETS[name] == key}
    try:
        return {name: path for name, path in found.items() if path.stat().st_uid != _uid(user)}
    except OSError as error:
        raise Stop(f"{error.filename}: {error.strerror}: an output needs it") from None


def _uid(user: str) -> int:
    """-1: there is no such user yet."""
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1
