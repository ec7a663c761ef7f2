"""A real Elasticsearch node on loopback, in a folder of its own.

    node = Node(prepare(), folder, {"indexing_pressure.memory.limit": "64kb"}, users={"admin": "secret"})
    node.start()                or `with node:`, which also stops it
    node.client().info()        an elasticsearch.Elasticsearch for node.url; keywords go to its constructor
    node.kill()                 SIGKILL, as when the power fails
    node.restart()              the same folder and port, whether it runs or not; node.settings may be changed before
    node.freeze(), node.thaw()  connections stay, nothing answers
    node.stop()                 in order

It ends with the process that started it, whatever happens to that one.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from tests.elastic.certificates import Certificate
from tests.elastic.recipe import LOGGING, Recipe

READY_TIMEOUT_S = 120
"""Two seconds on an idle machine; a busy one compiles kernels beside it."""
STOP_TIMEOUT_S = 30
_TAIL = 30


class Node:
    """See the module. `users` are superusers and turn security on, without which there is no `tls`."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        tls: Certificate | None = None,
        heap: str = "256m",
    ) -> None:
        assert users or not tls, "a node answers TLS only where security is on"
        self.folder = folder
        self.settings = dict(settings or {})
        self._recipe = recipe
        self._users = dict(users or {})
        self._tls = tls
        self._heap = heap
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "config").mkdir(parents=True)
        if tls:
            for file in (tls.cert, tls.key):  # it reads nothing outside its own folder
                shutil.copy(file, folder / "config")
            self.settings |= {
                "xpack.security.http.ssl.enabled": "true",
                "xpack.security.http.ssl.certificate": tls.cert.name,
                "xpack.security.http.ssl.key": tls.key.name,
            }

    @property
    def url(self) -> str:
        assert self._port, "not started yet"
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process, "not running"
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "node.log"

    def client(self, **keywords: Any) -> Elasticsearch:
        """As the first user and trusting the node's authority, unless told otherwise."""
        if self._users and not keywords.keys() & {"basic_auth", "api_key", "bearer_auth"}:
            keywords["basic_auth"] = next(iter(self._users.items()))
        if self._tls and not keywords.keys() & {"ca_certs", "ssl_assert_fingerprint", "ssl_context", "verify_certs"}:
            keywords["ca_certs"] = str(self._tls.ca)
        return Elasticsearch(self.url, **{"request_timeout": 60, **keywords})

    def start(self, settled: bool = True) -> "Node":
        """Returns when it answers and, if `settled`, when all primary shards do: after a crash they are recovered."""
        assert self._process is None, "it runs already"
        said = self.folder / "said.log"
        given = {**self.settings, "http.port": str(self._port)}
        with said.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    str(self._recipe.java), f"-Xms{self._heap}", f"-Xmx{self._heap}",
                    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",  # ready sooner, and smaller
                    "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote",  # what was released needs none
                    f"-Des.nativelibs.path={self._recipe.native}",
                    "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false",  # the other library it lacks
                    f"-Dlog4j2.configurationFile={LOGGING}", f"-Dotmon.log={self.log}",
                    f"-Djna.tmpdir={self.folder}", "-Djava.awt.headless=true",
                    "-cp", self._recipe.classpath, "org.elasticsearch.node.OtmonNode", str(self.folder),
                    *(f"{key}={value}" for key, value in given.items()),
                    *(f"user={name}:{password}" for name, password in self._users.items()),
                ],
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is for pytest, which then stops the node
            )  # fmt: skip
        try:
            self._port = self._wait(said)
            if settled:
                # Whose certificate it shows is for tests to judge.
                unchecked = {"verify_certs": False, "ssl_show_warn": False} if self._tls else {}
                with self.client(**unchecked) as client:
                    client.cluster.health(wait_for_status="yellow", wait_for_no_initializing_shards=True, timeout="60s")
        except BaseException:
            self.kill()
            raise
        return self

    def __enter__(self) -> "Node":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, said: Path) -> int:
        assert self._process
        until = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < until:
            for line in said.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith("READY ") and line.endswith("\n"):
                    return int(line.split()[1])
            if self._process.poll() is not None:
                raise RuntimeError(f"the node ended with {self._process.returncode}:\n{self._tails(said)}")
            time.sleep(0.05)
        raise TimeoutError(f"the node is not ready after {READY_TIMEOUT_S} s:\n{self._tails(said)}")

    def _tails(self, *files: Path) -> str:
        return "\n".join(
            line
            for file in (*files, self.log)
            if file.exists()
            for line in file.read_text(errors="replace").splitlines()[-_TAIL:]
        )

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._ended()

    def freeze(self) -> None:
        """Returns when every thread has stopped: on a busy machine some go on for a moment."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self._process.pid}/task")
        while any("State:\tT" not in (task / "status").read_text() for task in tasks.iterdir()):
            time.sleep(0.01)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def restart(self, settled: bool = True) -> None:
        self.stop()
        self.start(settled)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._ended()

    def _ended(self) -> None:
        assert self._process
        assert self._process.stdin
        self._process.wait()
        self._process.stdin.close()
        self._process = None
