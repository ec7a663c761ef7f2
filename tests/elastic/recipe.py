"""What a node is started from: a JDK, Elastic's jars as Maven fetches them, and the classes of `node/` compiled once.

    recipe = prepare()      at once when it was done before, else Maven's downloads (about 100 MB) and a compiler run

Missing says what lacks here. The jars stay where Maven keeps them (~/.m2, or MAVEN_OPTS=-Dmaven.repo.local=DIR). The
classes are in otmon-test-elastic in $XDG_CACHE_HOME, or ~/.cache, in a folder named after the sources they are made of.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "node"
LOGGING = SOURCES / "log4j2.properties"
RELEASE = 17
"""The Java that the server's classes need at least, and what ours are compiled for."""
_ZSTD = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib")
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
_FETCH_TIMEOUT_S = 1200
_COMPILE_TIMEOUT_S = 300


class Missing(Exception):
    """No node can be started on this machine; str() says why, in one line."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a command line for a node is made of."""

    java: Path
    classpath: str
    native: Path
    """Folder of the libraries that the server loads by name."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otmon-test-elastic"


def prepare() -> Recipe:
    jdk = _jdk()
    made = cache_folder() / _key()
    made.parent.mkdir(parents=True, exist_ok=True)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start together: one builds, the others wait and find it done
        if not _usable(made):
            _build(jdk, made)
    return Recipe(jdk / "bin/java", f"{made / 'classes'}:{(made / 'classpath').read_text()}", made / "native")


def _key() -> str:
    digest = hashlib.sha256()
    for path in (SOURCES / "pom.xml", *_java_files()):
        digest.update(f"{path.relative_to(SOURCES)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _java_files() -> list[Path]:
    return sorted((SOURCES / "src").rglob("*.java"))


def _usable(made: Path) -> bool:
    """Whether it is there, with every jar: Maven's folder may have been cleaned since."""
    try:
        jars = (made / "classpath").read_text().split(":")
    except FileNotFoundError:
        return False
    return all(map(os.path.exists, [*jars, made / "native/libzstd.so"]))


def _build(jdk: Path, made: Path) -> None:
    zstd = next((path for folder in _ZSTD for path in Path("/").glob(f"{folder[1:]}/libzstd.so.1")), None)
    if zstd is None:
        raise Missing("no libzstd.so.1 (Debian: libzstd1)")
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing("no Maven (Debian: maven)")
    with tempfile.TemporaryDirectory(prefix="building-", dir=made.parent) as folder:
        building = Path(folder) / "made"
        (building / "native").mkdir(parents=True)
        # The codec best_compression wants zstd, which is not among the jars: without it shards fail at the first write
        (building / "native/libzstd.so").symlink_to(zstd)
        fetch = [maven, "-B", "-q", "-Dstyle.color=never", "-f", str(SOURCES / "pom.xml"), _GOAL]
        fetch += ["-Dmdep.includeScope=runtime", f"-Dmdep.outputFile={building / 'classpath'}"]
        environment = {**os.environ, "JAVA_HOME": str(jdk)}
        _run("Maven could not fetch Elasticsearch", fetch, environment, _FETCH_TIMEOUT_S)
        compiler = [str(jdk / "bin/javac"), "--release", str(RELEASE), "-nowarn", "-d", str(building / "classes")]
        compiler += ["-cp", (building / "classpath").read_text(), *map(str, _java_files())]
        _run("javac failed", compiler, environment, _COMPILE_TIMEOUT_S)
        shutil.rmtree(made, ignore_errors=True)
        building.rename(made)


def _run(failed: str, command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=timeout_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Missing(f"{failed}: not done after {timeout_s:.0f} s") from None
    if done.returncode:
        lines = re.sub(
            r"\x1b\[[\d;]*m", "", done.stdout
        ).splitlines()  # Maven resets colours that it was told not to use
        errors = [line for line in lines if "error" in line.lower()]
        raise Missing(f"{failed}: {(errors or lines or ['no reason given'])[0].strip()}")


def _jdk() -> Path:
    seen = []
    for home in _homes():
        if not (home / "bin/javac").exists() or home in seen:
            continue
        seen.append(home)
        said = subprocess.run([home / "bin/java", "-version"], capture_output=True, text=True, timeout=60).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= RELEASE:
            return home
    too_old = f"only older ones: {', '.join(map(str, seen))}; " if seen else ""
    raise Missing(f"no JDK {RELEASE} or later ({too_old}Debian: openjdk-{RELEASE}-jdk-headless, or set ES_JAVA_HOME)")


def _homes() -> Iterator[Path]:
    """Where a JDK may be, the most explicit first."""
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        if os.environ.get(name):
            yield Path(os.environ[name])
    if compiler := shutil.which("javac"):
        yield Path(compiler).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
