"""`otmon policy reach` beside a walk over single hosts that asks the judge about each step."""

import json
import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from otmon.cli import run
from otmon.policy.addresses import point
from otmon.policy.intervals import covers, merge
from otmon.policy.load import load_bytes
from otmon.policy.pattern import Hosts, Pattern, parse_pattern
from otmon.policy.reach import Map, seen_steps
from otmon.policy.separate import Ways
from tests.policy.policy_kit import NOON, connect, op, registers

ROOT = Path(__file__).parents[2]
PLANT = str(ROOT / "rules" / "plant.yaml")
HOSTS = [f"10.0.{net}.{host}" for net in range(4) for host in (1, 2)]
SIDES = [*HOSTS, "z0", "z1", "z2", "z3", ["z1", "z2"], "any"]
ROWS = [
    {"protocol": "tcp", "ports": 22},
    {"protocol": "tcp", "ports": [22, 80]},
    {"protocol": "modbus", "functions": [3]},
    {"protocol": "modbus", "functions": [6], "addresses": "40-49"},
    {"protocol": "modbus", "access": ["write"], "units": [1]},
    {"protocol": "s7comm", "functions": ["plc_stop"]},
    {"protocol": "s7comm", "functions": ["download"]},
]
PLAIN = {"tcp"}
ASKED = {
    "connect": lambda a, b: connect(a, b, "tcp", 22),
    "read": lambda a, b: op(a, b, function_code=3, target=registers(0)),
    "write": lambda a, b: op(a, b, "modbus", "write_single_register", "write", function_code=6, target=registers(45)),
    "other": lambda a, b: op(a, b, "modbus", "write_single_register", "write", function_code=6, target=registers(5)),
    "stop": lambda a, b: op(a, b, "s7comm", "plc_stop", "control", function_code=41),
    "program": lambda a, b: op(a, b, "s7comm", "request_download", "program", function_code=26),
}


def small_policy(choose):
    def rule(**more):
        return {"from": choose.choice(SIDES), "to": choose.choice(SIDES), **more}

    rows = [choose.sample(ROWS, choose.randrange(1, 3)) for _ in range(choose.randrange(2, 7))]
    never = [rule(**choose.choice([{}, {"operations": [choose.choice(ROWS)]}])) for _ in range(choose.randrange(3))]
    during = [{"permit": "required"}] + [None] * 3
    site = {
        "otmon": 1,
        "timezone": "UTC",
        "chatter": "deny",
        "zones": {f"z{n}": {"hosts": f"10.0.{n}.0/30", "monitored": n != 3 or choose.random() < 0.6} for n in range(4)},
        "conduits": [rule(id=f"c{n}", allow=allow, during=choose.choice(during)) for n, allow in enumerate(rows)],
        "never": never,
    }
    return load_bytes(json.dumps(site).encode(), "p")


def permits(policy, kind, client, server):
    return policy.judge(ASKED[kind](client, server), NOON).permit


def inside(ranges):
    return lambda host: covers(ranges, point(host), point(host))


def steps(policy):
    return {(a, b) for a in HOSTS for b in HOSTS if any(permits(policy, kind, a, b) for kind in ("connect", "program"))}


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("10.0.1.1", ("write", "other", "stop", "program")),
        ("* -> 10.0.1.1 write 45", ("write",)),
        ("* -> 10.0.1.1 holding_register 0-9", ("other",)),
        ("* -> 10.0.1.1 s7comm program", ("program",)),
        ("* -> 10.0.1.1 read_holding*", ("read",)),
    ],
)
def test_who_can_is_what_a_walk_over_hosts_finds(words, kinds):
    choose = random.Random(words)
    levels = Counter()
    for _ in range(40):
        policy = small_policy(choose)
        found = Map(policy)
        policy = policy.opened()  # what waits for a permit is within reach of whoever is given one
        reached = found.reached(found.box(parse_pattern(words, {})))
        known = {host for host in HOSTS if any(permits(policy, kind, host, "10.0.1.1") for kind in kinds)}
        assert len(reached) <= 1
        direct = {h for h in HOSTS for one in reached for join in one.direct if covers(join.client, point(h), point(h))}
        assert direct == known
        pairs = steps(policy)
        edge, level = known, 0
        while edge := {a for a, b in pairs if b in edge} - known:
            told = reached[0].steps[level]
            assert edge <= {h for h in HOSTS for step in told if covers(step.hosts, point(h), point(h))}
            assert edge == {h for h in HOSTS for step in told if covers(step.hosts, point(h), point(h))} - known
            for step in told:
                hosts, over = (set(filter(inside(ranges), HOSTS)) for ranges in (step.hosts, step.over))
                assert {(a, b) for a in hosts for b in over} <= pairs
            known |= edge
            level += 1
        levels[level] += 1
    assert len(levels) > 1


def separated(policy, source, target):
    """By a walk from host to host; the last step may be any operation."""
    pairs = steps(policy)
    inside = {host for host in HOSTS if host.startswith(source)}
    edge = inside
    while edge:
        if any(permits(policy, k, a, b) for a in edge for b in HOSTS if b.startswith(target) for k in ASKED):
            return False
        edge = {b for a, b in pairs if a in edge} - inside
        inside = inside | edge
    return True


def test_the_cut_is_the_smallest_that_trying_all_finds():
    choose = random.Random(11)
    sizes, proven = Counter(), 0
    for _ in range(25):
        policy = small_policy(choose)
        names = [rule.name for rule in policy.conduits.rules]
        source, target = choose.sample(["10.0.0.", "10.0.1.", "10.0.2."], 2)
        zones = [merge([(point(f"{zone}0"), point(f"{zone}3"))]) for zone in (source, target)]
        cut = Ways(Map(policy), *zones).cut()
        policy = policy.opened()
        sets = (chosen for size in range(len(names) + 1) for chosen in combinations(names, size))
        best = next((chosen for chosen in sets if separated(policy.without(chosen), source, target)), None)
        if best is None:
            assert cut.conduits is None
            continue
        assert cut.conduits is not None
        assert separated(policy.without(cut.conduits), source, target)
        assert len(cut.conduits) >= len(best)
        if cut.smallest:
            assert len(cut.conduits) == len(best)
            proven += 1
        sizes[len(best)] += 1
    assert proven > 15
    assert {0, 1, 2} <= sizes.keys()


@pytest.mark.parametrize(
    ("row", "cut"), [({"protocol": "tcp", "ports": 22}, ("a",)), ({"protocol": "modbus", "access": "read"}, ())]
)
def test_reading_a_host_is_no_step_through_it(row, cut):
    zones = {f"z{n}": {"hosts": f"10.0.{n}.0/30"} for n in range(3)}
    ways = [("a", "z0", "z1", row), ("b", "z1", "z2", {"protocol": "modbus"}), ("c", "z1", "z2", {"protocol": "icmp"})]
    conduits = [{"id": name, "from": one, "to": other, "allow": [rows]} for name, one, other, rows in ways]
    policy = load_bytes(json.dumps({"otmon": 1, "zones": zones, "conduits": conduits}).encode(), "p")
    hosts = {zone.name: zone.hosts.ranges for zone in policy.sites.zones}
    assert Ways(Map(policy), hosts["z0"], hosts["z2"]).cut() == (cut, True)


def test_hosts_that_were_entered_lead_on():
    entered = [("a", "b"), ("b", "c"), ("x", "c"), ("b", "d"), ("z", "y"), ("c", "a")]
    assert seen_steps(entered, {"c", "nobody"}) == [[("b", "c"), ("x", "c")], [("a", "b")]]
    assert seen_steps(entered, set()) == []


def test_what_has_no_box_is_an_error(capsys):
    with pytest.raises(ValueError, match="hosts by name, address or network are needed"):
        Map(small_policy(random.Random(1))).box(Pattern(client=Hosts(glob="10.0.*")))
    for words, wrong in (
        ([PLANT, "* -> plc-1 s7comm block OB*"], "words: a target without * is needed"),
        ([PLANT], "one of these is needed"),
        ([PLANT, "--separate", "ofice", "control"], "did you mean 'office'?"),
        ([PLANT, "--close", "scada-poll-rtu", "--data", "x"], "did you mean 'scada-polls-rtu'?"),
        ([PLANT, "--close", "scada-polls-rtu"], "say where it is with --data DIR"),
    ):
        assert run(["policy", "reach", *words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert wrong in err


def test_the_plant(tmp_path, capsys):
    data = str(tmp_path / "out")
    assert run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", PLANT, "--out", data]) == 0

    def reach(*words):
        capsys.readouterr()
        assert run(["policy", "reach", PLANT, *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    (direct, *seen) = reach("plc-3", "--data", data)
    assert (direct["kind"], direct["row"], direct["target"]) == ("direct", "scada-polls-plcs/3", "addresses 40-49")
    assert {(one["client"], one["permitted_client"]) for one in seen if one["kind"] == "seen"} == {("10.0.2.11", True)}
    unlike = [one for one in reach("plc-1", "--data", data) if one.get("permitted_client") is False]
    assert [(one["client"], one["function"]) for one in unlike] == [("10.0.2.20", "write_single_register")]
    cut, *broken = reach("--separate", "supervision", "control", "--data", data)
    assert (len(cut["conduits"]), cut["smallest"]) == (7, True)
    assert sum(one["operations"] for one in broken) == 40
    assert reach("--separate", "office", "control") == [{"kind": "cut", "conduits": [], "smallest": True}]
    assert {one["row"] for one in reach("--close", "hmi-1-runs-plc-2", "--data", data)} == {
        *("hmi-1-runs-plc-2/1", "hmi-1-runs-plc-2/2"),
    }
