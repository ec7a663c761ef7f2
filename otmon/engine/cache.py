"""Where compiled kernels are kept, and whether a run is compiled or interpreted.

Numba does not notice a changed callee in another file, so the folder's name carries a hash of the package's sources
(and Python's version). A cache entry is executable code: the folder is made private to its owner.
"""

import functools
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

INTERPRET_BYTES = 2 * 1024 * 1024
"""With a cold cache, inputs up to this size are sooner interpreted than the loop is compiled."""
MARKER = "complete"
_PARTS = ("limits.py", "capture", "wire", "protocols", "stream")


def sources_hash() -> str:
    """Hash of every source file that compiled code may come from."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256(sys.version.encode())
    files = [p for part in _PARTS for p in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))]
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def folder() -> Path:
    """The kernel cache: OTMON_CACHE, else the user's cache folder; a subfolder for these sources."""
    base = os.environ.get("OTMON_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "otmon" / f"kernels-{sources_hash()}"


def is_warm() -> bool:
    """Whether `otmon warm` finished for these sources."""
    return (folder() / MARKER).exists()


def mark_warm() -> None:
    """Everything is compiled."""
    (folder() / MARKER).touch()


def choose(paths: Sequence[str]) -> None:
    """Set up compiled or interpreted mode for these inputs. Has no effect once the wire stage was imported."""
    if "otmon.wire.loads" in sys.modules:
        return
    if "OTMON_INTERPRET" not in os.environ and not is_warm():
        sizes = [os.path.getsize(path) if os.path.isfile(path) else INTERPRET_BYTES for path in paths]
        if sum(sizes) < INTERPRET_BYTES:
            os.environ["OTMON_INTERPRET"] = "1"
    if "NUMBA_CACHE_DIR" not in os.environ:
        place = folder()
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            return  # Numba falls back to __pycache__, or compiles anew each time
        os.environ["NUMBA_CACHE_DIR"] = str(place)
