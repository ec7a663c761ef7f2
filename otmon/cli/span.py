"""`otmon doctor span`: is what a switch mirrors to an interface whole?"""

import io
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from otmon.cli.analyze import load
from otmon.cli.checks import show, tell
from otmon.cli.common import complain, note
from otmon.cli.sensor import give_up, look_for, open_rings
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.capture.check import Check
    from otmon.capture.ring import Ring
    from otmon.capture.sniff import Sniffer
    from otmon.policy.judge import Policy

_WAIT_S: Final = 0.1
_EPILOG = """\b
Examples:
  otmon doctor span eth1
  otmon doctor span eth1 --seconds 600 --policy plant.yaml
"""


@click.command(epilog=_EPILOG)
@click.argument("interface")
@click.option(
    "--seconds", type=click.IntRange(1, 600), default=60, show_default=True, help="How long to watch; Ctrl-C ends it."
)
@click.option(
    "--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path), help="Also look for its conduits."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def span(interface: str, seconds: int, policy_path: Path | None, as_json: bool) -> int:
    """Watch a mirror port for a while; say what is wrong with the mirror, and what to change on the switch.

    Sends nothing and writes nothing. Exit code 1 if something is wrong; warnings are not.
    """
    look_for([interface])
    from otmon.engine import cache

    cache.choose([interface], note)  # before a policy is read: its names are looked up in what is compiled
    policy = load(policy_path) if policy_path is not None else None
    (ring,) = open_rings([interface], None)
    with ring:
        _rehearse(ring)
        give_up(None, None, [policy_path] if policy_path is not None else [])
        if ring.warning is not None:
            complain(ring.warning, "warning")
        note(f"watching {safe_text(interface)} for {seconds} s")
        checks = _watch(ring, seconds, policy)
    return tell(checks, as_json)


def _watch(ring: "Ring | Sniffer", seconds: float, policy: "Policy | None") -> "list[Check]":
    from otmon.engine.run import Run
    from otmon.sensor.sample import Sample
    from otmon.sensor.source import read
    from otmon.sensor.span import judge

    run, sample = Run(policy), Sample()
    run.enter(ring.interface)
    poll = select.poll()
    poll.register(ring.fileno(), select.POLLIN)
    end_s = time.monotonic() + seconds
    try:
        while (left_s := end_s - time.monotonic()) > 0:
            poll.poll(1000 * min(left_s, _WAIT_S))
            for batch in ring.batches():
                sample.see(batch)
                run.feed(batch)
    except KeyboardInterrupt:
        note("interrupted: the verdict is on what was seen by now")
    run.finish()
    return judge(safe_text(ring.interface), run.harvest(), sample, read(ring), policy)


def _rehearse(ring: "Ring | Sniffer") -> None:
    """Load what it takes to tell a verdict: Python's own library may be out of reach once privileges are dropped."""
    from rich.console import Console

    import otmon.outputs.console
    import otmon.outputs.jsonl  # noqa: F401 # that it is loaded is all

    show(Console(file=io.StringIO()), _watch(ring, 0, None))
