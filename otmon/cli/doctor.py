"""`otmon doctor`: is this machine fit to watch, and if not, what mends it?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.checks import tell
from otmon.cli.span import span

if TYPE_CHECKING:
    from otmon.capture.check import Check

_EPILOG = """\b
Examples:
  otmon doctor
  otmon doctor eth1 --data /var/lib/otmon
  otmon doctor --config /etc/otmon/sensor.yaml
  otmon doctor eth1 eth2 --json
  otmon doctor span eth1 --seconds 300
"""


class _Doctor(click.Group):
    """`otmon doctor eth1` is `otmon doctor check eth1`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asked = args[:1] and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if asked else ["check", *args])


@click.group(cls=_Doctor, epilog=_EPILOG)
def doctor() -> None:
    """Check the machine, its interfaces, and the mirror they are connected to.

    Without a command: `check`.
    """


doctor.add_command(span)


@doctor.command(epilog=_EPILOG)
@click.argument("interfaces", metavar="[INTERFACE]...", nargs=-1)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Look at all that this file names.")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="Also look at this data folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def check(interfaces: tuple[str, ...], config: Path | None, data: Path | None, as_json: bool) -> int:
    """Check the machine, and interfaces to watch; say what mends what is wrong.

    Changes nothing, and sends nothing but, with --config, to ask each output whether it is there. As root it also opens
    packet sockets, for a moment. Exit code 1 if something is wrong; warnings are not.
    """
    from otmon.capture.check_host import folder_checks, host_checks
    from otmon.capture.check_interface import interface_checks

    settings = None
    if config is not None:
        from otmon.cli.watch import configured

        settings = configured(config)
        interfaces, data = interfaces or settings.all_interfaces, data or settings.data
    checks = [*host_checks(interfaces), _kernels()]
    checks += [check for name in interfaces for check in interface_checks(name)]
    checks += folder_checks(data) if data is not None else []
    if config is not None and settings is not None:
        from otmon.cli.tryout import output_checks

        checks += output_checks(settings, config)
    return tell(checks, as_json)


def _kernels() -> "Check":
    """Whether the packet engine is compiled, where nobody else can write."""
    from otmon.capture.check import Check
    from otmon.capture.check_host import MACHINE
    from otmon.capture.errors import safe_path
    from otmon.engine import cache

    path = safe_path(str(cache.kernels()))
    if cache.is_warm():
        return Check(MACHINE, "packet engine", "ok", f"compiled: {path}")
    means = "Not there, not whole, or others could have written it: a start takes half a minute longer, or runs slowly."
    return Check(MACHINE, "packet engine", "warning", f"not compiled: {path}", means, "otmon warm")
