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
from otmon.cli.common import DAMAGED, USAGE, Stop, complain, note
from otmon.cli.deliver import sensor_name
from otmon.cli.outlet import Outlet
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.capture.privileges import Dropped
    from otmon.capture.ring import Ring
    from otmon.capture.sniff import Sniffer
    from otmon.outputs.pageserver import PageServer
    from otmon.policy.judge import Policy
    from otmon.sensor.crew import Crew
    from otmon.sensor.logs import Line
    from otmon.sensor.screen import Screen
    from otmon.sensor.settings import Settings
    from otmon.sensor.spread import Spread
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
    from otmon.engine.points import points_per_s
    from otmon.outputs.notify import Notifier
    from otmon.outputs.results import Clock
    from otmon.sensor.export import rehearse, write_files
    from otmon.sensor.orders import Orders
    from otmon.sensor.settings import DAY_NS
    from otmon.sensor.watch import Sensor
    from otmon.store.errors import StoreError, StoreFull
    from otmon.store.retention import Retention
    from otmon.store.sensor import SiteStore

    rehearse()
    clock, notifier, beside, outlet = Clock(), Notifier(), _Beside(settings, view), Outlet(settings)
    outlet.begin()  # before there are rings, which it would hold open
    jobs = _jobs(settings.jobs, policy)
    rings, watched = open_rings(settings.all_interfaces, settings.filter, jobs), False
    try:
        per_s = points_per_s(outlet.streams)
        sources, front = _shared(rings, policy, jobs, view, per_s) if jobs > 1 else (rings, None)
        beside.open()
        dropped = give_up(settings.user, data, [policy_path] if policy_path is not None else [])
        keep = Retention(keep_ns=settings.keep * DAY_NS, max_bytes=settings.keep_bytes)
        site = policy.site if policy is not None else "default"
        with SiteStore(data / "site.db", site, keep=keep, spooled=outlet.streams, sensor=sensor_name()) as store:
            for text in store.notices:
                complain(text, "warning")
            orders = None
            if policy_path is not None and policy is not None:
                orders = Orders(policy_path, policy, store.permits)
                policy = orders.with_permits()
                if front is not None:
                    front.adopt(policy)
            sensor = Sensor(sources, store, policy, taps=settings.tap, front=front, orders=orders, dropped=dropped)
            outlet.go(sensor)
            stopping = _signals(sensor.ask_for_policy)
            for source in sources:
                if source.warning is not None:
                    complain(source.warning, "warning")
                click.echo(f"watching {safe_text(source.interface)}", err=True)
            gc.freeze()
            gc.enable()  # it runs for years: what the start made is not looked at again, cycles made from now on are
            notifier.ready(f"watching {', '.join(settings.all_interfaces)}")
            watched = True
            with beside.joined(sensor):
                sensor.watch(lambda: stopping() or beside.ended(), notifier.alive)
            notifier.stopping()
            whole = sensor.finish()
            named = _named(policy_path, sensor.policy)
            try:
                write_files(data, store, sensor.policy, [ring.info for ring in rings], named, clock)
            except (StoreFull, OSError) as error:
                raise Stop(_unwritten(data, whole, error), DAMAGED) from None
            outlet.end(sensor)
    except StoreError as error:
        raise Stop(str(error), DAMAGED if watched else USAGE) from None
    finally:
        beside.close()
        outlet.close()
        for ring in rings:
            ring.close()


def _jobs(asked: int, policy: "Policy | None") -> int:
    """One where points have names: what each was last set to, by whomever, is known where all frames are read."""
    if asked > 1 and policy is not None and policy.tags:
        text = "the policy has a tag map: one process reads, as each point may be set by several clients (see --jobs)"
        complain(text, "warning")
        return 1
    return asked


def _shared(
    rings: "Sequence[Ring | Sniffer]", policy: "Policy | None", jobs: int, view: bool, per_s: float | None
) -> "tuple[Sequence[Spread], Crew]":
    """The interfaces, and the processes that read them: these write nothing, and open no socket."""
    from otmon.capture.privileges import drop
    from otmon.capture.ring import Ring
    from otmon.sensor.crew import Crew
    from otmon.sensor.spread import Spread

    shared = [ring for ring in rings if isinstance(ring, Ring)]
    sources = [Spread(shared[at : at + jobs]) for at in range(0, len(shared), jobs)]
    return sources, Crew(sources, policy, look=view, confine=lambda: drop(None, data=None), points_per_s=per_s)


def _unwritten(data: Path, whole: bool, error: Exception) -> str:
    """What is to be said when there was no room at the end."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    lost = "" if whole else ", what was seen since the last checkpoint is lost"
    return f"{data}: the files of the end were not written{lost} ({reason}): free space, then otmon export {data}"


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


def open_rings(interfaces: Sequence[str], expression: str | None, jobs: int = 1) -> "list[Ring | Sniffer]":
    """A ring on each interface for each job, one interface after the other. Raises Stop."""
    from otmon.capture.bpf import compile_filter
    from otmon.capture.errors import FilterError, InterfaceError
    from otmon.capture.interfaces import LINKTYPE_ETHERNET, link_type
    from otmon.capture.ring import Ring
    from otmon.capture.share import behind, share

    sources: list[Ring | Sniffer] = []
    try:
        for number, interface in enumerate(interfaces):
            if not hasattr(socket, "AF_PACKET"):
                if jobs > 1:
                    raise Stop("--jobs needs Linux, where each process has a ring of its own")
                sources.append(_sniffer(interface, number, expression))
                continue
            kind = link_type(interface)
            if jobs > 1 and kind != LINKTYPE_ETHERNET:
                raise Stop(f"--jobs shares Ethernet frames, and {safe_text(interface)} has others: watch without it")
            bpf = compile_filter(expression, kind) if expression is not None else []
            for job in range(jobs):
                program = behind(bpf, share(job, jobs)) if jobs > 1 else bpf
                sources.append(Ring(interface, number * jobs + job, bpf=program))
    except (InterfaceError, FilterError, Stop) as error:
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
    """Before anything is compiled. Raises Stop if one is not there, or nobody may listen here."""
    from otmon.capture import interfaces as network
    from otmon.capture.errors import InterfaceError

    try:
        network.look_for(interfaces)
    except InterfaceError as error:
        raise Stop(str(error)) from None


def give_up(user: str | None, data: Path | None, reads: Sequence[Path] = (), ports: Sequence[int] = ()) -> "Dropped":
    """Give up the privileges that are not needed once rings are open; `data`: where to write. Raises Stop."""
    from otmon.capture.privileges import DEFAULT_USER, PrivilegeError, drop

    try:
        if data is not None:
            data.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise Stop(f"{data}: {error.strerror or error}") from None
    if data is not None and os.geteuid() == 0 and not os.access(data, os.W_OK):
        raise Stop(f"{data}: not even root can write there: mount it writable, or name another folder with --data")
    try:
        try:
            return drop(user or DEFAULT_USER, data=data, reads=reads, tcp_connect=ports)
        except PrivilegeError as error:
            if user is not None:
                raise
            complain(f"{error}; going on as root, without capabilities", "warning")
            return drop(None, data=data, reads=reads, tcp_connect=ports)
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
