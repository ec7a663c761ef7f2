"""What a client with verification on accepts, without a node."""

import ssl

import pytest

from tests.elastic.certificates import Authority, Certificate


def shake_hands(server: Certificate, trusted: Authority) -> bytes:
    """The server's certificate as a client saw it at 127.0.0.1; both ends in memory."""
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    there.load_cert_chain(server.cert, server.key)
    here = ssl.create_default_context(cafile=str(trusted.ca))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(down, up, server_hostname="127.0.0.1")
    served = there.wrap_bio(up, down, server_side=True)
    waiting = [client, served]
    for end in (client, served) * 4:
        if end in waiting:
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    seen = client.getpeercert(binary_form=True)
    assert seen
    return seen


def test_the_right_authority(authority: Authority) -> None:
    certificate = authority.server()
    assert shake_hands(certificate, authority) == ssl.PEM_cert_to_DER_cert(certificate.cert.read_text())
    assert len(certificate.fingerprint) == 64


def test_the_wrong_authority(authority: Authority, wrong_authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        shake_hands(authority.server(), wrong_authority)


def test_another_name(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake_hands(authority.server("DNS:elsewhere.example"), authority)
