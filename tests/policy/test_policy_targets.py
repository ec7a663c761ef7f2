"""`otmon policy compile`: what each target lets through beside what the policy permits, both ways."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.cli import run
from otmon.policy.difference_report import CAUSES
from otmon.policy.flows import flow_rows, plain
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.targets import TARGETS, writer
from tests.policy import targets_kit
from tests.policy.policy_kit import NOON, connect
from tests.policy.test_policy_permitted import ADDRESSES, MOMENTS, sites

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "rules" / "plant.yaml"
MODEL = {"nftables": "nftables", "cisco-acl": "cisco", "suricata": "suricata", "zeek": "zeek"}
ADDRESSES = [address for address in ADDRESSES if "." in address or "::" in address]
NUMBERS = {"tcp": 6, "udp": 17}
SERVICES = [("tcp", 502), ("tcp", 22), ("udp", 502), ("udp", 53), ("udp", 137), ("icmp", None)]
SERVICES += [("ip", 4), ("ip", 50), ("ip", 89)]
services = st.sampled_from(SERVICES)
connections = st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(ADDRESSES), services, st.sampled_from([49152, 53]))
connections = connections.filter(lambda found: (":" in found[0]) == (":" in found[1]))


def packet(client, server, protocol, port, source_port=49152):
    number = NUMBERS.get(protocol) or (port if protocol == "ip" else 58 if ":" in client else 1)
    return targets_kit.Packet(client, server, number, source_port, port or 0)


def effects(rows, name):
    return {loss.effect for row in rows if row.row == name for loss in row.losses}


def name_of(decided):
    """Of a row, in what the target says of the line that decided."""
    return re.sub(r"^(otmon - )?(row|never) ", "", decided)


def compare(policy, written, connection):
    client, server, (protocol, port), source_port = connection
    verdicts = [
        policy.judge(connect(client, server, protocol, port)._replace(realm=realm), ts_ns)
        for realm in ("default", "east", "west")
        for ts_ns in MOMENTS
    ]
    for target, (text, rows) in written.items():
        asked = packet(client, server, protocol, port, source_port)
        accepted, decided = getattr(targets_kit, MODEL[target])(text, asked)
        if decided == "replies":
            assert accepted
            assert any(loss.what == "replies pass without a connection" for row in rows for loss in row.losses)
            continue
        for verdict in verdicts:
            if verdict.permit and not accepted:
                names = [verdict.row] if verdict.row else CAUSES.values()
                assert any("stricter" in effects(rows, name) for name in names), (target, connection)
            if not verdict.permit and accepted:
                names = {verdict.row, name_of(decided)}
                assert any("looser" in effects(rows, name) for name in names), (target, connection, decided)


def both_ways(site, asked, windows):
    policy = load_bytes(json.dumps(site).encode(), "p")
    found = flow_rows(policy, windows)
    written = {target: writer(target)(policy, found) for target in TARGETS}
    for connection in asked:
        compare(policy, written, connection)


some = st.lists(connections, min_size=8, max_size=12)


HOSTS = ["10.0.0.1", "10.0.0.0/31", "10.0.0.2", "plant", "any", "outside", "10.1.0.1"]
ROWS = [{"protocol": "tcp", "ports": 22}, {"protocol": "tcp"}, {"protocol": "udp", "ports": [53]}, {"protocol": "ip"}]
ROWS += [{"protocol": "icmp"}, {"protocol": "ip", "numbers": 50}, {"protocol": "modbus"}]
ROWS += [{"protocol": "modbus", "port": 22}]


def small_site(choose):
    def rule(**more):
        found = {"from": choose.choice(HOSTS), "to": choose.choice(HOSTS), **more}
        return found | choose.choice([{}, {}, {}, {"realm": "east"}, {"during": {"days": ["mon"]}}])

    never = [rule(**choose.choice([{}, {"operations": choose.sample(ROWS, 2)}])) for _ in range(choose.randrange(3))]
    return {
        "otmon": 1,
        "timezone": "UTC",
        "chatter": "deny",
        "realms": {"east": {"vlans": 1}, "west": {"vlans": 2}},
        "zones": {
            "plant": {"hosts": "10.0.0.0/30"},
            "far": {"hosts": "10.1.0.0/30", "monitored": choose.random() < 0.5},
        },
        "conduits": [rule(id=f"c{n}", allow=choose.sample(ROWS, 2)) for n in range(choose.randrange(1, 4))],
        "never": never,
    }


@pytest.mark.parametrize("seed", range(12))
def test_small_policies_both_ways(seed):
    choose = random.Random(seed)
    near = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1", "10.2.0.9"]
    pairs = [(client, server) for client in near for server in near]
    asked = [(*choose.choice(pairs), choose.choice(SERVICES), choose.choice([49152, 53])) for _ in range(50)]
    both_ways(small_site(choose), asked, bool(seed % 2))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites(), some, st.booleans())
def test_what_is_permitted_passes_and_what_passes_beyond_is_told(site, asked, windows):
    both_ways(site, asked, windows)


@pytest.mark.long
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites(), some, st.booleans())
def test_what_is_permitted_passes_in_many_policies(site, asked, windows):
    both_ways(site, asked, windows)


def nft():
    """The program, or a skip that says why not."""
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("nft is not installed")
    simplest = subprocess.run([program, "-c", "-f", "-"], input=b"table inet otmon\n", capture_output=True, check=False)
    if simplest.returncode:
        pytest.skip(f"nft may not run here: {simplest.stderr.decode().strip()}")
    return program


def checked(program, text):
    done = subprocess.run([program, "-c", "-f", "-"], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_nft_takes_the_plant():
    policy = load_policy(PLANT)
    checked(nft(), writer("nftables")(policy, flow_rows(policy))[0])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sites())
def test_nft_takes_any_policy(site):
    policy = load_bytes(json.dumps(site).encode(), "p")
    checked(nft(), writer("nftables")(policy, flow_rows(policy))[0])


def test_zeek_takes_the_plant(tmp_path):
    program = shutil.which("zeek")
    if program is None:
        pytest.skip("zeek is not installed: its script is checked by the model alone")
    policy = load_policy(PLANT)
    (tmp_path / "otmon.zeek").write_text(writer("zeek")(policy, flow_rows(policy))[0])
    done = subprocess.run([program, "--parse-only", str(tmp_path / "otmon.zeek")], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


EVIL = "x\"; drop }\n!?\\ \u202e\x1b[2J permit ip any any # ' $(id) `id` <b>"


def test_names_stay_names():
    site = {
        "otmon": 1, "site": EVIL, "zones": {"z": {"hosts": "10.0.0.0/24"}},
        "conduits": [{"id": "c", "from": "any", "to": "z", "allow": [
            {"protocol": "modbus", "note": EVIL, "targets": [{"space": EVIL, "names": [EVIL]}]}]}],
    }  # fmt: skip
    policy = load_bytes(json.dumps(site).encode(), EVIL)
    plainer = load_bytes(json.dumps(site).replace(json.dumps(EVIL)[1:-1], "x").encode(), "x")
    for target in TARGETS:
        text, other = (writer(target)(found, flow_rows(found))[0] for found in (policy, plainer))
        assert text.isascii()
        assert not set(text) & set("`'\x1b\\?<b") - set(other)
        comment = "!" if target == "cisco-acl" else "#"
        keep = [
            [line for line in found.splitlines() if not line.strip().startswith((comment, "remark"))]
            for found in (text, other)
        ]
        assert keep[0] == keep[1]


def test_the_order_of_a_file_alone_changes_no_line_of_a_row(tmp_path):
    """A row more is lines more: sids, groups and all other lines stay."""
    text = PLANT.read_text()
    more = text.replace("  - id: historian-reads\n", (
        "  - {id: new, from: hmi-1, to: plc-3, allow: [{protocol: tcp, ports: 22}]}\n  - id: historian-reads\n"
    ))  # fmt: skip
    for target in TARGETS:
        before, after = (
            writer(target)(found, flow_rows(found))[0].splitlines()[3:]
            for found in (load_bytes(text.encode(), "p"), load_bytes(more.encode(), "p"))
        )
        assert not set(before) - set(after), target
        assert len(set(after) - set(before)) in (2, 3), target


def test_what_a_target_loses_as_records(capsys):
    assert run(["policy", "compile", str(PLANT), "--to", "cisco-acl", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = {record["row"]: record for record in json.loads(out)}
    assert rows["historian-only-reads/1"]["flows"] == 0
    assert rows["historian-only-reads/1"]["losses"][0]["effect"] == "looser"
    assert rows["office-web"]["losses"] == []
    assert rows["scada-polls-plcs/3"]["losses"][0]["what"].endswith("addresses 40-49; values 0-100")
    assert "1 stricter" in err
    assert plain("ä;\n") == "%C3%A4%3B%0A"


SURICATA = """\
%YAML 1.1
---
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [alert, flow]}
classification-file: /dev/null
reference-config-file: /dev/null
"""


@pytest.fixture(scope="module")
def suricata():
    """The program, or a skip that says why not."""
    program = shutil.which("suricata")
    if program is None:
        pytest.skip("suricata is not installed: its rules are checked by the model alone")
    return program


def suricata_run(program, folder, text, *more):
    (folder / "suricata.yaml").write_text(SURICATA)
    (folder / "otmon.rules").write_text(text)
    (folder / "eve.json").unlink(missing_ok=True)
    files = ["-c", str(folder / "suricata.yaml"), "-S", str(folder / "otmon.rules"), "-l", str(folder)]
    done = subprocess.run([program, *files, *more], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert "rror parsing signature" not in (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("seed", range(4))
def test_suricata_takes_any_policy(suricata, tmp_path, seed):
    policy = load_bytes(json.dumps(small_site(random.Random(seed))).encode(), "p")
    suricata_run(suricata, tmp_path, writer("suricata")(policy, flow_rows(policy))[0], "-T")


@pytest.mark.parametrize("seed", range(4))
def test_suricata_alerts_on_the_connections_that_otmon_denies(suricata, tmp_path, seed):
    whole = load_policy(PLANT)
    choose = random.Random(seed)
    names = sorted({rule.name for rule in whole.conduits.rules})
    policy = whole.without(choose.sample(names, 2 * seed))
    text = writer("suricata")(policy, flow_rows(policy))[0]
    suricata_run(suricata, tmp_path, text, "-k", "none", "-r", str(ROOT / "captures" / "plant.pcap"))
    records = [json.loads(line) for line in (tmp_path / "eve.json").read_text().splitlines()]
    seen = {flow_of(record) for record in records if record["event_type"] == "flow"}
    alerted = {flow_of(record) for record in records if record["event_type"] == "alert"}
    assert len(seen) > 10
    assert alerted == {flow for flow in seen if not policy.judge(connect(*flow), NOON).permit}
    assert alerted


def flow_of(record):
    return record["src_ip"], record["dest_ip"], record["proto"].lower(), record.get("dest_port")


TIMES = {
    "otmon": 1,
    "timezone": "UTC",
    "zones": {"plant": {"hosts": "10.0.0.0/24"}},
    "conduits": [
        {"id": "always", "from": "any", "to": "10.0.0.1", "allow": [{"protocol": "tcp", "ports": 22}]},
        {"id": "mondays", "from": "any", "to": "10.0.0.2", "allow": [{"protocol": "tcp", "ports": 22}]},
        {"id": "permits", "from": "any", "to": "10.0.0.3", "allow": [{"protocol": "tcp", "ports": 22}]},
    ],
}
TIMES["conduits"][1]["during"] = {"days": ["mon"]}
TIMES["conduits"][2]["during"] = {"permit": "required"}


@pytest.mark.parametrize("windows", [False, True])
def test_what_holds_at_times_is_left_out_unless_asked_for_and_what_waits_for_a_permit_always(windows):
    policy = load_bytes(json.dumps(TIMES).encode(), "p")
    found = {row.row: row for row in flow_rows(policy, windows) if row.row in ("always", "mondays", "permits")}
    assert {name: bool(row.flows) for name, row in found.items()} == {
        "always": True,
        "mondays": windows,
        "permits": False,
    }
    (monday,), (permit,) = found["mondays"].losses, found["permits"].losses
    assert monday.effect == ("looser" if windows else "stricter")
    assert "mon" in monday.what
    assert permit == ("only with a permit; left out", "stricter")
    for target in TARGETS:
        text, _ = writer(target)(policy, list(found.values()))
        assert "only with a permit" in text
        assert ("10.0.0.2" in text) == windows


def test_a_never_row_that_holds_one_way_makes_other_protocols_pass_back():
    site = {
        "otmon": 1,
        "zones": {
            "plant": {"hosts": ["10.0.0.0/24"]},
            "cell": {"hosts": ["10.0.0.0/31"], "monitored": False},
            "office": {"hosts": ["10.1.0.0/16"]},
        },
        "never": [{"from": "plant", "to": "any"}],
    }
    both_ways(site, [("10.0.0.1", "10.2.0.9", ("ip", 4), 49152)], False)
