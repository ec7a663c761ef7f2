"""Certificates for tests over TLS, made anew in each session by the command `openssl` (3.0 or later)."""

import hashlib
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A server's certificate and key, and the authority that signed it: three PEM files."""

    cert: Path
    key: Path
    ca: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the server's certificate, in hex: what clients pin."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.cert.read_text())).hexdigest()


class Authority:
    """One that clients may be told to trust. Another one, trusted instead, is the wrong one: names do not matter."""

    def __init__(self, folder: Path, name: str = "otmon test") -> None:
        self._folder = folder
        self.ca = folder / "ca.pem"
        folder.mkdir(parents=True)
        _openssl(
            "req", "-x509", *_NEW_KEY, "-keyout", folder / "ca.key", "-out", self.ca,
            "-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    def server(self, address: str = "IP:127.0.0.1", days: int = 2) -> Certificate:
        """For one subject alternative name, as "IP:127.0.0.1" or "DNS:elsewhere.example"."""
        stem = self._folder / f"{address.replace(':', '-')}-{days}"
        cert, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        _openssl(
            "req", "-x509", "-CA", self.ca, "-CAkey", self._folder / "ca.key", *_NEW_KEY, "-keyout", key, "-out", cert,
            "-days", str(days), "-subj", "/CN=node", "-addext", f"subjectAltName={address}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth",
        )  # fmt: skip
        return Certificate(cert, key, self.ca)


def available() -> bool:
    return shutil.which("openssl") is not None


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
