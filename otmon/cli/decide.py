"""`otmon alerts import` and `sign`: decisions come from the SOC as a signed file, without a way into the sensor."""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, complain, emit, folder_argument, note, open_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from otmon.alerts.decisions import Signed
    from otmon.store.sensor import SiteStore

WAIT_S: Final = 15.0
"""How long a sensor is waited for."""
DECISIONS: Final = ".decisions"
"""As otmon.sensor.inbox.SUFFIX, which is not imported for --help."""
_KEY_CHARS: Final = 32


def _options(function: Any) -> Any:
    function = click.option(
        "--key-file",
        metavar="KEY",
        required=True,
        type=click.Path(path_type=Path),
        help="The key of both sides, mode 600.",
    )(function)
    return click.argument("file", metavar="FILE", type=click.Path(path_type=Path))(function)


def _read(file: Path, key_file: Path) -> tuple[bytes, bytes]:
    """The file and the key. Raises Stop."""
    from otmon.alerts.decisions import MAX_BYTES
    from otmon.outputs.secret import SecretError, secret_file

    try:
        key = secret_file(key_file).text
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except SecretError as error:
        raise Stop(str(error)) from None
    except OSError as error:
        raise Stop(f"{file}: {error.strerror or error}") from None
    if len(key) < _KEY_CHARS:
        raise Stop(f"{key_file}: a key this short can be guessed; make one with: openssl rand -hex 32")
    return raw, key.encode()


@click.command(
    "sign", epilog="\b\nExamples:\n  otmon alerts sign decisions.jsonl --key-file soc.key > decisions.signed\n"
)
@_options
def sign_decisions(file: Path, key_file: Path) -> None:
    """Sign decisions about alerts, one JSON object a line, for `otmon alerts import`.

    Each has `decision` (acknowledge, close or accept), `alert`, `by`, `ts`, `site`, and may have `note`, `until` and
    `ticket`. The signed file is written to stdout.
    """
    from otmon.alerts.decisions import DecisionError, sign

    raw, key = _read(file, key_file)
    try:
        emit(sign(raw, key, time.time_ns(), secrets.token_hex(16)).decode())
    except DecisionError as error:
        raise Stop(f"{file}: {error}") from None


@click.command(
    "import",
    epilog="\b\nExamples:\n  otmon alerts import decisions.signed /var/lib/otmon --key-file /etc/otmon/soc.key\n",
)
@_options
@folder_argument
def import_decisions(file: Path, folder: Path, key_file: Path) -> int:
    """Take over decisions about alerts from a signed file: all of them, or none.

    A sensor that runs takes them over itself, within seconds. Exit code 1: it has not yet.
    """
    from otmon.alerts.decisions import DecisionError, verify
    from otmon.alerts.sentence import plural

    raw, key = _read(file, key_file)
    try:
        signed = verify(raw, key, time.time_ns())
        taken = hand_over(folder, raw, signed)
    except DecisionError as error:
        raise Stop(f"{file}: {error}; nothing was taken over") from None
    if taken:
        note(f"{plural(len(signed.decisions), 'decision')} taken over")
    return RAN if taken else CHECK_FAILED


def hand_over(folder: Path, raw: bytes, signed: "Signed") -> bool:
    """To the database, or to the sensor that holds it; False, and said: it has not taken it yet.

    Raises DecisionError, and nothing was taken.
    """
    from otmon.cli.owner import become_owner

    become_owner(folder)
    with open_results(folder) as results:
        results.look_at(signed)
    return give(folder, raw, signed.digest, DECISIONS, lambda store: store.decide(signed, time.time_ns()))


def give(folder: Path, raw: bytes, digest: str, suffix: str, act: "Callable[[SiteStore], None]") -> bool:
    """Do it without a sensor, or leave the file for the one that runs; False, and said: it has not taken it yet."""
    from otmon.store.errors import StoreError, StoreHeld
    from otmon.store.sensor import SiteStore

    with open_results(folder) as results:
        site, spooled = results.name, {"audit"} if "spool" in results.meta else set[str]()
    try:
        with SiteStore(folder / "site.db", site, spooled=spooled) as store:
            act(store)
        return True
    except StoreHeld:
        taken = _leave(folder, raw, digest, suffix)
    except StoreError as error:
        raise Stop(str(error)) from None
    if not taken:
        complain(f"the sensor of {folder} has not taken it over yet: it waits in its inbox", "warning")
    return taken


def _leave(folder: Path, raw: bytes, digest: str, suffix: str) -> bool:
    """For the sensor; whether it has taken it over."""
    from otmon.sensor.inbox import put

    try:
        path = put(folder, raw, digest, suffix)
    except OSError as error:
        raise Stop(f"{error.filename}: {error.strerror}: only root and the sensor's user hand it decisions") from None
    end_s = time.monotonic() + WAIT_S
    while path.exists() and time.monotonic() < end_s:
        time.sleep(0.2)
    with open_results(folder) as results:
        return results.took(digest)
