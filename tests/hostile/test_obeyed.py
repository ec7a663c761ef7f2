"""What a device did, otmon saw: requests that contradict themselves, sent to real servers, beside a policy.

obeyed/*.json says of each what was sent and answered, and which registers, bytes or outputs of the server changed
(captures/make: `make.py obeyed`). Whatever changed is an operation that was judged, and none that a row permits.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import see
from tests.hostile.kit import Session
from tests.policy.policy_kit import policy

FOLDER = Path(__file__).parent / "obeyed"
PORTS = {"modbus": 502, "s7": 102, "dnp3": 20000}
ELSEWHERE = policy("""
    otmon: 1
    site: works
    zones:
      control: {hosts: [10.0.1.0/24]}
      supervision: {hosts: [10.0.2.0/24]}
    conduits:
      - id: elsewhere
        from: supervision
        to: control
        allow:
          - {protocol: tcp}
          - {protocol: udp}
          - {protocol: modbus, access: read}
          - {protocol: modbus, access: write, addresses: 130-190}
          - {protocol: s7comm, access: [connect, read]}
          - {protocol: s7comm, functions: [setup_communication]}
          - {protocol: s7comm, functions: [write_var], items: [DB1.DBB192-197, M190-199]}
          - {protocol: dnp3, functions: [select, operate, direct_operate, direct_operate_no_ack], objects: [g12 20-30]}
          - {protocol: dnp3, functions: [confirm, read, write]}
""")
UNSUSPECTED = ("header 72010000",)
"""A PDU of S7comm-plus, says its first byte, and Snap7 does not look at it: only the answer shows that it was a write,
and not where."""


def client(number: int) -> str:
    return f"10.0.2.{number}"


def frames(lies: list[dict[str, Any]], port: int, udp: bool) -> Iterator[bytes]:
    for number, lie in enumerate(lies, 1):
        session = Session(client(number), "10.0.1.9", lie["port"], port, udp=udp)
        yield from () if udp else session.handshake()
        for sent, answered in zip(lie["sent"], lie["answered"], strict=True):
            data = bytes.fromhex(sent)
            yield from (session.send(data[at : at + 1400]) for at in range(0, len(data), 1400))
            if answered:
                yield session.send(bytes.fromhex(answered), from_client=False)
        yield from () if udp else session.close()


def covers(target: list[Any] | None, space: str, place: int) -> bool:
    """Whether an operation with this target is on that place, or on nothing in particular."""
    return target is None or target[1] is None or (target[0] == space and target[1] <= place <= target[2])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_what_a_server_did_was_judged(path: Path) -> None:
    obeyed = [lie for lie in json.loads(path.read_text()) if lie["changed"]]
    assert len(obeyed) > 15
    protocol, *rest = path.stem.split("_")
    seen = see(frames(obeyed, PORTS[protocol], "udp" in rest), ELSEWHERE, messages=False)
    keys = [operation["key"] for operation in seen.picture["operations"]]
    denied = {alert["client"]["endpoint"] for alert in seen.policy_alerts()}
    for number, lie in enumerate(obeyed, 1):
        mine = [key[10] for key in keys if key[1] == client(number) and key[9] in ("write", "control")]
        places = [(space, place) for space, changed in lie["changed"].items() for place in changed]
        unseen = [place for place in places if not any(covers(target, *place) for target in mine)]
        assert not unseen, f"{lie['name']}: {unseen} of {mine}"
        assert client(number) in denied or lie["name"] in UNSUSPECTED, f"{lie['name']}: nothing was denied of {mine}"


def test_an_answer_to_what_could_not_be_read_is_told_as_that() -> None:
    lies = json.loads((FOLDER / "modbus_libmodbus.json").read_text())
    seen = see(frames([lie for lie in lies if lie["name"] == "length 0 of 6"], 502, False), ELSEWHERE)
    (alert,) = seen.policy_alerts()
    assert alert["targets"][0]["target"] == {"space": "unparsed"}
    assert "wrote to a place that could not be read of " in alert["title"]
