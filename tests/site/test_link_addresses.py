"""Link addresses of DNP3 as evidence: the master's from its own frames, the outstation's as it is addressed."""

from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.limits import MAX_ENDPOINTS_PER_ASSET
from otmon.site.site import Site
from otmon.site.units import NO_DEVICE
from tests.engine.traffic import Exchange, conversation, frames
from tests.engine.world import write
from tests.hostile.kit import Session
from tests.protocols import dnp3_corpus

OWN = Path(__file__).parents[2] / "captures"
MASTER, SERVER = "10.0.2.10", "10.0.1.10"
Told = dict[str, list[tuple[str, float]]]


def told(capture: Path) -> Told:
    """By address: value and confidence."""
    site = Site(analyze([str(capture)]).part, None)
    return {
        asset.endpoints[0].address: [(one.value, one.confidence) for one in asset.attributes["link_address"]]
        for asset in site.assets
        if "link_address" in asset.attributes
    }


@pytest.mark.parametrize("name", ["dnp3_dnp3py", "dnp3_points"])
def test_a_master_says_its_own_and_the_outstation_s(name: str) -> None:
    assert told(OWN / f"{name}.pcap") == {MASTER: [("1", 1.0)], SERVER: [("10", 0.5)]}


def test_what_an_outstation_says_unasked_is_its_own_word() -> None:
    assert told(OWN / "dnp3_opendnp3.pcap") == {MASTER: [("1", 1.0)], SERVER: [("10", 1.0)]}


def poll(outstations: list[int], path: Path) -> Site:
    """A read of class 0 from each, which only the first ten answer."""

    def exchange(link: int) -> Exchange:
        ask = b"".join(dnp3_corpus.frames(b"\xc0\x01\x3c\x01\x06", destination=link, source=1))
        back = {"control": dnp3_corpus.TO_MASTER, "destination": 1, "source": link}
        return ask, b"".join(dnp3_corpus.frames(b"\xc0\x81\0\0", **back)) if link <= 10 else b""

    session = Session(MASTER, SERVER, 49152, 20000)
    capture = write(path / "a.pcap", frames(conversation(session, map(exchange, outstations))))
    return Site(analyze([str(capture)]).part, None)


def test_broadcasts_and_the_self_address_are_nobody_s(tmp_path: Path) -> None:
    site = poll([3, *range(NO_DEVICE, 0x10000)], tmp_path)
    server = next(asset for asset in site.assets if asset.endpoints[0].address == SERVER)
    assert [one.value for one in server.attributes["link_address"]] == ["3"]
    assert [endpoint.unit for endpoint in server.endpoints] == [None, 3]


def test_a_sweep_over_all_addresses_makes_one_device_with_a_few(tmp_path: Path) -> None:
    site = poll(list(range(1, 1001)), tmp_path)
    assert len(site.assets) == 2
    server = next(asset for asset in site.assets if asset.endpoints[0].address == SERVER)
    assert len(server.attributes["link_address"]) == MAX_ENDPOINTS_PER_ASSET
