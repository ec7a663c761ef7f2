"""Keys that are revoked and replaced, certificates that are not those we trust, requests that are too large."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.delivery.courier import deliver as courier
from otmon.delivery.ledger import NAME, Ledger
from otmon.outputs.elastic.install import KEY_NAME, Installation, create_key, role
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import Refused, TooLarge
from otmon.store import spool
from tests.elastic.certificates import Authority, Certificate
from tests.elastic.proxy import Proxy
from tests.elastic.server import Node
from tests.elastic.shipping import Target, deliver, filled, state, until
from tests.outputs.outgoing import outgoing


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.server()


@pytest.fixture(scope="module")
def tls_node(new_node: Callable[..., Node], certificate: Certificate) -> Iterator[Node]:
    with new_node({"http.max_content_length": "200kb"}, users={"admin": "secret"}, tls=certificate) as node:
        yield node


@pytest.fixture
def target(tls_node: Node, certificate: Certificate, namespace: str, tmp_path: Path) -> Target:
    return Target(tls_node, namespace, ca=certificate.ca, key_file=key_file(tls_node, namespace, tmp_path / "key"))


def key_file(node: Node, namespace: str, path: Path) -> Path:
    made = node.client().security.create_api_key(name="sensor", role_descriptors={"otmon": role(namespace)})
    fresh = path.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_text(made["encoded"] + "\n")
    return fresh.rename(path)


def revoke(node: Node) -> None:
    node.client().security.invalidate_api_key(name="sensor")


def test_a_key_that_only_creates_and_reads_is_enough(target: Target, tmp_path: Path) -> None:
    """Also for looking up what may have arrived, in every backing index."""
    made = filled(tmp_path / "out", 300)
    assert deliver(tmp_path / "out", target.sink()) == {"elastic": 0}
    again = filled(tmp_path / "again", 300)
    with Ledger(tmp_path / "again" / NAME, spool.FINAL) as ledger:
        ledger.sending("elastic", "audit", 300)
    target.rollover()
    assert deliver(tmp_path / "again", target.sink()) == {"elastic": 0}
    assert again.there() == set()
    assert target.ids() == sorted(made.ids["audit"])


def test_a_key_that_is_revoked_and_replaced_meanwhile(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a courier delivers, which goes on by itself; a minute is not waited for."""
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BATCH_RECORDS", 50)
    folder = tmp_path / "out"
    made = filled(folder, 1_000)
    secret = (tmp_path / "key").read_text().strip()
    sink = target.sink()
    taken, number = sink.deliver, 0

    def some(batch: Any, repeated: bool) -> Any:
        nonlocal number
        number += 1
        if number == 5:
            revoke(target.node)
        return taken(batch, repeated)

    monkeypatch.setattr(sink, "deliver", some)
    stop = threading.Event()
    thread = threading.Thread(target=courier, args=(folder / "site.db", sink, "s", stop.is_set), daemon=True)
    thread.start()
    until(lambda: state(folder)[0] == "stopped")
    assert "is the API key right and still valid?" in state(folder)[1]
    assert secret not in state(folder)[1]
    asked = number
    time.sleep(1)
    assert number == asked, "it is not asked again and again"
    replaced_s = time.monotonic()
    key_file(target.node, target.namespace, tmp_path / "key")
    until(lambda: state(folder)[0] == "well")
    print(f"goes on {time.monotonic() - replaced_s:.1f} s after the key was replaced")
    until(lambda: len(target.ids()) == 1_000)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    sink.close()
    assert target.ids() == sorted(made.ids["audit"])
    assert secret not in caplog.text


def stopped(folder: Path, sink: ElasticSink) -> str:
    """What is said of a sink that will not have us, in one line."""
    began_s = time.monotonic()
    assert deliver(folder, sink) == {"elastic": 10}
    assert time.monotonic() - began_s < 20, "it is not asked for long"
    word, reason = state(folder)
    assert word == "stopped"
    assert "\n" not in reason
    return reason


def test_who_is_trusted(target: Target, certificate: Certificate, wrong_authority: Authority, tmp_path: Path) -> None:
    wrong = wrong_authority.server()
    folder = tmp_path / "out"
    made = filled(folder, 10)
    for changed, said in (
        ({"ca": wrong_authority.ca}, "its certificate is not trusted"),
        ({"ca": None}, "its certificate is not trusted"),
        ({"ca": None, "fingerprint": wrong.fingerprint}, "not the one of the fingerprint"),
        ({"fingerprint": wrong.fingerprint}, "not the one of the fingerprint"),
        ({"url": target.settings.url.replace("https", "http")}, ""),
        ({"key_file": None, "user": "admin:wrong"}, "does not know us"),
        ({"key_file": None, "key": "bm8ga2V5"}, "does not know us"),
        ({"key_file": None}, "does not know us"),
        ({"key_file": tmp_path / "none"}, "cannot be read"),
    ):
        if said:
            assert said in stopped(folder, target.sink(**changed)), changed
        else:  # speaks no HTTP without TLS: that is a connection which breaks
            assert deliver(folder, target.sink(**changed), patience_s=0) == {"elastic": 10}
    assert target.ids() == [], "nothing was said to somebody who is not trusted"
    assert deliver(folder, target.sink(ca=None, fingerprint=certificate.fingerprint)) == {"elastic": 0}
    assert target.ids() == sorted(made.ids["audit"])


def test_a_certificate_of_another_name(
    target: Target, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    filled(folder, 10)
    said = stopped(folder, target.sink(url=target.settings.url.replace("127.0.0.1", "localhost")))
    assert "its certificate is not trusted" in said


def test_a_ca_that_is_replaced_is_noticed(
    target: Target, certificate: Certificate, wrong_authority: Authority, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(wrong_authority.ca.read_bytes())
    sink = target.sink(ca=ca)
    with pytest.raises(Refused) as refused:
        sink.deliver([outgoing()], False)
    assert refused.value.mended is not None
    assert not refused.value.mended()
    ca.write_bytes(certificate.ca.read_bytes() + b"\n")
    assert refused.value.mended()
    assert sink.deliver([outgoing()], False)[0].kind == "done"
    sink.close()


def test_a_request_that_is_too_large(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node takes 200 KB at once: what does not fit is sent in pieces."""
    folder, rng, refused = tmp_path / "out", random.Random(1), 0
    made = filled(folder, 1)
    for _ in range(1_000):
        made.append("audit", 1, message=rng.randbytes(500).hex())
    sink = target.sink()
    taken = sink.deliver

    def counted(batch: Any, repeated: bool) -> Any:
        nonlocal refused
        try:
            return taken(batch, repeated)
        except TooLarge:
            refused += 1
            raise

    monkeypatch.setattr(sink, "deliver", counted)
    assert deliver(folder, sink) == {"elastic": 0}
    print(f"{refused} requests were too large")
    assert 1 <= refused <= 10
    with Ledger(folder / NAME, readonly=True) as ledger:
        assert ledger.dead() == []
    assert target.ids() == sorted(made.ids["audit"])


@pytest.mark.long
def test_what_is_garbled_under_tls_is_never_taken(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otmon.outputs.elastic.connection.client.__defaults__", (3.0,))
    monkeypatch.setattr("otmon.delivery.shipper.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BACKOFF_S", 0.2)
    monkeypatch.setattr("otmon.delivery.shipper.STOPPED_S", 0.1)
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BATCH_RECORDS", 50)
    folder = tmp_path / "out"
    made = filled(folder, 1_000)
    port = int(target.settings.url.rpartition(":")[2])
    with Proxy(port, ("garble",), 7) as proxy:
        for _ in range(100):
            if not deliver(folder, target.sink(url=f"https://127.0.0.1:{proxy.port}"))["elastic"]:
                break
            target.rollover()
        print(dict(proxy.done))
        assert proxy.done["garble"] >= 3
    assert target.ids() == sorted(made.ids["audit"])


def test_removing_revokes_the_keys_that_setting_up_made(tls_node: Node, namespace: str) -> None:
    client = tls_node.client()
    client.security.create_api_key(name="otmon of somebody else")
    mine = [create_key(client, namespace, f"{KEY_NAME} sensor-{n}") for n in range(2)]
    other = create_key(client, f"{namespace}.other", f"{KEY_NAME} sensor-0")
    assert None not in (*mine, other)
    gone = Installation(client, namespace).revoke()
    assert sorted(step.name for step in gone) == ["otmon sensor-0", "otmon sensor-1"]
    assert Installation(client, namespace).revoke() == []
    left = [one for one in client.security.get_api_key(name="otmon *")["api_keys"] if not one["invalidated"]]
    names = [one["name"] for one in left if namespace in str(one["role_descriptors"]) or not one["role_descriptors"]]
    assert sorted(names) == ["otmon of somebody else", "otmon sensor-0"]
