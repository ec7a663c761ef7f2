"""`otmon warm`: compile once, start fast ever after."""

import time

import click

from otmon.cli.common import Stop, emit


@click.command()
def warm() -> None:
    """Compile the packet engine once.

    Later runs then start at once.
    Done by set-up; needed again after an upgrade. Takes up to half a minute.
    """
    from otmon.engine import warm as compile_all
    from otmon.wire.kernelfile import CompileError

    started = time.perf_counter()
    try:
        file = compile_all()
    except OSError as error:
        raise Stop(f"{error.filename}: {error.strerror or error}") from None
    except CompileError as error:
        raise Stop(f"cannot compile: {error}") from None
    emit(f"compiled in {time.perf_counter() - started:.1f} s into {file}\n")
