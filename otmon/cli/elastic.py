"""`otmon elastic`: what otmon needs in Elasticsearch, how delivery stands, what was refused for good."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import (
    CHECK_FAILED,
    RAN,
    Stop,
    complain,
    emit,
    emit_json,
    emit_rich,
    folder_argument,
    log_said,
    note,
)
from otmon.cli.deliver import URL_VARIABLE, connection, early, sensor_name, settled
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.delivery.ledger import Dead, Ledger
    from otmon.outputs.elastic.connection import Elastic
    from otmon.outputs.elastic.install import Installation
    from otmon.outputs.kibana.load import Loaded

SKEW_S: Final = 30.0
"""From when on clocks differ too much to compare times."""
_EPILOG: Final = """\b
Examples:
  OTMON_ELASTIC_USER=elastic:secret otmon elastic setup --elastic https://elastic.example:9200 --key-file otmon.key
  otmon elastic setup --elastic http://127.0.0.1:9200 --dry-run
  otmon elastic status /var/lib/otmon --elastic https://elastic.example:9200
  otmon elastic dead list /var/lib/otmon

Who we are is said by OTMON_ELASTIC_USER (name:password), OTMON_ELASTIC_KEY_FILE or OTMON_ELASTIC_API_KEY; whom we trust
by OTMON_ELASTIC_CA or OTMON_ELASTIC_FINGERPRINT; the namespace by OTMON_ELASTIC_NAMESPACE. None of them is an option:
every user of a machine sees every other's command lines.
"""


@click.group(epilog=_EPILOG)
def elastic() -> None:
    """Set up Elasticsearch for otmon, and see how delivery stands."""


def _url(function: Any) -> Any:
    return click.option("--elastic", "url", metavar="URL", envvar=URL_VARIABLE, help="Where Elasticsearch is.")(
        function
    )


@contextmanager
def _installation(url: str | None, folder: Path | None = None) -> "Iterator[tuple[Elastic, Any, Installation]]":
    """Settings, client and what is installed. Raises Stop for whatever goes wrong inside.

    `folder`: what was delivered from there is meant, in its namespace unless another one was said.
    """
    if url is None:
        raise Stop(f"say where Elasticsearch is: --elastic URL, or {URL_VARIABLE}")
    settings = connection(url) if folder is None else settled(early(url), folder)
    from otmon.outputs.elastic.connection import answers, client
    from otmon.outputs.elastic.install import Installation
    from otmon.outputs.sink import SinkError

    try:
        found = client(settings)
        with answers(settings):
            yield settings, found, Installation(found, settings.namespace)
    except SinkError as error:
        raise Stop(str(error)) from None


@contextmanager
def _kept(path: Path | None) -> "Iterator[Callable[[str], None] | None]":
    """Keeps a key in a new file, which is there before the key is, and goes again if none comes. Raises Stop."""
    if path is None:
        yield None
        return
    kept = False
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:

            def keep(key: str) -> None:
                nonlocal kept
                try:
                    file.write(key + "\n")
                    file.flush()
                except OSError as error:
                    raise Stop(f"{path}: the key could not be written ({error.strerror}); make another") from None
                kept = True

            try:
                yield keep
            finally:
                if not kept:
                    path.unlink(missing_ok=True)
    except FileExistsError:
        raise Stop(f"{path}: is there already; name another file, or remove it") from None
    except OSError as error:
        raise Stop(f"{path}: {error.strerror or error}") from None


@elastic.command()
@_url
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--key-file", metavar="FILE", type=click.Path(path_type=Path), help="Write the sensor's API key there.")
@click.option("--kibana", "kibana_url", metavar="URL", help="Load dashboards and rules into Kibana there, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def setup(url: str | None, dry_run: bool, key_file: Path | None, kibana_url: str | None, as_json: bool) -> int:
    """Put templates and data streams there, or bring them up to date; make a key for sensors.

    With --kibana also dashboards and detection rules: who we are there is said by OTMON_KIBANA_USER,
    OTMON_KIBANA_KEY_FILE or OTMON_KIBANA_API_KEY, else as for Elasticsearch.
    """
    from otmon.outputs.elastic.install import KEY_NAME, create_key, role

    key: str | None = None
    with _kept(None if dry_run else key_file) as keep, _installation(url) as (settings, client, installation):
        steps = installation.look() if dry_run else installation.install()
        _look_at_clock(installation)
        rights = role(settings.namespace)
        if (
            keep is not None
            and (key := create_key(client, settings.namespace, f"{KEY_NAME} {sensor_name()}")) is not None
        ):
            keep(key)
    loaded = _load(kibana_url) if kibana_url is not None and not dry_run else []
    if as_json:
        rows = [step._asdict() for step in steps] + [{"kind": "kibana", **one._asdict()} for one in loaded]
        emit_json([*rows, {"kind": "role", "name": "otmon", "what": "keep", **rights}])
        return CHECK_FAILED if any(one.errors for one in loaded) else RAN
    _show_steps(steps, "would be done" if dry_run else "done")
    emit(f"rights of a sensor's key: {', '.join(rights['indices'][0]['privileges'])} on ")
    emit(f"{', '.join(rights['indices'][0]['names'])}\n")
    if key is not None:
        note(f"the sensor's API key is in {key_file}; say OTMON_ELASTIC_KEY_FILE={key_file}")
    elif key_file is not None and not dry_run:
        note("this server has no API keys (security is off): no key was made, and none is needed")
    for one in loaded:
        emit(f"Kibana: {one.loaded} {one.what} loaded\n")
        for error in one.errors:
            complain(f"Kibana: {one.what}: {error}")
    return CHECK_FAILED if any(one.errors for one in loaded) else RAN


def _load(url: str) -> "Sequence[Loaded]":
    """Dashboards and rules. Raises Stop."""
    from otmon.outputs.kibana.load import kibana, load
    from otmon.outputs.sink import SinkError

    try:
        return list(load(kibana(url)))
    except (ValueError, SinkError) as error:
        raise Stop(str(error)) from None


def _show_steps(steps: "Sequence[Any]", word: str) -> None:
    from rich.table import Table

    changed = [step for step in steps if step.what != "keep"]
    table = Table("what", "name", "change", "", box=None, pad_edge=False)
    for step in changed:
        table.add_row(step.kind, step.name, step.what, step.detail)
    if changed:
        emit_rich(lambda out: out.print(table))
    emit(f"{len(changed)} changes {word}, {len(steps) - len(changed)} as they should be\n")


def _look_at_clock(installation: "Installation") -> None:
    """Documents carry this machine's time, and people compare it with that of others."""
    ahead_s = installation.ahead_s(time.time())
    if ahead_s is not None and abs(ahead_s) >= SKEW_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        mend = "set the one that is wrong: timedatectl set-ntp true"
        complain(f"this machine's clock is {abs(ahead_s):,.0f} s {side} that of Elasticsearch; {mend}", "warning")


@elastic.command()
@_url
@click.option("--data", is_flag=True, help="Delete the data streams too, with every document in them.")
def remove(url: str | None, data: bool) -> int:
    """Take away what `setup` put there; the keys that it made are revoked."""
    with _installation(url) as (_, _, installation):
        gone = installation.remove(data) + installation.revoke()
    _show_steps(gone, "done")
    if needed := {step.detail for step in gone if step.what == "keep"}:
        note(f"templates stay, {', '.join(sorted(needed))}")
    return RAN


@elastic.command()
@folder_argument
@_url
@click.option("--json", "as_json", is_flag=True, help="Print a JSON record.")
def status(folder: Path, url: str | None, as_json: bool) -> int:
    """How delivery from a folder stands, and with a URL what is at the other end.

    Exit code 1: a sink does not take what it should, templates are not up to date, or records were refused for good.
    """
    from otmon.cli.owner import become_owner
    from otmon.delivery.ledger import LedgerError
    from otmon.delivery.report import report
    from otmon.store.errors import StoreError

    there: dict[str, Any] | None = None
    if url is not None:
        with _installation(url, folder) as (_, client, installation):
            from elasticsearch import AuthorizationException

            there = {"version": "(of a version that this key may not ask for)", "templates": []}
            try:
                there["templates"] = [step._asdict() for step in installation.look()]
                there["version"] = safe_text(str(client.info()["version"]["number"]), 64)
            except AuthorizationException:
                note("templates are not seen with this key: a sensor's may only add and read documents")
            there["documents"] = dict(installation.counts())
            _look_at_clock(installation)
    become_owner(folder)
    found: dict[str, Any] = {"sinks": [], "waiting": []}
    try:
        if (folder / "site.db").is_file():
            found = report(folder)
        elif there is None:
            raise Stop(f"{folder}: no site database there; name a folder of otmon, or --elastic URL")
    except (StoreError, LedgerError, OSError) as error:
        raise Stop(str(error)) from None
    if there is not None:
        found["elastic"] = there
    from otmon.outputs.jsonl import document

    if as_json:
        emit(document(found).decode())
    else:
        _show_status(found)
    wrong = any(sink["state"] != "well" or sink["letters"] for sink in found["sinks"])
    wrong |= any(step["what"] != "keep" for step in found.get("elastic", {}).get("templates", ()))
    return CHECK_FAILED if wrong else RAN


def _show_status(found: dict[str, Any]) -> None:
    from rich.table import Table

    def show(out: Any) -> None:
        sinks = Table("sink", "state", "delivered", "waiting", "refused", "behind", "", box=None, pad_edge=False)
        for sink in found["sinks"]:
            numbers = (f"{sink[name]:,}" for name in ("delivered", "waiting", "dead"))
            behind = "" if sink["behind_s"] is None else f"{sink['behind_s']:,.0f} s"
            sinks.add_row(sink["sink"], sink["state"], *numbers, behind, sink["reason"])
        if found["sinks"]:
            out.print(sinks)
        else:
            out.print("nothing was ever delivered from there")
        streams = Table("stream", "waiting", "bytes", "shed", box=None, pad_edge=False)
        for one in found["waiting"]:
            streams.add_row(one["stream"], f"{one['records']:,}", f"{one['bytes']:,}", f"{one['shed']:,}")
        if found["waiting"]:
            out.print(streams)
        if found.get("passed_over"):
            out.print(f"{found['passed_over']:,} revisions of alerts were passed over for later ones")
        if "elastic" in found:
            there = found["elastic"]
            wrong = [step for step in there["templates"] if step["what"] != "keep"]
            word = (
                ("up to date" if there["templates"] else "not seen")
                if not wrong
                else f"{len(wrong)} not up to date: run `otmon elastic setup`"
            )
            out.print(f"Elasticsearch {there['version']}; templates and data streams: {word}")
            documents = Table("data stream", "documents", box=None, pad_edge=False)
            for name, number in there["documents"].items():
                documents.add_row(name, f"{number:,}")
            out.print(documents)

    emit_rich(show)


@elastic.group()
def dead() -> None:
    """Records that a sink refused for good."""


def _numbers(function: Any) -> Any:
    return click.argument("numbers", metavar="[NUMBER...]", nargs=-1, type=int)(function)


@contextmanager
def _letters(folder: Path, numbers: Sequence[int]) -> "Iterator[tuple[Ledger, list[Dead]]]":
    """The ledger and these of its dead letters (none named: all), as the folder's owner. Raises Stop."""
    from otmon.cli.owner import become_owner
    from otmon.delivery.ledger import NAME, Ledger, LedgerError

    become_owner(folder)
    if not (folder / NAME).is_file():
        raise Stop(f"{folder}: nothing was ever delivered from there")
    try:
        with log_said(), Ledger(folder / NAME) as ledger:
            found = ledger.dead(numbers)
            if missing := set(numbers) - {letter.n for letter in found}:
                raise Stop(f"no record with number {min(missing)}; `otmon elastic dead list {folder}` shows them")
            yield ledger, found
    except LedgerError as error:
        raise Stop(str(error)) from None


@dead.command(name="list")
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON records, each with the record that was refused.")
def list_(folder: Path, as_json: bool) -> int:
    """Show them, and why."""
    import orjson

    with _letters(folder, ()) as (_, letters):
        pass
    if as_json:
        emit_json([letter._asdict() | {"record": orjson.loads(letter.record)} for letter in letters])
        return RAN
    from rich.table import Table

    table = Table("number", "sink", "stream", "id", "reason", box=None, pad_edge=False)
    for letter in letters:
        table.add_row(str(letter.n), letter.sink, letter.stream, letter.id, letter.reason)
    emit_rich(lambda out: out.print(table) if letters else out.print("none"))
    return RAN


@dead.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_numbers
def drop(folder: Path, numbers: tuple[int, ...]) -> int:
    """Forget them: those with these numbers, or all."""
    with _letters(folder, numbers) as (ledger, letters):
        ledger.drop(letters)
    note(f"{len(letters):,} forgotten")
    return RAN


@dead.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_numbers
@_url
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="To every output of a sensor's file.")
def retry(folder: Path, numbers: tuple[int, ...], url: str | None, config: Path | None) -> int:
    """Send them again, each to the sink that refused it, after what was wrong was mended.

    Exit code 1: some were refused again, or there are some and none was of a sink that was named.
    """
    from otmon.cli.deliver import named

    sinks = named(folder, url, config)
    from otmon.delivery.again import again
    from otmon.outputs.sink import SinkError
    from otmon.store.errors import StoreError

    for sink in sinks:
        sink.rehearse()
    refused: list[tuple[Dead, str]] = []
    with _letters(folder, numbers) as (ledger, letters):
        try:
            for sink in sinks:
                refused += again(sink, ledger, folder / "site.db", letters, sensor_name())
        except (SinkError, StoreError) as error:
            raise Stop(str(error)) from None
        finally:
            for sink in sinks:
                sink.close()
    for letter, reason in refused:
        complain(f"{letter.n} {letter.id}: {reason}")
    others = [letter.sink for letter in letters if letter.sink not in {sink.name for sink in sinks}]
    sent = len(letters) - len(others)
    if others:
        names = ", ".join(sorted(set(others)))
        how = f"`otmon elastic dead retry {folder} --config FILE` sends to the outputs of a sensor's file"
        complain(f"{len(others):,} are of another sink ({names}) and were not sent; {how}", "warning")
    if sent or not others:
        note(f"{sent - len(refused):,} delivered, {len(refused):,} refused again")
    return CHECK_FAILED if refused or (others and not sent) else RAN
