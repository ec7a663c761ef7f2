"""Devices and their evidence: what joins, what must not, what they are for."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import otmon.site.assets
from otmon.model import Binding, HostRecord, Target
from otmon.site.assets import Asset
from otmon.site.oui import vendor_of
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.text import safe_text
from tests.site.plant import HOSTILE, T0, Names, binding, fact, host, op, plant

RECORDS = Path(__file__).parents[2] / "docs" / "records"
VALID = jsonschema.Draft202012Validator(json.loads((RECORDS / "asset.schema.json").read_text()))
A, B, C = "10.0.1.1", "10.0.1.2", "10.0.1.3"
M1, M2 = "00:0e:8c:00:00:01", "00:0e:8c:00:00:02"


def site(policy: Any = None, **lists: Any) -> Site:
    return Site(Part(**lists), policy)


def groups(found: Site) -> list[list[str]]:
    return [[e.address for e in asset.endpoints if e.protocol is None] for asset in found.assets]


def test_only_who_sent_something_is_an_asset() -> None:
    found = site(operations=[op(A, B)], hosts=[host(A)])
    assert groups(found) == [[A]]
    assert found.who("default", B)["asset"] is None
    assert found.who("default", A)["asset"] == found.assets[0].id


def test_group_and_unspecified_addresses_are_nobody() -> None:
    strange = ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"]
    macs = [binding(mac, None, proof=False) for mac in ("01:80:c2:00:00:00", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")]
    assert site(hosts=[host(address) for address in strange], bindings=macs).assets == []


def test_proof_joins_the_addresses_of_one_device() -> None:
    addresses = [A, "fe80::1", "2001:db8::1"]
    found = site(hosts=[host(a) for a in reversed(addresses)], bindings=[binding(M1, a) for a in addresses])
    assert groups(found) == [[A, "2001:db8::1", "fe80::1"]]
    assert found.assets[0].macs == [M1]


def test_a_mere_source_mac_joins_nothing() -> None:
    found = site(hosts=[host(A), host(B)], bindings=[binding(M1, A, proof=False), binding(M1, B, proof=False)])
    assert groups(found) == [[A], [B]]
    assert [asset.macs for asset in found.assets] == [[], []]


@pytest.mark.parametrize("addresses", [[A, "10.0.2.1"], [A, B, C, "10.0.1.4"], ["2001:db8::1", "2001:db8:0:1::1"]])
def test_a_router_joins_nothing(addresses: list[str]) -> None:
    found = site(hosts=[host(a) for a in addresses], bindings=[binding(M1, a) for a in addresses])
    assert sorted(groups(found)) == sorted([a] for a in addresses)
    assert all(asset.macs == [] for asset in found.assets), "it may be proxy ARP"


def test_a_router_known_by_one_proof_keeps_its_mac() -> None:
    remote = [binding(M1, f"192.168.{n}.5", proof=False) for n in range(5)]
    found = site(hosts=[host(A), *(host(b.address or "") for b in remote)], bindings=[binding(M1, A), *remote])
    first = next(asset for asset in found.assets if asset.endpoints[0].address == A)
    assert (first.macs, first.roles) == ([M1], ["router"])
    assert len(found.assets) == 6


def test_a_floating_address_joins_nobody() -> None:
    bindings = [binding(M1, A), binding(M2, B), binding(M1, C), binding(M2, C)]
    found = site(hosts=[host(a) for a in (A, B, C)], bindings=bindings)
    assert sorted(groups(found)) == [[A], [B], [C]]
    assert found.who("default", C)["asset"] == next(a.id for a in found.assets if a.macs == [M1, M2])


def test_realms_are_kept_apart() -> None:
    hosts = [host(A, realm="cell-1"), host(A, realm="cell-2")]
    bindings = [binding(M1, A, realm="cell-1"), binding(M1, B, realm="cell-2")]
    found = site(hosts=hosts, bindings=bindings)
    assert len({asset.id for asset in found.assets}) == len(found.assets) == 3


def test_a_mac_without_ip_is_an_asset_unless_proven_somebodys() -> None:
    alone = site(bindings=[binding(M1, None, proof=False)])
    assert groups(alone) == [[M1]]
    assert alone.assets[0].macs == [M1]
    assert groups(site(hosts=[host(A)], bindings=[binding(M1, A), binding(M1, None, proof=False)])) == [[A]]
    unproven = site(hosts=[host(A)], bindings=[binding(M1, A, proof=False), binding(M1, None, proof=False)])
    assert sorted(groups(unproven)) == [[M1], [A]]


def test_vendor_by_mac_and_how_sure() -> None:
    assert vendor_of(M1) == "Siemens AG"
    proven = site(hosts=[host(A)], bindings=[binding(M1, A)]).assets[0].attributes["vendor"]
    hinted = site(hosts=[host(A)], bindings=[binding(M1, A, proof=False)]).assets[0].attributes["vendor"]
    assert [(v.value, v.confidence, v.frame) for v in proven] == [("Siemens AG", 0.6, (0, 1))]
    assert [v.confidence for v in hinted] == [0.3]
    several = site(hosts=[host(A), host(B)], bindings=[binding(M1, A, proof=False), binding(M1, B, proof=False)])
    assert all(not asset.attributes for asset in several.assets)
    assert vendor_of("02:00:00:00:00:01") is None, "locally administered"


def test_oui_table_against_the_registry() -> None:
    registry = Path("/usr/share/ieee-data/oui.txt")
    if not registry.exists():
        pytest.skip("ieee-data is not installed")
    wanted = {}
    for line in registry.read_text(encoding="utf-8", errors="replace").splitlines():
        prefix, marker, vendor = line.partition("     (base 16)\t\t")
        if marker and vendor.strip() not in ("Private", "IEEE Registration Authority", ""):
            wanted[prefix] = vendor.strip()
    found = {prefix: vendor_of(f"{prefix[:2]}:{prefix[2:4]}:{prefix[4:]}:ff:ff:ff") for prefix in wanted}
    differ = [p for p, vendor in wanted.items() if int(p[1], 16) & 3 == 0 and found[p] != " ".join(vendor.split())]
    # Text is made safe and cut; a 36-bit block may be owned by another organisation.
    assert len(wanted) > 20_000
    assert len(differ) < 0.002 * len(wanted), differ[:10]


def test_a_sweep_makes_no_devices() -> None:
    sweep = [op(A, B, unit=unit, accepted=1) for unit in range(248)]
    facts = [fact(B, "model", "M340", unit=unit) for unit in range(248)]
    found = site(operations=sweep, hosts=[host(A), host(B)], facts=facts)
    assert groups(found) == [[A], [B]]
    unanswered = site(operations=[op(A, B, unit=unit, unanswered=1) for unit in range(248)], hosts=[host(A), host(B)])
    assert [len(asset.endpoints) for asset in unanswered.assets] == [1, 1]


def test_different_identities_are_devices_behind_a_gateway() -> None:
    units = {1: "PM5560", 2: "PM5560", 7: "ATV630", 255: None}
    facts = [fact(B, "model", model, unit=unit) for unit, model in units.items() if model]
    found = site(operations=[op(A, B, unit=unit) for unit in units], hosts=[host(A), host(B)], facts=facts)
    gateway = next(asset for asset in found.assets if asset.endpoints[0] == ("default", B, None, None))
    behind = [asset for asset in found.assets if asset.parent == gateway.id]
    assert gateway.roles == ["gateway"]
    assert [(e.unit, e.protocol) for e in gateway.endpoints] == [(None, None), (255, "modbus")]
    assert [[e.unit for e in asset.endpoints] for asset in behind] == [[1, 2], [7]]
    assert [asset.best("model") for asset in behind] == ["PM5560", "ATV630"]
    assert gateway.best("model") is None
    assert found.who("default", B)["asset"] == gateway.id


def test_two_sources_of_one_attribute_are_no_contradiction() -> None:
    facts = [
        fact(B, "model", "EX-750", unit=1, confidence=0.9),
        fact(B, "model", "Acme EX-750", unit=255, confidence=0.4),
    ]
    assert groups(site(hosts=[host(B)], facts=facts)) == [[B]]


def test_dnp3_addresses_are_those_of_each_side() -> None:
    found = site(operations=[op(A, B, protocol="dnp3", unit=(3, 10))], hosts=[host(A), host(B)])
    assert [asset.endpoints[1:] for asset in found.assets] == [
        [("default", A, "dnp3", 3)],
        [("default", B, "dnp3", 10)],
    ]
    assert [asset.roles for asset in found.assets] == [["scada"], ["rtu"]]


def test_conflicting_attributes_stay_side_by_side() -> None:
    facts = [fact(A, "firmware", "1.0", confidence=0.5), fact(A, "firmware", "2.0", confidence=0.9)]
    (asset,) = site(hosts=[host(A)], facts=facts).assets
    assert [known.value for known in asset.attributes["firmware"]] == ["2.0", "1.0"]


def test_s7_is_spoken_without_units_and_an_encrypted_session_tells_its_client() -> None:
    """What it does cannot be seen; which kind of session it asked for can."""
    init = op(A, B, protocol="s7comm", unit=None, function="init_ssl")
    for kind, roles in (("engineering", ["engineering"]), ("hmi", ["hmi"])):
        said = [fact(A, "s7_session", kind, protocol="s7comm", unit=None)]
        client, server = site(operations=[init], hosts=[host(A), host(B)], facts=said).assets
        assert client.roles == roles
        assert server.endpoints == [("default", B, None, None), ("default", B, "s7comm", None)]


def test_roles_from_behaviour() -> None:
    roles = {asset.endpoints[0].address: asset.roles for asset in Site(plant()).assets}
    assert roles == {
        "10.0.2.11": ["hmi"],
        "10.0.1.13": ["plc"],
        "10.0.2.20": ["historian"],
        "10.0.1.14": ["plc"],
        "10.0.2.30": ["engineering"],
        "10.0.1.15": ["plc"],
        "10.0.2.40": ["scada"],
        "10.0.1.20": ["rtu"],
        "10.0.2.50": ["workstation"],
        "10.0.3.1": ["server"],
        "00:1b:1b:00:00:05": [],
    }


def test_a_denied_stop_makes_no_engineering_station() -> None:
    stop = op(A, B, "plc_stop", "control", "s7comm", None, verdict="deny")
    (asset,) = site(operations=[op(A, B), stop], hosts=[host(A)]).assets
    assert asset.roles == ["hmi"]


def test_a_denied_write_leaves_a_historian_one() -> None:
    write = op(A, B, "write_single_register", "write", verdict="deny")
    (asset,) = site(operations=[op(A, B), op(A, C), write], hosts=[host(A)]).assets
    assert asset.roles == ["historian"]


def test_names_zones_and_roles_of_the_policy() -> None:
    found = Site(plant(), Names())
    plc, hmi = (found.asset_of["default", address] for address in ("10.0.1.13", "10.0.2.11"))
    assert (plc.name, plc.zone, plc.level) == ("PLC-3", "control", 1.0)
    assert hmi.roles == ["hmi", "scada"]
    assert found.who("default", "10.0.1.13") == {
        "realm": "default",
        "address": "10.0.1.13",
        "asset": plc.id,
        "name": "PLC-3",
        "zone": "control",
        "roles": ["plc"],
    }
    assert found.who("default", "10.0.3.9") == {
        "realm": "default",
        "address": "10.0.3.9",
        "asset": None,
        "name": "printer",
        "zone": "outside",
        "roles": [],
    }
    assert Site(plant()).who("default", "1.2.3.4")["zone"] is None
    assert {a.id for a in found.assets}.isdisjoint({a.id for a in Site(plant()).assets}), "ids hang on the site"


def test_ids_do_not_hang_on_what_else_is_there() -> None:
    few = site(hosts=[host(A)]).assets[0].id
    many = site(hosts=[host(B), host(A), host(C)], facts=[fact(A, "model", "x")], operations=[op(B, A)])
    assert many.asset_of["default", A].id == few


def test_the_cap_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otmon.site.assets, "MAX_ASSETS", 3)
    found = site(hosts=[HostRecord("default", f"10.0.0.{n}", T0 + n, T0 + n, 1, (0, n)) for n in range(9, 0, -1)])
    assert groups(found) == [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"]]
    assert found.assets_left_out == 6


@pytest.mark.parametrize("policy", [None, Names()])
def test_records_are_valid_and_come_back(policy: Any) -> None:
    for asset in Site(plant(HOSTILE), policy).assets:
        record = json.loads(json.dumps(asset.as_record()))
        VALID.validate(record)
        assert Asset.from_record(record).as_record() == asset.as_record()
    models = Site(plant(HOSTILE)).asset_of["default", "10.0.1.13"].attributes["model"]
    assert {known.value for known in models} == {safe_text(name) for name in HOSTILE}


def test_strange_addresses_do_no_harm() -> None:
    hosts = [host(a) for a in ("", "x", "1.2.3", "::ffff:1.2.3.4", "fe80::1%eth0")]
    bindings = [
        Binding("default", mac, "10.0.0.1", 0, True, T0, (0, 1)) for mac in ("", "zz", "00:11", "g0:00:00:00:00:00")
    ]
    site(hosts=hosts, bindings=bindings, operations=[op("", "x", target=Target("block", name=""))])
