import random
from collections.abc import Sequence

import pytest

from otmon.alerts.episodes import MANY
from otmon.alerts.record import as_record
from otmon.alerts.visibility import REASONS, Dark, of_capture, of_connections, visibility
from otmon.model import ConnectionRecord, Fact
from tests.alerts.stub import T0, Site

QUIET = ConnectionRecord(
    realm="default",
    client="10.0.2.11",
    client_port=40_000,
    server="10.0.1.13",
    server_port=502,
    transport="tcp",
    protocol="modbus",
    assumed_roles=False,
    vlans=(),
    first_ts_ns=T0,
    last_ts_ns=T0 + 9,
    first_frame=(0, 1),
    frames=(5, 5),
    bytes=(60, 60),
    gaps=0,
    missing_bytes=0,
    one_sided=False,
    encrypted_bytes=0,
    midstream=False,
)


def titles(*connections: ConnectionRecord, facts: Sequence[Fact] = ()) -> list[str]:
    return [as_record(one, Site())["title"] for one in visibility("a", of_connections(connections, facts))]


def test_what_was_seen_whole_is_no_finding() -> None:
    assert titles(QUIET, QUIET._replace(protocol=None, transport="udp", one_sided=True)) == []
    assert titles(QUIET._replace(protocol=None, one_sided=True, bytes=(0, 0))) == []
    assert titles(QUIET._replace(protocol=None, gaps=3, missing_bytes=99)) == []


def test_one_finding_for_a_pair_and_reason() -> None:
    hole = QUIET._replace(gaps=1, missing_bytes=4)
    back = hole._replace(
        client="10.0.1.13", server="10.0.2.11", first_ts_ns=T0 + 1, last_ts_ns=T0 + 99, first_frame=(0, 9)
    )
    assert titles(hole, hole._replace(client_port=40_001), back) == [
        "12 bytes of the conversation between HMI-2 (10.0.2.11, supervision) and PLC-3 (10.0.1.13, control) were not "
        "captured (3 gaps)."
    ]
    (made,) = visibility("a", of_connections([back, hole]))
    record = as_record(made, Site())
    assert (record["count"], record["severity"], record["kind"], record["operation"]) == (2, "low", "visibility", None)
    assert (record["first_ts_ns"], record["last_ts_ns"], record["frames"]) == (T0, T0 + 99, [[1, 1], [1, 9]])
    assert (record["targets"], record["outcome"], record["attack"]) == ([], None, [])


def test_half_conversations_and_encryption() -> None:
    assert titles(QUIET._replace(one_sided=True)) == [
        "Only one direction of 1 connection between HMI-2 (10.0.2.11, supervision) and PLC-3 (10.0.1.13, control) was "
        "captured (120 bytes)."
    ]
    assert titles(QUIET._replace(protocol="s7comm", encrypted_bytes=1)) == [
        "1 byte of s7comm between HMI-2 (10.0.2.11, supervision) and PLC-3 (10.0.1.13, control) is encrypted: what "
        "they say cannot be judged."
    ]
    assert titles(QUIET._replace(protocol=None, server_port=802, encrypted_bytes=1)) == [
        "1 byte of modbus between HMI-2 (10.0.2.11, supervision) and PLC-3 (10.0.1.13, control) is encrypted: what "
        "they say cannot be judged."
    ]
    assert len(titles(QUIET._replace(protocol=None, one_sided=True))) == 1


def test_an_encrypted_session_is_named_and_its_directions_told() -> None:
    session = Fact("default", QUIET.client, None, "s7_session", "engineering", "s7comm", (0, 1), T0, 0.6)
    carried = QUIET._replace(protocol="s7comm", encrypted_bytes=99_000, bytes=(90_000, 9_000))
    start = "99,000 bytes of s7comm between HMI-2 (10.0.2.11, supervision) and PLC-3 (10.0.1.13, control) are encrypted"
    cannot = "what they say cannot be judged"
    down = "; HMI-2 (10.0.2.11, supervision) sent 90,000 bytes and got 9,000, which is consistent with a download."
    assert titles(carried, facts=[session]) == [f"{start} in a session of kind engineering: {cannot}{down}"]
    assert titles(carried._replace(bytes=(9_000, 90_000))) == [f"{start}: {cannot}."]
    # Whoever is called client in the first conversation is so in all of a pair.
    back = carried._replace(client=QUIET.server, server=QUIET.client, bytes=(9_000, 0), first_ts_ns=T0 + 5)
    (both,) = visibility("a", of_connections([back, carried]))
    assert (both.detail["sent"], both.detail["got"]) == (90_000, 18_000)


def test_what_concerns_the_capture() -> None:
    buckets = {"captured": 20, "ot": 3, "truncated": 10, "unsupported": 2, "shed": 0}
    found = visibility("a", of_capture(buckets, {"macsec": 1, "batadv": 1}, "default", T0, T0 + 5))
    records = sorted((as_record(one, Site()) for one in found), key=lambda record: record["title"])
    assert [record["title"] for record in records] == [
        "2 frames could not be taken apart (batadv: 1, macsec: 1).",
        "The capture cut off 10 frames: what they carried was not seen whole.",
    ]
    assert all(record["client"]["endpoint"] == MANY for record in records)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_its_sentence_and_order_does_not_matter(reason: str) -> None:
    items = [
        Dark(reason, "default", f"10.0.0.{n % 5}", "10.0.0.9", "modbus", T0 + n, T0 + n, (0, n + 1), bytes=n, frames=1)
        for n in range(20)
    ]
    first = [as_record(one, Site()) for one in visibility("a", items)]
    random.Random(1).shuffle(items)
    assert [as_record(one, Site()) for one in visibility("a", items)] == first
    assert len(first) == len({record["id"] for record in first}) == 5
    assert all("{" not in record["title"] and "could not be seen" not in record["title"] for record in first)
