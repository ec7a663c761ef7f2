"""A site of four hosts, and episodes made by hand."""

from typing import Any

from otmon.alerts.episodes import Episode, EpisodeKey, Episodes
from otmon.model import Access, Counts, OperationKey, Target, Unit
from otmon.policy.verdict import Verdict

T0 = 1_700_000_000_000_000_000
HOUR = 3_600 * 1_000_000_000
HOSTS = {
    "10.0.2.11": ("HMI-2", "supervision", ["hmi"]),
    "10.0.1.13": ("PLC-3", "control", ["plc"]),
    "10.0.1.20": ("RTU-1", "control", ["rtu"]),
}


class Site:
    def __init__(self, **names: str) -> None:
        self.hosts = dict(HOSTS)
        for address, name in names.items():
            self.hosts[address] = (name, "control", ["plc"])

    def who(self, realm: str, address: str) -> dict[str, Any]:
        name, zone, roles = self.hosts.get(address, (None, "outside", []))
        asset = f"asset-{name}" if name else None
        return {"realm": realm, "address": address, "asset": asset, "name": name, "zone": zone, "roles": roles}


def operation(
    protocol: str = "modbus",
    function: str = "write_single_register",
    access: Access = "write",
    target: Target | None = None,
    server: str = "10.0.1.13",
    unit: Unit = 1,
    port: int | None = 502,
    client: str = "10.0.2.11",
    transport: str = "tcp",
) -> OperationKey:
    return OperationKey(
        "default", client, server, transport, port, protocol, unit, 6, function, access, target, "client"
    )


DENIED = Verdict(permit=False, kind="command", severity="high")


def episode(
    op: OperationKey, verdict: Verdict = DENIED, targets: list[Target | None] | None = None, **outcomes: int
) -> Episode:
    """One episode with the outcomes given on each target."""
    made = Episodes("site-1").touch(EpisodeKey.of(op, verdict), T0, verdict, op)
    outcomes = outcomes or {"accepted": 1}
    for target in targets if targets is not None else [op.target]:
        counts = Counts(attempted=sum(outcomes.values()), **outcomes)
        made.note(target, counts, T0, T0, [(0, 7)])
    return made
