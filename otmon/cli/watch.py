"""`otmon watch`: the live sensor on mirror ports."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.common import Stop
from otmon.cli.deliver import elastic_option

if TYPE_CHECKING:
    from otmon.sensor.settings import Settings

_EPILOG = """\b
Examples:
  otmon watch eth1
  otmon watch eth1 eth2 --policy /etc/otmon/policy.yaml --data /var/lib/otmon
  otmon watch span0 --filter 'not port 22' --view
  otmon watch --tap eth1+eth2
  otmon watch eth1 --jobs 4
  otmon watch --config /etc/otmon/sensor.yaml

Ends with SIGTERM or Ctrl-C, and then writes what `analyze` writes into the data folder. SIGHUP: read the policy again.
"""


class _Written(click.ParamType[Any]):
    """A value written as otmon.sensor.settings says, which is imported when there is one."""

    name = "value"

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from otmon.sensor.settings import WRITTEN, Wrong

        try:
            return WRITTEN[self._setting](value)
        except Wrong as error:
            self.fail(str(error), param, ctx)


@click.command(epilog=_EPILOG)
@click.argument("interfaces", metavar="INTERFACE...", nargs=-1)
@click.option(
    "--tap",
    metavar="A+B",
    multiple=True,
    type=_Written("tap"),
    help="Two interfaces with a direction of one link each, put in order; may be given again.",
)
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Read options from this YAML file.")
@click.option("--policy", metavar="FILE", type=click.Path(path_type=Path), help="Judge by this policy.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Data folder; what was learnt there before is gone on with.  [default: otmon-data]",
)
@click.option("--filter", metavar="EXPR", help="Look only at what this libpcap filter lets through.")
@click.option(
    *("--jobs",), metavar="N", type=_Written("jobs"), help="Share the frames among so many processes.  [default: 1]"
)
@click.option("--user", metavar="NAME", help="Started by root, become this user.  [default: nobody]")
@click.option("--metrics", metavar="[ADDRESS:]PORT", type=_Written("metrics"), help="Serve Prometheus metrics there.")
@click.option("--log", metavar="text|json", type=_Written("log"), help="Form of the lines on stderr.  [default: text]")
@click.option(
    *("--keep", "keep"),
    metavar="DAYS",
    type=_Written("keep"),
    help="Forget alerts that ended and operations not seen for so long.  [default: 400]",
)
@click.option(
    *("--keep-bytes", "keep_bytes"),
    metavar="SIZE",
    type=_Written("keep_bytes"),
    help="Above this size of the database the oldest goes.  [default: 4GiB]",
)
@elastic_option
@click.option("--view", is_flag=True, help="Show what happens on the terminal; q ends.")
def watch(config: Path | None, view: bool, elastic: str | None, **given: Any) -> None:
    """Watch mirror ports live, for as long as it runs. Never sends a frame there."""
    from otmon.cli.sensor import run
    from otmon.cli.ways import placed

    with placed(config):
        run(_settings(config, given, elastic), view)


def configuration(path: Path) -> dict[str, Any]:
    """What a configuration file says, by the names of `Settings`. Raises Stop."""
    from otmon.policy.errors import PolicyError
    from otmon.sensor.config import load_config

    try:
        return load_config(path)
    except PolicyError as error:
        raise Stop(str(error)) from None


def configured(config: Path | None, elastic_url: str | None = None) -> "Settings":
    """What a file says, and `--elastic` over it. Raises Stop."""
    from otmon.sensor.settings import Settings

    said = {} if config is None else configuration(config)
    if elastic_url is not None:
        said["elastic"] = said.get("elastic", {}) | {"url": elastic_url}
    return Settings(**said)


def _settings(config: Path | None, given: dict[str, Any], elastic_url: str | None) -> "Settings":
    """What the command line says, else the file, else the default. Raises Stop."""
    settings = replace(
        configured(config, elastic_url), **{name: value for name, value in given.items() if value not in (None, ())}
    )
    interfaces = settings.all_interfaces
    if not interfaces:
        raise Stop("name an interface to watch or a --tap, here or in the file of --config")
    if len(set(interfaces)) < len(interfaces):
        raise Stop("an interface is named twice")
    if settings.tap and settings.jobs > 1:
        raise Stop("--jobs and --tap exclude each other: both directions of a tap are put in order in one process")
    from otmon.cli.sensor import look_for

    look_for(interfaces)
    return settings
