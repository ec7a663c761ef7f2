"""The command line: one module a command group; parses arguments and renders, nothing else.

Nothing heavy is imported before a command needs it: `otmon --help` must answer at once.
"""

import gc
import os
import sys
from collections.abc import Sequence

import click

from otmon import __version__
from otmon.cli.alerts import alerts
from otmon.cli.analyze import analyze
from otmon.cli.audit import audit
from otmon.cli.common import INTERRUPTED, USAGE, Stop, complain
from otmon.cli.deliver import deliver
from otmon.cli.doctor import doctor
from otmon.cli.elastic import elastic
from otmon.cli.export import export
from otmon.cli.hunt import hunt
from otmon.cli.learn import learn
from otmon.cli.permit import permit
from otmon.cli.policy import policy
from otmon.cli.second_opinion import second_opinion
from otmon.cli.service import install_service
from otmon.cli.show import assets, blocks, graph, operations
from otmon.cli.warm import warm
from otmon.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="otmon", message="%(prog)s %(version)s")
def cli() -> None:
    """Passive network security monitor for industrial (OT) networks.

    Reads captures and says what is on the network, what they do to each other, what of that
    is not allowed, and what could not be seen. Never sends a byte.

    \b
    otmon analyze plant.pcap                            inventory, operations and graph
    otmon learn plant.pcap -o baseline.yaml             what was seen, as a policy
    otmon analyze new.pcap --policy baseline.yaml       what is not allowed
    otmon alerts list                                   show it again

    Exit codes: 0 ran; 1 a check that was asked for failed; 2 nothing was run (usage, policy, no such file); 3 an input
    is damaged or unreadable, all else was processed; 130 interrupted.
    """


for command in (
    analyze,
    watch,
    export,
    deliver,
    elastic,
    learn,
    policy,
    permit,
    assets,
    operations,
    hunt,
    blocks,
    graph,
    alerts,
    audit,
    second_opinion,
    warm,
    doctor,
    install_service,
):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; gives the exit code. Errors become one line on stderr."""
    try:
        code = cli.main(args=arguments, prog_name="otmon", standalone_mode=False)
    except Stop as error:
        complain(error.message)
        return error.code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is None:
            raise
        complain(f"{os.fsdecode(error.filename)}: {error.strerror or error}")
        return USAGE
    except click.ClickException as error:
        complain(" ".join(error.format_message().split()))  # click lists choices one a line, behind tabs
        return USAGE
    except click.Abort:
        complain("interrupted")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Console script."""
    gc.disable()  # a command makes records, keeps them, writes them and ends: there are no cycles worth looking for
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy starts a thread a core for algebra that nobody does here
    code = run()
    gc.freeze()  # nor is what is left searched for any on the way out: that took a fifth of a small run
    sys.exit(code)
