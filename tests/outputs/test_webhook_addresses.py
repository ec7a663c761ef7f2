"""What a webhook takes for an address."""

import socket

import pytest

from otmon.outputs.secret import Secret
from otmon.outputs.sink import Unreachable
from otmon.outputs.webhook import Webhook
from tests.outputs.outgoing import batch

SECRET = Secret("correct horse battery staple")


@pytest.mark.parametrize(
    "url",
    ["", "siem", "ftp://siem/", "https://", "https://h:x/", "https://u:p@h/", "https://h/#f", "https://h/a b",
     "https://h/\r\nX: y", "https://hä/", "https://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="write https://HOST/PATH"):
        Webhook(url, SECRET)


@pytest.mark.parametrize("host", ["siem.example", "10.0.0.1", "localhost.example", "127.0.0.1.example", "[fe80::1]"])
def test_without_tls_only_on_this_machine(host: str) -> None:
    with pytest.raises(ValueError, match="http would show every record"):
        Webhook(f"http://{host}/", SECRET)


def test_this_machine_has_several_names() -> None:
    for host in ("localhost", "127.8.9.1", "[::1]"):
        Webhook(f"http://{host}/", SECRET)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="Connection refused"):
        Webhook(f"http://localhost:{port}/", SECRET).deliver(batch(1), False)
    with pytest.raises(Unreachable, match="cannot be reached"):
        Webhook("https://webhook.invalid/", SECRET).deliver(batch(1), False)
