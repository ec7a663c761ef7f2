"""Brings a sensor's parts together: rings, privileges, database, policy, outputs. All is open before root goes."""

import gc
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otmon.cli.analyze import load
from otmon.cli.common import Stop, complain, note
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.capture.privileges import Dropped
    from otmon.capture.ring import Ring
    from otmon.capture.sniff import Sniffer
    from otmon.outputs.pageserver import PageServer
    from otmon.policy.judge import Policy
    from otmon.sensor.logs import Line
    from otmon.sensor.screen import Screen
    from otmon.sensor.settings import Settings
    from otmon.sensor.watch import Sensor


def run(settings: "Settings", view: bool) -> None:
    """Watch until told to stop. Raises Stop."""
    from otmon.engine import cache
    from otmon.sensor import logs

    policy_path, data = settings.policy, settings.data
    cache.choose(settings.all_interfaces, note)  # before a policy is read: its names are looked up in what is compiled
    policy = load(policy_path) if policy_path is not None else None
    _one_realm(settings.tap, policy)
    logs.set_up(settings.log)
    # All that runs is loaded while everything can still be read.
    from otmon.outputs.notify import Notifier
    from otmon.outputs.results import Clock
    from otmon.sensor.export import rehearse, write_files
    from otmon.sensor.orders import Orders
    from otmon.sensor.settings import DAY_NS
    from otmon.sensor.watch import Sensor
    from otmon.store.errors import StoreError
    from otmon.store.retention import Retention
    from otmon.store.sensor import SiteStore

    rehearse()
    clock, notifier, beside = Clock(), Notifier(), _Beside(settings, view)
    sources = open_rings(settings.all_interfaces, settings.filter)
    try:
        beside.open()
        dropped = give_up(settings.user, data, policy_path)
        keep = Retention(keep_ns=settings.keep * DAY_NS, max_bytes=settings.keep_bytes)
        with SiteStore(data / "site.db", policy.site if policy is not None else "default", keep=keep) as store:
            for text in store.notices:
                complain(text, "warning")
            orders = Orders(policy_path, policy) if policy_path is not None and policy is not None else None
            sensor = Sensor(sources, store, policy, taps=settings.tap, orders=orders, dropped=dropped)
            stopping = _signals(sensor.ask_for_policy)
            for source in sources:
                if source.warning is not None:
                    complain(source.warning, "warning")
                click.echo(f"watching {safe_text(source.interface)}", err=True)
            gc.freeze()
            gc.enable()  # it runs for years: what the start made is not looked at again, cycles made from now on are
            notifier.ready(f"watching {', '.join(settings.all_interfaces)}")
            with beside.joined(sensor):
                sensor.watch(lambda: stopping() or beside.ended(), notifier.alive)
            notifier.stopping()
            sensor.finish()
            write_files(
                data, store, sensor.policy, [s.info for s in sources], _named(policy_path, sensor.policy), clock
            )
    except StoreError as error:
        raise Stop(str(error)) from None
    finally:
        beside.close()
        for source in sources:
            source.close()


class _Beside:
    """What runs beside the watch, in its loop: the metrics' page and the view."""

    def __init__(self, settings: "Settings", view: bool) -> None:
        self._settings = settings
        self._lines: deque[Line] = deque(maxlen=200)
        self._page: PageServer | None = None
        self._screen: Screen | None = None
        self._sensor: Sensor | None = None
        if view:
            from otmon.sensor import screen

            self._screen = screen.Screen(self._lines)
            self._screen.rehearse()

    def open(self) -> None:
        """Bind what needs an address. Raises Stop."""
        address = self._settings.metrics
        if address is None:
            return
        from otmon.outputs.figures import Figures
        from otmon.outputs.metrics import CONTENT_TYPE, Metrics
        from otmon.outputs.pageserver import PageServer
        from otmon.sensor.look import look

        metrics = Metrics(lambda: Figures(0.0) if self._sensor is None else look(self._sensor))
        metrics.page()  # whatever is imported late is there from now on
        try:
            self._page = PageServer(address.host, address.port, "/metrics", CONTENT_TYPE, metrics.page)
        except OSError as error:
            raise Stop(f"metrics: {address} is not to be had: {error.strerror or error}; choose another port") from None
        if not address.local:
            complain(f"metrics can be read by whoever reaches {address}", "warning")

    @contextmanager
    def joined(self, sensor: "Sensor") -> Iterator[None]:
        """Runs in the sensor's loop meanwhile."""
        from otmon.sensor import logs

        self._sensor = sensor
        if self._page is not None:
            sensor.every(0.1, self._page.serve, "the metrics page")
        if self._screen is None:
            yield
            return
        screen = self._screen
        screen.watch(sensor)
        sensor.every(screen.every_s, screen.draw, "the view")
        sensor.every(0.1, screen.listen, "the keyboard")
        if screen.terminal and sys.stderr.isatty():
            logs.set_up(self._settings.log, self._lines)
        try:
            with screen:
                yield
        finally:
            logs.set_up(self._settings.log)

    def ended(self) -> bool:
        """The user has seen enough."""
        return self._screen is not None and self._screen.ended

    def close(self) -> None:
        """Let go of what was opened."""
        if self._page is not None:
            self._page.close()


def _one_realm(pairs: Iterable[tuple[str, str]], policy: "Policy | None") -> None:
    """Both sides of a link see the same addresses. Raises Stop."""
    realms = policy.realms.interfaces if policy is not None else {}
    for first, second in pairs:
        if realms.get(first) != realms.get(second):
            raise Stop(f"--tap {first}+{second}: one link, but the policy has its sides in different realms")


def _named(path: Path | None, policy: "Policy | None") -> dict[str, str] | None:
    return None if policy is None else {"path": safe_text(str(path), 1024), "sha256": policy.sha256}


def open_rings(interfaces: Sequence[str], expression: str | None) -> "list[Ring | Sniffer]":
    """A ring on each interface. Raises Stop."""
    from otmon.capture.bpf import compile_filter
    from otmon.capture.errors import FilterError, InterfaceError
    from otmon.capture.interfaces import link_type
    from otmon.capture.ring import Ring

    sources: list[Ring | Sniffer] = []
    try:
        for number, interface in enumerate(interfaces):
            if not hasattr(socket, "AF_PACKET"):
                sources.append(_sniffer(interface, number, expression))
                continue
            bpf = compile_filter(expression, link_type(interface)) if expression is not None else ()
            sources.append(Ring(interface, number, bpf=bpf))
    except (InterfaceError, FilterError) as error:
        for source in sources:
            source.close()
        raise Stop(str(error)) from None
    return sources


def _sniffer(interface: str, number: int, expression: str | None) -> "Sniffer":
    """Where there is no AF_PACKET. Raises Stop or InterfaceError."""
    from otmon.capture.sniff import Sniffer

    if expression is not None:
        raise Stop("--filter works only on Linux, where the kernel filters")
    complain("no AF_PACKET here: frames come through scapy, a few thousand a second, and more are lost", "warning")
    return Sniffer(interface, number)


def look_for(interfaces: Iterable[str]) -> None:
    """Raises Stop if one is not there."""
    there = {name for _, name in socket.if_nameindex()}
    for interface in interfaces:
        if interface not in there:
            raise Stop(f"{interface}: no such network interface; there are: {', '.join(sorted(there))}")


def give_up(user: str | None, data: Path | None, policy_path: Path | None) -> "Dropped":
    """Give up the privileges that are not needed once rings are open; `data`: where to write. Raises Stop."""
    from otmon.capture.privileges import DEFAULT_USER, PrivilegeError, drop

    reads = [path for path in (policy_path,) if path is not None]
    try:
        if data is not None:
            data.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise Stop(f"{data}: {error.strerror or error}") from None
    if data is not None and os.geteuid() == 0 and not os.access(data, os.W_OK):
        raise Stop(f"{data}: not even root can write there: mount it writable, or name another folder with --data")
    try:
        try:
            return drop(user or DEFAULT_USER, data=data, reads=reads)
        except PrivilegeError as error:
            if user is not None:
                raise
            complain(f"{error}; going on as root, without capabilities", "warning")
            return drop(None, data=data, reads=reads)
    except PrivilegeError as error:
        raise Stop(str(error)) from None


def _signals(reread: Callable[[], None]) -> Callable[[], bool]:
    """Whether SIGTERM or SIGINT came; SIGHUP has the policy read again."""
    told: list[int] = []

    def end(number: int, frame: Any) -> None:
        told.append(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, lambda number, frame: reread())
    return lambda: bool(told)
