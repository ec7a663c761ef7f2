"""Runs a script as root, alone: own mounts, own network; Python can be read there by whoever the script becomes.

A checkout in somebody's home is closed to the service user. There, empty folders that anybody may enter stand in place
of the closed ones, with Python, its packages and the checkout mounted back into them.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLACE = Path("/mnt")
"""A small tmpfs there is the only place such a script writes in."""


def refusal() -> str | None:
    """Why such a script cannot run here; None if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "needs unshare and ip"
    done = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "namespaces are not allowed here"


def _closed_above(path: Path) -> Path | None:
    """The uppermost folder above a path that others cannot enter."""
    above = [*reversed(path.parents)][1:]
    return next((folder for folder in above if not folder.stat().st_mode & 0o001), None)


def _mounts() -> list[str]:
    wanted = {Path(p) for p in (sys.base_prefix, sys.prefix, ROOT)}
    wanted |= {path.resolve() for path in wanted}
    closed = {path: top for path in sorted(wanted) if (top := _closed_above(path)) is not None}
    kept = {path: f"{PLACE}/hold{n}" for n, path in enumerate(closed)}
    return [
        f"mount -t tmpfs -o mode=755,size=64m tmpfs {PLACE}",
        *(f"mkdir {hold}; mount --rbind '{path}' {hold}" for path, hold in kept.items()),
        *(f"mount -t tmpfs -o mode=755 tmpfs '{top}'" for top in sorted(set(closed.values()))),
        *(f"mkdir -p '{path}'; mount --rbind {hold} '{path}'" for path, hold in kept.items()),
    ]


def run(script: str, *setup: str, under: str = "", stdin: Path | None = None, **environment: str) -> Any:
    """What `script` (Python) prints as JSON, after the `setup` commands. Raises AssertionError with its stderr.

    `under` is a command that runs it; `stdin` a file that the setup may read though its folder is closed by then.
    """
    lines = ["set -e", *_mounts(), *setup, f"cd {PLACE}", f"exec {under} '{sys.executable}' -c \"$SCRIPT\""]
    env = os.environ | {"SCRIPT": script, "PYTHONPATH": str(ROOT)} | environment
    env.pop("OTMON_KERNELS", None)
    command = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", "\n".join(lines)]
    with open(stdin or os.devnull, "rb") as file:
        done = subprocess.run(command, env=env, stdin=file, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
