"""Real Modbus, S7 and DNP3 stacks, in a virtual environment of their own: what speaks in `benchmarks.live.talkers`."""

import subprocess
import sys
from pathlib import Path

from benchmarks.make import DATA

PLACE = DATA / "peers"
PACKAGES = ("pymodbus==3.16.1", "python-snap7==1.4.1", "dnp3py==0.6.0")


def python() -> Path | str:
    """Its Python; a text says why there is none."""
    found = PLACE / "bin" / "python"
    if (PLACE / "installed").exists():
        return found
    try:
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True, capture_output=True)
        pip = [found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"not to be installed here: {words[-1] if words else error}"
    (PLACE / "installed").touch()
    return found
