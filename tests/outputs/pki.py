"""Authorities and certificates for tests, made by openssl."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_NEW_KEY = ("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
SAN = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Pki(NamedTuple):
    ca: Path
    other_ca: Path
    server: Path
    """Of localhost and 127.0.0.1, with its key, signed by `ca`."""
    elsewhere: Path
    """The same of another name."""
    expired: Path
    client: Path

    def context(self, certificate: Path | None = None, ask_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate or self.server)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


def _openssl(*args: str | Path) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def _authority(folder: Path, name: str) -> Path:
    key, made = folder / f"{name}.key", folder / f"{name}.pem"
    _openssl("req", "-x509", "-days", "2", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", made)
    return made


def _signed(folder: Path, name: str, ca: str, names: str, days: int = 1) -> Path:
    key, asked, made = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", asked)
    (folder / "ext").write_text(names)
    _openssl("x509", "-req", "-in", asked, "-CA", folder / f"{ca}.pem", "-CAkey", folder / f"{ca}.key",
             "-CAcreateserial", "-days", str(days), "-extfile", folder / "ext", "-out", made)  # fmt: skip
    both = folder / f"{name}.both"
    both.write_bytes(made.read_bytes() + key.read_bytes())
    both.chmod(0o600)
    return both


def forged(folder: Path, name: str, shown: Path) -> Path:
    """A certificate whose signer only has the name of the one in `shown`, which is sent along; with its key."""
    folder.mkdir()
    _authority(folder, name)
    made = _signed(folder, "forged", name, f"{SAN}\nauthorityKeyIdentifier=none\nsubjectKeyIdentifier=none")
    made.write_bytes(made.read_bytes() + certificate(shown).encode())
    return made


def certificate(path: Path) -> str:
    """The first one of a file."""
    end = "-----END CERTIFICATE-----\n"
    return path.read_text().partition(end)[0] + end


def make(folder: Path) -> Pki:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    return Pki(
        _authority(folder, "ca"),
        _authority(folder, "other"),
        _signed(folder, "server", "ca", SAN),
        _signed(folder, "elsewhere", "ca", "subjectAltName=DNS:siem.example"),
        _signed(folder, "expired", "ca", SAN, days=-1),
        _signed(folder, "client", "ca", "extendedKeyUsage=clientAuth"),
    )
