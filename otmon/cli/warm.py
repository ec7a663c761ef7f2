"""`otmon warm`: compile once, start fast ever after."""

import time

import click

from otmon.cli.common import emit


@click.command()
def warm() -> None:
    """Compile the packet engine once.

    Later runs then start at once.
    Done by set-up; needed again after an upgrade. Takes up to half a minute.
    """
    from otmon.engine import warm as compile_all

    started = time.perf_counter()
    folder = compile_all()
    emit(f"compiled in {time.perf_counter() - started:.1f} s into {folder}\n")
