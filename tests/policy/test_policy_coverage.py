"""`otmon policy coverage`: every operation on one level, and on the right one."""

import json
from collections import Counter
from pathlib import Path

from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from otmon.cli.policy import policy as command
from otmon.engine import analyze
from otmon.policy.coverage import LEVELS, coverage, records
from otmon.policy.load import load_policy
from otmon.policy.replay import Seen
from otmon.site.site import Site
from otmon.store.database import write_database
from tests.policy.policy_kit import NOON, connect, op, policy, registers, sightings
from tests.policy.test_policy_brute_force import cases, load, pair_rows, reference

ROOT = Path(__file__).parents[2]
SITE = """
    otmon: 1
    zones: {plant: {hosts: [10.0.0.0/24]}, office: {hosts: [10.1.0.0/24], monitored: false}}
    conduits:
      - id: a
        from: plant
        to: plant
        allow:
          - {protocol: modbus, functions: [write_single_register], addresses: 0-9}
          - {protocol: modbus, access: read}
          - {protocol: s7comm}
          - {protocol: tcp, ports: 80}
          - {protocol: icmp}
    never:
      - {to: 10.0.0.9}
"""
WRITE = {"function": "write_single_register", "access": "write", "function_code": 6}
EACH = [
    (op("10.0.0.1", "10.0.0.2", **WRITE), registers(3), "address"),
    (op("10.0.0.1", "10.0.0.2", **WRITE), registers(13), "none"),
    (op("10.0.0.1", "10.0.0.2"), registers(3), "function"),
    (op("10.0.0.1", "10.0.0.9"), registers(3), "none"),
    (op("10.0.0.1", "10.0.0.2", "s7comm", "plc_stop", "control"), None, "host"),
    (op("10.0.0.1", "10.0.0.2", "s7comm", "setup_communication"), None, "function"),
    (connect("10.0.0.1", "10.0.0.2", port=502), None, "function"),
    (connect("10.0.0.1", "10.0.0.2", port=80), None, "function"),
    (connect("10.0.0.1", "10.0.0.2", "icmp"), None, "host"),
    (connect("10.0.0.1", "10.0.0.2", port=81), None, "none"),
    (connect("10.1.0.1", "10.1.0.2", port=81), None, "free"),
    (connect("10.0.0.1", "224.0.0.1", "udp", 9), None, "free"),
]


def test_each_operation_is_on_the_level_of_its_row():
    for key, target, level in EACH:
        ((shares,),) = [coverage(policy(SITE), [(key, sightings(Seen(target, 5, NOON, NOON)))]).values()]
        assert {at: tuple(share) for at, share in shares.items()} == {level: (1, 5)}, key


def test_the_whole_is_the_sum_of_its_pairs():
    found = coverage(
        policy(SITE), [(key, sightings(Seen(target, n, NOON, NOON))) for n, (key, target, _) in enumerate(EACH)]
    )
    whole, *pairs = records(found)
    assert [(pair["from_zone"], pair["to_zone"]) for pair in pairs] == sorted(found)
    for figure in ("operations", "times"):
        assert whole[figure] == {at: sum(pair[figure][at] for pair in pairs) for at in LEVELS}
        assert abs(sum(whole[f"share_of_{figure}"].values()) - 1) < 1e-5
    assert whole["operations"] == {"address": 1, "function": 4, "host": 2, "none": 3, "free": 2}
    (nothing,) = records({})
    assert nothing["share_of_operations"] is None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_levels_are_those_of_the_reference(case):
    spec, keys = case
    groups = [(key._replace(target=None), sightings(Seen(key.target, 1, NOON, NOON))) for key in keys]
    found = Counter()
    for shares in coverage(load(spec), groups).values():
        found.update({at: share.operations for at, share in shares.items()})
    said = Counter(reference(spec, key) for key in keys)
    assert (found["none"], found["free"]) == (said["never"] + said["deny"], said["free"])
    assert sum(found.values()) == len(keys)
    limited = {"addresses", "items", "objects", "targets"}
    if not any(limited & set(row) for key in keys for row, _ in pair_rows(spec, key)):
        assert found["address"] == 0


def test_the_command_prints_a_table_and_records(tmp_path):
    rules = ROOT / "rules" / "plant.yaml"
    capture = [str(ROOT / "captures" / "plant.pcap")]
    part = analyze(capture, policy=load_policy(rules), messages_path=None, jobs=1, progress=None, notice=None).part
    write_database(tmp_path / "site.db", Site(part), [])

    def run(*more):
        words = ["coverage", str(rules), "--data", str(tmp_path), *more]
        return CliRunner().invoke(command, words, standalone_mode=False, catch_exceptions=False)

    whole, *pairs = json.loads(run("--json").stdout)
    assert whole["operations"] == {"address": 31, "function": 11, "host": 1, "none": 5, "free": 1}
    assert len(pairs) == 4
    shown = run().stdout
    assert "all zones" in shown
    assert shown.endswith("48 operations need a row: 64.6 % / 90.2 % are held to their addresses.\n")
    rules = tmp_path / "elsewhere.yaml"
    rules.write_text((ROOT / "rules" / "plant.yaml").read_text().replace("10.0.", "10.77."))
    assert run().stdout.endswith(
        "No operation needs a row: none touches a host in a monitored zone, or all are chatter.\n"
    )
