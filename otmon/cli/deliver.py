"""`otmon deliver`: what waits in a folder, to where it should go; `analyze` and `watch` are told in the same way."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, complain, folder_argument, log_said, note, progress_bar
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.outputs.elastic.connection import Elastic
    from otmon.outputs.sink import Sink

URL_VARIABLE: Final = "OTMON_ELASTIC_URL"
_EPILOG = """\b
Examples:
  otmon deliver otmon-out --elastic https://elastic.example:9200
  OTMON_ELASTIC_KEY_FILE=key otmon deliver otmon-out --elastic https://elastic.example:9200
  otmon deliver /var/lib/otmon --config /etc/otmon/sensor.yaml

More is said by the environment: OTMON_ELASTIC_KEY_FILE or OTMON_ELASTIC_API_KEY, OTMON_ELASTIC_CA,
OTMON_ELASTIC_FINGERPRINT, OTMON_ELASTIC_NAMESPACE, OTMON_ELASTIC_PROXY.
"""


def elastic_option(function: Any) -> Any:
    """--elastic of commands that deliver."""
    return click.option("--elastic", metavar="URL", envvar=URL_VARIABLE, help="Deliver to Elasticsearch there.")(
        function
    )


def connection(url: str, said: Mapping[str, Any] | None = None) -> "Elastic":
    """How to reach Elasticsearch. Raises Stop."""
    from otmon.outputs.elastic.connection import elastic as settings_of

    try:
        import elasticsearch  # noqa: F401 (only whether it is there)
    except ImportError:
        raise Stop("Elasticsearch needs its client: pip install 'otmon[elastic]'") from None
    try:
        return settings_of(url, said)
    except ValueError as error:
        raise Stop(str(error)) from None


def early(url: str) -> "Elastic":
    """The same with its key, read now. Raises Stop."""
    from otmon.outputs.sink import Refused

    try:
        return connection(url).early()
    except Refused as error:
        raise Stop(str(error)) from None


def settled(settings: "Elastic", folder: Path) -> "Elastic":
    """As a delivery from there would have them; root becomes the folder's owner. Raises Stop."""
    import otmon.outputs.elastic.install  # noqa: F401 (its new owner may not be able to)
    from otmon.cli.owner import become_owner
    from otmon.delivery.ledger import NAME, Ledger, LedgerError
    from otmon.outputs.elastic.sink import ElasticSink

    sink = ElasticSink(settings)
    sink.rehearse()
    become_owner(folder)
    if (folder / NAME).is_file():
        try:
            with Ledger(folder / NAME, readonly=True) as ledger:
                sink.settle(ledger.place(sink.name) or sink.place)
        except LedgerError as error:
            raise Stop(str(error)) from None
    return sink.settings


@click.command(epilog=_EPILOG)
@folder_argument
@elastic_option
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="To every output of a sensor's file.")
def deliver(folder: Path, elastic: str | None, config: Path | None) -> int:
    """Deliver what waits in a folder: of `analyze`, or of a sensor that has ended.

    Exit code 1: some of it still waits.
    """
    found = named(folder, elastic, config)
    from otmon.cli.owner import become_owner

    for sink in found:
        sink.rehearse()
    return CHECK_FAILED if deliver_folder(folder, found, lambda: become_owner(folder)) else RAN


def named(folder: Path, elastic_url: str | None, config: Path | None) -> "list[Sink]":
    """The sinks of a command line or of a sensor's file, one at least, with their secrets. Raises Stop."""
    if config is None:
        found = sinks(elastic_url)
    else:
        from otmon.cli.watch import configured
        from otmon.cli.ways import placed, ways

        with placed(config):
            found = [way.sink for way in ways(replace(configured(config, elastic_url), data=folder))]
    if not found:
        raise Stop(f"say where to: --elastic URL, {URL_VARIABLE}, or --config FILE with an output")
    return found


def sinks(elastic_url: str | None) -> "list[Sink]":
    """The sinks that are named on a command line. Raises Stop."""
    if elastic_url is None:
        return []
    from otmon.outputs.elastic.sink import ElasticSink

    settings = early(elastic_url)
    if settings.insecure:
        complain("certificates are not verified: whoever is between can read and change what is sent", "warning")
    return [ElasticSink(settings)]


def deliver_folder(folder: Path, sinks: "Sequence[Sink]", first: Callable[[], None] = lambda: None) -> int:
    """Deliver a folder's spool and say how it went; gives how many records still wait. Raises Stop.

    `first` is called before anything there is opened.
    """
    from otmon.delivery.ledger import LedgerError
    from otmon.delivery.once import deliver_all, states
    from otmon.store.errors import StoreError

    try:
        first()
        earlier = states(folder)
        before = {name: state.dead for name, state in earlier.items()}
        delivered = {name: state.delivered for name, state in earlier.items()}
        with log_said(), progress_bar("delivering") as progress:
            left = deliver_all(folder, sinks, sensor_name(), progress=progress)
        after = states(folder)
    except (StoreError, LedgerError, OSError) as error:
        raise Stop(str(error)) from None
    finally:
        for sink in sinks:
            sink.close()
    for name, number in left.items():
        state = after.get(name)
        if number:
            why = f": {state.reason}" if state is not None and state.reason else ""
            complain(f"{number:,} records wait in {folder} for {name}{why}; `otmon deliver {folder}` tries again")
        if state is not None and state.dead > before.get(name, 0):
            dead = state.dead - before.get(name, 0)
            complain(f"{dead:,} records were refused for good: `otmon elastic dead list {folder}`", "warning")
        went = (state.delivered if state is not None else 0) - delivered.get(name, 0)
        if not number:
            note(f"{went:,} records delivered to {name}" if went else f"nothing waits in {folder} for {name}")
    return sum(left.values())


def sensor_name() -> str:
    """What this machine is called in records."""
    return safe_text(platform.node(), 64) or "otmon"
