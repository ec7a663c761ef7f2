"""An S7comm-plus server (s7commplus); with a third word inside TLS. Usage: s7plus_server.py ADDRESS [tls]"""

import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from s7commplus.server import S7CommPlusServer


def certificate() -> tuple[str, str]:
    """Paths of a new certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PLC-1")])
    start = datetime(2026, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    folder = Path(tempfile.mkdtemp(prefix="s7plus-"))
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*private))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def main() -> None:
    server = S7CommPlusServer()
    server.register_db(1, {"level": ("Real", 0), "count": ("Int", 4), "open": ("Bool", 6), "total": ("DInt", 8)})
    server.register_raw_db(2, bytearray(range(64)))
    server.register_raw_db(3, bytearray(4096))
    if sys.argv[2:] == ["tls"]:
        cert, key = certificate()
        server.start(sys.argv[1], 102, use_tls=True, tls_cert=cert, tls_key=key)
    else:
        server.start(sys.argv[1], 102)
    while True:
        time.sleep(1)


main()
