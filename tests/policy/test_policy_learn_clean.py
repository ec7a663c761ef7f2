"""What learning writes, `policy check` has nothing to say of: no row repeats others, no zone is for nothing."""

from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.model import Target
from otmon.policy.learn import blank, update
from otmon.policy.lint import look
from otmon.policy.load import load_bytes, load_source
from otmon.policy.propose import propose
from tests.effort import examples
from tests.policy.policy_kit import NOON, connect, op, registers
from tests.policy.test_policy_learn import keys, record

ONE, OTHER = "10.0.2.10", "10.0.1.11"


def written(seen, mode="exact"):
    records = [record(key) for key in dict.fromkeys(seen)]
    return update(blank(records), "p", records, source="s", mode=mode).text


def findings(text):
    return [(one.rule, one.says) for one in look(load_source(text.encode(), "p")).findings]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(keys(), min_size=1, max_size=14), st.sampled_from(["exact", "ranges", "functions"]))
def test_a_learned_file_is_clean(seen, mode):
    text = written(seen, mode)
    policy = load_bytes(text.encode(), "p")
    spoken = {
        policy.zone_of(key.realm, host)
        for key in seen
        if not policy.is_chatter(key)
        for host in (key.client, key.server)
    }
    # Of a network in which nothing but chatter was seen it is true that no row is about it.
    chatter = [f"No row permits anything from or to zone {zone.name}." for zone in policy.sites.zones]
    chatter = [says for says in chatter if says.split()[-1].rstrip(".") not in spoken]
    assert [(rule, says) for rule, says in findings(text) if says not in chatter] == []


ports = st.sampled_from([502, 502, 5020, 5021])
functions = st.sampled_from(
    ["read_holding_registers", "read_input_registers", "write_multiple_registers", "diagnostics"]
)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(functions, ports, st.integers(1, 2), st.integers(0, 5), st.integers(0, 3)), max_size=12))
def test_what_is_permitted_at_every_port_is_not_told_again_for_one(drawn):
    spaces = {"read_input_registers": "input_register", "diagnostics": None}
    access = {"write_multiple_registers": "write", "diagnostics": "diagnose"}

    def key(function, port, unit, start, end):
        space = spaces.get(function, "holding_register")
        target = space and registers(start, end, space)
        return op(ONE, OTHER, "modbus", function, access.get(function, "read"), port=port, unit=unit, target=target)

    seen = [key(function, port, unit, start, start + more) for function, port, unit, start, more in drawn]
    text = written(seen)
    policy = load_bytes(text.encode(), "p")
    assert not seen or findings(text) == []
    touched = {(k.function, k.port, k.unit, at) for k in seen for at in ([-1] if k.target is None else addresses(k))}
    names = ("read_holding_registers", "read_input_registers", "write_multiple_registers", "diagnostics")
    for function, port, unit, at in product(names, (502, 5020, 5021), (1, 2), range(9)) if seen else ():
        place = -1 if function == "diagnostics" else at
        expected = bool({(function, n, unit, place) for n in (502, port)} & touched)
        assert policy.judge(key(function, port, unit, at, at), NOON).permit == expected
    for port in (502, 5020, 5021) if seen else ():
        # A row without a port brings connections to the registered one with it.
        assert policy.judge(connect(ONE, OTHER, "tcp", port), NOON).permit == any(k.port == port for k in seen)


def addresses(key):
    return range(key.target.start, key.target.end + 1)


def test_bounds_of_one_port_stay_where_they_are_wider():
    def write(port):
        return op(ONE, OTHER, "modbus", "write_single_register", "write", port=port, target=registers(4))

    records = [record(write(port)) for port in (502, 5020)]

    def rows(values):
        draft = update(blank(records), "p", records, source="s", mode="ranges", values=values)
        return [row for rule in draft.policy.conduits.rules for row in rule.rows]

    assert len(rows({write(502): (0, 10), write(5020): (0, 99)})) == 2
    assert len(rows({write(502): (0, 10), write(5020): (0, 10)})) == 2, "one of them for the connections to the port"
    other = record(op(ONE, OTHER, "modbus", "read_coils", port=5020, target=registers(1, space="coil")))
    records.append(other)
    assert len(rows({write(502): (0, 10), write(5020): (0, 10)})) == 2, "these come with what else is done at the port"
    assert len(rows({write(502): (0, 10), write(5020): (0, 99)})) == 3


def test_a_zone_that_waits_for_review_is_not_called_unreachable():
    stop = op(ONE, OTHER, "s7comm", "plc_stop", "control")
    text = written([stop])
    assert "conduits: []" in text
    assert findings(text) == []
    without = text.replace(text[text.index("review:") :], "review: []\n")
    assert [rule for rule, _ in findings(without)] == ["unreachable-zone"] * 2
    elsewhere = "realms: {a: {vlans: [1]}, b: {vlans: [2]}}\nzones: {z: {hosts: [10.0.1.0/24], realm: a}}\n"
    review = "review: [{realm: %s, reason: r, from: any, to: 10.0.1.5, operations: [{protocol: s7comm}]}]\n"
    for realm, rules in (("a", []), ("b", ["unreachable-zone"])):
        assert [rule for rule, _ in findings(f"otmon: 1\n{elsewhere}{review % realm}")] == rules


def test_link_local_hosts_need_no_row():
    multicast = connect("fe80::1", "ff02::fb", "udp", 5353)
    text = written(
        [multicast, connect("169.254.7.9", "169.254.255.255", "udp", 137), connect("::", "ff02::16", "icmp")]
    )
    assert findings(text) == []
    assert [rule for rule, _ in findings(f"{text}chatter: deny\n")] == ["unreachable-zone"] * 2
    assert '"::"' not in text
    policy = load_bytes(text.encode(), "p")
    assert policy.zone_of("default", "fe80::1") != "outside"
    assert policy.zone_of("default", "169.254.1.1") == policy.zone_of("default", "169.254.200.1") != "outside"


def test_addresses_of_no_host_are_in_no_zone():
    hosts = [("default", address) for address in ("0.0.0.0", "::", "255.255.255.255", "ff02::1", "no address")]
    assert propose(hosts, {}, ()) == []


def test_a_block_of_a_controller_that_only_review_names():
    block = Target("block", name="OB1")
    seen = [op(ONE, OTHER, "s7comm", "download_block", "program", target=block), connect(ONE, OTHER, "tcp", 102)]
    assert findings(written(seen)) == []
