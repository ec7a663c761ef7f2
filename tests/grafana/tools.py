"""Programs of others that check what is here: TypeScript with Grafana's schema, and Prometheus's promtool."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCHEMA = Path(__file__).parent / "schema"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_PINNED = ("package.json", "package-lock.json")


def schema_folder() -> Path:
    """A folder outside the repository with Grafana's types and TypeScript, as package-lock.json pins them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip(
            "no Node.js with npm here (Debian: nodejs, npm): dashboards are not checked against @grafana/schema"
        )
    key = hashlib.sha256(b"".join((SCHEMA / name).read_bytes() for name in _PINNED)).hexdigest()[:16]
    folder = CACHE / "otmon-test-grafana" / key
    if not (folder / "node_modules" / ".package-lock.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PINNED:
            shutil.copy(SCHEMA / name, folder)
        done = run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
        if done.returncode:
            pytest.skip(f"npm could not fetch @grafana/schema: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def promtool() -> str:
    """The program: on PATH, or named by PROMTOOL, or where `.ci/run` puts it."""
    places = (os.environ.get("PROMTOOL"), shutil.which("promtool"), CACHE / "otmon-test-promtool/usr/bin/promtool")
    for place in places:
        if place and os.access(place, os.X_OK):
            return str(place)
    pytest.skip("no promtool here (Debian: prometheus; or PROMTOOL=its path): rules and expressions are not checked")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
