"""The judge beside a reference without ranges, caches or indexes: it asks every row about every address."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.model import Op, OperationKey, Target
from otmon.policy.load import load_bytes
from tests.effort import examples
from tests.policy.policy_kit import NOON, PORTS, connect, op, registers

HOSTS = [f"10.0.0.{i}" for i in range(1, 7)]
ZONES = {"plant": ["10.0.0.1", "10.0.0.2", "10.0.0.3"], "cell": ["10.0.0.1"], "office": ["10.0.0.4"]}
"""10.0.0.5 and 10.0.0.6 are outside; cell lies in plant."""
ROLES = {"engineers": ["10.0.0.2", "10.0.0.5"]}
FUNCTIONS = {
    "modbus": [
        ("read_holding_registers", 3, "read", "holding_register"),
        ("read_coils", 1, "read", "coil"),
        ("write_single_register", 6, "write", "holding_register"),
        ("read_write_multiple_registers", 23, "read", "holding_register"),
        ("read_write_multiple_registers", 23, "write", "holding_register"),
    ],
    "dnp3": [
        ("read", 1, "read", "g1"),
        ("operate", 4, "control", "g12"),
        ("confirm", 0, "read", None),
        ("unsolicited_response", 130, "read", "g2"),
        ("cold_restart", 13, "control", None),
        ("enable_unsolicited", 20, "write", "g60"),
    ],
    "s7comm": [
        ("read_var", 4, "read", "DB1"),
        ("plc_stop", 41, "control", None),
        ("download_block", 27, "program", "block"),
        ("setup_communication", 240, "read", None),
    ],
}
IMPLIED_ALWAYS = {"modbus": (), "dnp3": ("confirm",), "s7comm": ("setup_communication",)}
PROTOCOLS = ["modbus", "dnp3", "s7comm", "tcp"]
LAST = 7
OPEN, CLOSED = {"days": ["mon"]}, {"days": ["tue"]}

spans = st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(lambda pair: (min(pair), max(pair)))
ranges = st.lists(spans, min_size=1, max_size=2).map(lambda pairs: [f"{low}-{high}" for low, high in pairs])
selector = st.one_of(
    st.sampled_from(["any", "plant"]),
    st.sampled_from(["plant", "cell", "office", "outside", "any", "10.0.0.0/30", *HOSTS]),
    st.just({"role": "engineers"}),
)


@st.composite
def rows(draw, focus, never=False):
    protocol = draw(st.sampled_from([focus] * 5 + PROTOCOLS))
    row = {"protocol": protocol}
    if protocol == "tcp":
        if draw(st.booleans()):
            row["ports"] = draw(st.lists(st.sampled_from([80, 502, "1-65535", "100-110"]), min_size=1, max_size=2))
        return row
    table = FUNCTIONS[protocol]
    if draw(st.integers(0, 2)) == 0:
        names = [name for name, *_ in table] + [code for _, code, *_ in table]
        names += ["download"] if protocol == "s7comm" else []
        row["functions"] = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    if draw(st.integers(0, 3)) == 0:
        row["access"] = draw(st.lists(st.sampled_from(["read", "write", "control"]), min_size=1, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        row["port"] = draw(st.sampled_from([PORTS[protocol], 5020]))
    if protocol == "modbus":
        if draw(st.integers(0, 3)) == 0:
            row["units"] = draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
        if draw(st.booleans()):
            row["addresses"] = draw(ranges)
        elif draw(st.integers(0, 3)) == 0:
            row["targets"] = [{"space": "coil"}, {"space": "holding_register", "ranges": draw(ranges)}]
        if not never and draw(st.booleans()):
            row["values"] = draw(ranges)
    if protocol == "dnp3":
        if draw(st.booleans()):
            row["master"] = draw(st.integers(1, 2))
        if draw(st.booleans()):
            row["outstation"] = draw(st.sampled_from([10, "10-11", "0-65535"]))
        if draw(st.booleans()):
            row["objects"] = draw(st.lists(st.sampled_from(["g1 0-3", "g12 2", "g12", "g60"]), min_size=1, max_size=2))
    if protocol == "s7comm" and draw(st.booleans()):
        row["items"] = draw(st.lists(st.sampled_from(["DB1.DBB0-3", "DB1.DBW4", "DB1"]), min_size=1, max_size=2))
    return row


def policies(focus):
    conduit = st.fixed_dictionaries(
        {"from": selector, "to": selector, "allow": st.lists(rows(focus), min_size=1, max_size=4)},
        optional={"during": st.sampled_from([OPEN, OPEN, CLOSED])},
    )
    never = st.fixed_dictionaries(
        {"to": selector, "operations": st.lists(rows(focus, never=True), min_size=1, max_size=2)},
        optional={"from": selector},
    )
    return st.fixed_dictionaries(
        {
            "conduits": st.lists(conduit, min_size=1, max_size=5),
            "never": st.lists(st.one_of(never, never, never, st.just({"to": "cell", "from": "office"})), max_size=1),
            "office": st.booleans(),
            "cell": st.sampled_from([None, True, False]),
        }
    )


@st.composite
def operations(draw, focus):
    client, server = draw(st.sampled_from(HOSTS)), draw(st.sampled_from(HOSTS[:4]))
    protocol = draw(st.sampled_from([focus] * 5 + PROTOCOLS))
    if protocol == "tcp":
        function = draw(st.sampled_from(["connect", "connect", "scan"]))
        port = draw(st.sampled_from([80, 502, 102, 105, 5020])) if function == "connect" else None
        return connect(client, server, port=port, function=function)
    name, code, access, space = draw(st.sampled_from(FUNCTIONS[protocol]))
    target = None
    if space == "block":
        target = draw(st.sampled_from([Target("block", name="DB1"), None]))
    elif space is not None:
        low, high = draw(spans)
        target = draw(st.sampled_from([registers(low, high, space)] * 5 + [None, Target(space)]))
    unit = {
        "modbus": draw(st.integers(0, 2)),
        "dnp3": (draw(st.integers(1, 2)), draw(st.sampled_from([10, 11, 65535]))),
        "s7comm": None,
    }[protocol]
    port = draw(st.sampled_from([PORTS[protocol]] * 3 + [5020]))
    return op(client, server, protocol, name, access, function_code=code, target=target, unit=unit, port=port)


cases = st.sampled_from(["modbus", "modbus", *PROTOCOLS]).flatmap(
    lambda focus: st.tuples(policies(focus), st.lists(operations(focus), min_size=8, max_size=25))
)


# --- the reference ---------------------------------------------------------------------------------------------------
def numbers(texts):
    out = set()
    for text in texts if isinstance(texts, list) else [texts]:
        low, _, high = str(text).partition("-")
        out |= set(range(int(low), int(high or low) + 1))
    return out


def selected(who, host):
    if isinstance(who, dict):
        return host in ROLES[who["role"]]
    if who == "outside":
        return all(host not in hosts for hosts in ZONES.values())
    if who == "10.0.0.0/30":
        return host in HOSTS[:3]
    return who == "any" or who == host or host in ZONES.get(who, ())


def names_function(row, key):
    functions, access = row.get("functions"), row.get("access")
    group = ("request_download", "download_block", "download_ended")
    by_name = functions is None or key.function in functions or key.function_code in functions
    by_name = by_name or ("download" in functions and key.function in group)
    return by_name and (access is None or key.access in access)


def is_implied(row, key):
    if key.function in IMPLIED_ALWAYS[row["protocol"]]:
        return True
    if key.function != "unsolicited_response":
        return False
    read = key._replace(function="read", function_code=1, access="read")
    enable = key._replace(function="enable_unsolicited", function_code=20, access="write")
    return names_function(row, read) or names_function(row, enable)


def unit_fits(row, key, forbidding=False):
    if row["protocol"] == "modbus" and "units" in row:
        broadcast = forbidding and key.unit == 0 and key.access != "read"
        return broadcast or key.unit in numbers(row["units"])
    if row["protocol"] == "dnp3":
        master, outstation = key.unit
        if "master" in row and master not in numbers(row["master"]):
            return False
        if "outstation" in row and outstation not in numbers(row["outstation"]):
            return forbidding and outstation >= 0xFFFC
    return True


def spoken_of(row):
    """None: every target; else {space: set of addresses, or None for all of it}."""
    if not {"addresses", "items", "objects", "targets"} & set(row):
        return None
    out = {}
    if "addresses" in row:
        for space in ("coil", "holding_register"):
            out[space] = numbers(row["addresses"])
    for limit in row.get("targets", ()):
        out[limit["space"]] = numbers(limit["ranges"]) if "ranges" in limit else None
    texts = {"DB1.DBB0-3": ("DB1", "0-3"), "DB1.DBW4": ("DB1", "4-5"), "DB1": ("DB1", None), "g60": ("g60", None)}
    texts |= {"g1 0-3": ("g1", "0-3"), "g12 2": ("g12", "2"), "g12": ("g12", None)}
    for text in row.get("items", []) + row.get("objects", []):
        space, span = texts[text]
        if span is None or out.get(space, set()) is None:
            out[space] = None
        else:
            out[space] = out.get(space, set()) | numbers(span)
    return out


def fits(row, key, forbidding=False):
    """All but the target."""
    protocol = row["protocol"]
    if protocol != key.protocol:
        carried = {row["port"]} if "port" in row else {PORTS.get(protocol)}
        return not forbidding and key.function == "connect" and key.port in carried
    if protocol == "tcp":
        if key.function == "scan":
            return "ports" not in row or "1-65535" in row["ports"]
        return "ports" not in row or key.port in numbers(row["ports"])
    if "port" in row and key.port != row["port"]:
        return False
    if not unit_fits(row, key, forbidding):
        return False
    return names_function(row, key) or (not forbidding and is_implied(row, key))


def address_fits(row, key, address):
    """`address` None: the whole space."""
    limits = spoken_of(row)
    if limits is None or row["protocol"] != key.protocol or is_implied(row, key):
        return True
    allowed = limits.get(key.target.space, set())
    return allowed is None or (address is not None and address in allowed)


def forbidden(spec, key):
    for never in spec["never"]:
        if not (selected(never.get("from", "any"), key.client) and selected(never["to"], key.server)):
            continue
        if "operations" not in never:
            return True
        for row in never["operations"]:
            if row["protocol"] != key.protocol or not fits(row, key, forbidding=True):
                continue
            limits = spoken_of(row)
            if limits is None:
                return True
            if key.target is not None and key.target.space in limits:
                allowed = limits[key.target.space]
                touched = None if key.target.start is None else set(range(key.target.start, key.target.end + 1))
                if allowed is None or touched is None or allowed & touched:
                    return True
    return False


def monitored(spec, host):
    plant = host in ZONES["plant"]
    if host in ZONES["cell"] and spec["cell"] is not None:
        return spec["cell"]
    return plant or (host in ZONES["office"] and spec["office"])


def pair_rows(spec, key):
    """(row, is it open now)."""
    for conduit in spec["conduits"]:
        if selected(conduit["from"], key.client) and selected(conduit["to"], key.server):
            for row in conduit["allow"]:
                yield row, conduit.get("during") != CLOSED


def addresses_of(key):
    return [None] if key.target.start is None else range(key.target.start, key.target.end + 1)


def permitting(spec, key, address):
    rows_ = [row for row, is_open in pair_rows(spec, key) if is_open and fits(row, key)]
    return [row for row in rows_ if key.target is None or address_fits(row, key, address)]


def reference(spec, key):
    """ "never", "free", "deny" or "permit"."""
    if forbidden(spec, key):
        return "never"
    if not (monitored(spec, key.client) or monitored(spec, key.server)):
        return "free"
    where = [None] if key.target is None else addresses_of(key)
    return "permit" if all(permitting(spec, key, address) for address in where) else "deny"


def value_fits(spec, key, address, value):
    found = permitting(spec, key, address)
    return any(
        "values" not in row or any(low <= value <= high for low, high in map(ends, row["values"])) for row in found
    )


def ends(text):
    low, _, high = text.partition("-")
    return int(low), int(high)


# --- the comparison --------------------------------------------------------------------------------------------------
def text_of(spec):
    number = iter(range(100))
    document = {
        "otmon": 1,
        "timezone": "UTC",
        "zones": {
            "plant": {"hosts": ZONES["plant"]},
            "cell": {"hosts": ZONES["cell"], "monitored": spec["cell"]},
            "office": {"hosts": ZONES["office"], "monitored": spec["office"]},
        },
        "roles": ROLES,
        "conduits": [{"id": f"c{next(number)}", **conduit} for conduit in spec["conduits"]],
        "never": spec["never"],
    }
    return json.dumps(document)


def load(spec):
    return load_bytes(text_of(spec).encode(), "p")


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_judge_is_the_reference(case):
    spec, keys = case
    policy = load(spec)
    for key in keys:
        verdict = policy.judge(key, NOON)
        expected = reference(spec, key)
        assert verdict.permit == (expected in ("permit", "free")), (expected, verdict)
        if expected == "never":
            assert verdict.row.startswith("never/")
            assert verdict.severity == "critical"
        elif expected == "free":
            assert verdict.row is None
        elif expected == "deny":
            joined = any(row["protocol"] == key.protocol for row, _ in pair_rows(spec, key))
            kind = "command" if joined and key.access != "connect" else "segmentation"
            assert verdict.kind == kind
            assert (verdict.nearest is None) == (verdict.separation is None)
            if joined:
                assert verdict.nearest is not None
        else:
            assert verdict.row.partition("/")[0] in {f"c{i}" for i in range(len(spec["conduits"]))}
            if key.access in ("write", "control") and key.target is not None and key.target.start is not None:
                compare_values(policy, spec, key, verdict)


def compare_values(policy, spec, key: OperationKey, verdict):
    values = (*range(LAST + 2), 2.5, float("nan"))
    elements = {a: Op(*key[7:10], key.unit, registers(a, None, key.target.space)) for a in addresses_of(key)}
    # Everywhere else something that may stand there, if anything may.
    fitting = {a: next((v for v in values if value_fits(spec, key, a, v)), 0) for a in elements}
    for address in elements:
        others = all(value_fits(spec, key, a, fitting[a]) for a in elements if a != address)
        if not all(value_fits(spec, key, address, value) for value in values):
            unknown = [(element, fitting[a]) for a, element in elements.items() if a != address]
            assert not policy.judge_values(key, unknown, NOON).permit
        for value in values:
            expected = others and value_fits(spec, key, address, value)
            written = [(element, value if a == address else fitting[a]) for a, element in elements.items()]
            actual = policy.judge_values(key, written, NOON)
            assert actual.permit == expected, (address, value)
            if not expected:
                assert actual.kind == "value"
                assert actual.separation.endswith(" there.")
            if verdict.bounds is not None:
                assert (verdict.bounds[0] <= value <= verdict.bounds[1]) == expected
            if verdict.bounds is None and not verdict.inspect:
                assert expected
