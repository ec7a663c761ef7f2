"""Compiles every far function into the kernel cache, in as many processes as there are cores."""

import importlib
import json
import multiprocessing
import os
from pathlib import Path

from otmon.wire.fields import FAR_NAMES, SYMBOLS


def _compiled(name: str) -> tuple[str, str, bytes]:
    """In a process of its own, where OTMON_COMPILE is set."""
    for module in ("otmon.capture.reader", "otmon.wire.finish", "otmon.engine.loop"):
        importlib.import_module(module)
    from otmon.wire.ahead import compiled

    return name, *compiled(name)


def compile_all(folder: Path) -> None:
    """Fill the folder: an object file each, then the index of their symbols, which says that all are there."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["OTMON_COMPILE"] = "1"
    try:
        with multiprocessing.get_context("spawn").Pool(min(os.cpu_count() or 1, 8)) as pool:
            symbols = {}
            for name, symbol, code in pool.imap_unordered(_compiled, FAR_NAMES):
                symbols[name] = symbol
                (folder / f"{name}.o").write_bytes(code)
    finally:
        del os.environ["OTMON_COMPILE"]
    unfinished = folder / f"{SYMBOLS}.{os.getpid()}"
    unfinished.write_text(json.dumps(symbols, indent=1))
    unfinished.replace(folder / SYMBOLS)
