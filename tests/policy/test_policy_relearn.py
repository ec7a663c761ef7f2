"""Learning onto a file that people edit: edits stay, what was taken out stays out, the same again changes nothing."""

from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from otmon.policy.asked import Asked
from otmon.policy.edit import smallest
from otmon.policy.errors import PolicyError
from otmon.policy.functions import REASONS, reason_not_learned
from otmon.policy.learn import blank, update
from otmon.policy.learn_file import Seen, added, annotated, ended
from otmon.policy.load import load_bytes
from otmon.policy.reader import parse
from tests.effort import examples
from tests.policy.policy_kit import NOON, connect, op, registers
from tests.policy.test_policy_learn import keys, record

HMI, PANEL, PLC, OTHER = "10.0.2.10", "10.0.2.11", "10.0.1.11", "10.0.1.12"
READ = op(HMI, PLC, target=registers(0, 9), function_code=3)
WRITE = op(HMI, PLC, "modbus", "write_single_register", "write", target=registers(40), function_code=6)
STOP = op(PANEL, PLC, "s7comm", "plc_stop", "control", function_code=41)
MONDAY = [record(READ, 50), record(WRITE, 3), record(connect(HMI, PLC, port=502)), record(STOP)]


def learned(text, records, memory=None, source="monday.pcap", **more):
    return update(text, "plant.yaml", records, source=source, memory=memory, **more)


@pytest.fixture
def first():
    return learned(blank(MONDAY), MONDAY)


def judge(text, key):
    return load_bytes(text.encode(), "plant.yaml").judge(key, NOON)


def test_the_same_again_changes_nothing(first):
    again = learned(first.text, MONDAY, first.memory)
    assert (again.text, again.memory) == (first.text, first.memory)
    assert again[2:6] == (0, 0, 0, 0)
    assert learned(first.text, [], first.memory).text == first.text


def test_what_people_changed_stays(first):
    edited = first.text.replace("conduits:\n", "conduits:   # agreed on 2026-02-11\n# ours\n")
    edited = edited.replace(f"  - id: {HMI}-to-{PLC}\n", "  - id: 'line 1'  # renamed\n".replace(" 1'", "-1'"))
    edited = edited.replace("addresses: [0-9]", "addresses: [0-19]   # wider")
    edited = edited.replace(
        "review:\n", "  - {id: by-hand, from: 10.0.2.12, to: 10.0.1.11, allow: [{protocol: icmp}]}\nreview:\n"
    )
    assert edited.count("by-hand") == 1
    assert learned(edited, MONDAY, first.memory).text == edited
    new = op(HMI, OTHER, target=registers(5), function_code=3)
    again = learned(edited, [*MONDAY, record(new)], first.memory)
    assert judge(again.text, new).permit
    gone = [line for line in edited.splitlines() if line not in again.text.splitlines()]
    assert gone == []
    assert again[2:6] == (0, 1, 1, 0)
    assert learned(again.text, [*MONDAY, record(new)], again.memory).text == again.text


def test_what_people_took_out_comes_back_for_review_alone(first):
    data = YAML()
    tree = data.load(first.text)
    assert tree["conduits"][0]["allow"][1]["functions"] == ["write_single_register"]
    del tree["conduits"][0]["allow"][1]
    out = StringIO()
    data.dump(tree, out)
    # On another day, when it is seen first, too.
    tuesday = [record(WRITE, 4, NOON + 86400 * 10**9, NOON + 86401 * 10**9), record(READ, 9)]
    again = learned(out.getvalue(), tuesday, first.memory, source="tuesday.pcap")
    verdict = judge(again.text, WRITE)
    assert (verdict.permit, verdict.review) == (False, REASONS["removed"])
    assert judge(again.text, READ).permit
    assert again.memory == first.memory
    assert learned(again.text, tuesday, first.memory, source="tuesday.pcap").text == again.text
    # Without what was learned it is new.
    assert judge(learned(out.getvalue(), tuesday).text, WRITE).permit


def test_what_people_narrowed_stays_narrow(first):
    edited = first.text.replace("addresses: [0-9]", "addresses: [0-4]")
    again = learned(edited, MONDAY, first.memory)
    verdict = judge(again.text, READ)
    assert (verdict.permit, verdict.review) == (False, REASONS["removed"])
    assert "[0-4]" in again.text


def test_what_people_permit_at_times_is_not_permitted_always(first):
    at_night = "    during: {hours: 22:00-06:00}\n    allow:\n"
    edited = first.text.replace("    allow:\n", at_night, 1)
    again = learned(edited, MONDAY, None)
    assert judge(again.text, READ).review == REASONS["window"]
    assert load_bytes(again.text.encode(), "p").judge(READ, NOON + 11 * 3600 * 10**9).permit
    assert learned(again.text, MONDAY, again.memory).text == again.text
    night = record(READ, 3, NOON + 11 * 3600 * 10**9, NOON + 11 * 3600 * 10**9)
    assert learned(edited, [night], None)[2:6] == (0, 0, 0, 0)


def test_what_people_forbade_is_left_to_them(first):
    edited = (
        first.text + 'never:\n  - {to: 10.0.1.11, operations: [{protocol: modbus, access: write}], because: "no"}\n'
    )
    wide = op(HMI, PLC, "modbus", "write_multiple_registers", "write", target=registers(41, 42), function_code=16)
    again = learned(edited, [*MONDAY, record(wide)], first.memory, mode="functions")
    assert again.text == edited
    assert not judge(again.text, WRITE).permit


def test_counts_have_a_line_for_each_source(first):
    assert first.text.count("# seen 50 times, 2025-12-01T12:00:00Z to 2025-12-01T12:00:00Z, in monday.pcap") == 1
    tuesday = learned(first.text, [record(READ, 7)], first.memory, source="tuesday.pcap").text
    assert "# seen 50 times" in tuesday
    assert tuesday.index("in monday.pcap") < tuesday.index("# seen 7 times") < tuesday.index("in tuesday.pcap")
    grown = learned(tuesday, [record(READ, 8)], first.memory, source="tuesday.pcap").text
    assert grown == tuesday.replace("# seen 7 times", "# seen 8 times")


def test_comments_survive_a_round_trip_and_are_found_again(first):
    yaml, out = YAML(), StringIO()
    yaml.preserve_quotes = True
    yaml.width = 4096
    tree = yaml.load(first.text)
    tree["conduits"][0]["allow"][0]["addresses"] = ["0-9", 30]
    yaml.dump(tree, out)
    again = learned(out.getvalue(), MONDAY, first.memory).text
    assert [line.strip() for line in again.splitlines() if "# seen" in line] == [
        line.strip() for line in first.text.splitlines() if "# seen" in line
    ]
    assert again == out.getvalue()


def test_the_edit_that_explain_proposes_leaves_comments_where_they_are(first):
    policy = load_bytes(first.text.encode(), "plant.yaml")
    key = READ._replace(target=registers(8, 12))
    near = next(row for rule in policy.conduits.rules for row in rule.rows if row.id.endswith("/1"))
    edit = smallest(first.text, "plant.yaml", policy, Asked(key, NOON, None), near, frozenset({"target"}))
    assert edit is not None
    assert edit.text == first.text.replace("addresses: [0-9]", "addresses: [0-12]")
    assert learned(edit.text, MONDAY, first.memory).text == edit.text


def test_a_comment_that_moved_to_the_left_is_found(first):
    moved = first.text.replace("        # seen", "      # seen")
    assert learned(moved, MONDAY, first.memory).text == moved


def test_lines_end_as_they_did(first):
    windows = first.text.replace("\n", "\r\n")
    assert learned(windows, MONDAY, first.memory).text == windows
    again = learned(windows, [record(op(PANEL, OTHER, target=registers(1)))], first.memory, source="x").text
    assert again.count("\n") == again.count("\r\n") > windows.count("\n")


def test_comments_keep_out_of_text():
    text = """\
otmon: 1
conduits:
  - id: a
    from: any
    to: any
    allow:
      - note: |
          one
        protocol: modbus
      - {protocol: icmp}
      - protocol: tcp
"""
    seen = {"a/1": Seen(1, NOON, NOON), "a/2": Seen(2, NOON, NOON), "a/3": Seen(3, NOON, NOON)}
    new = annotated(text, "p", seen, "s")
    assert parse(new.encode(), "p").data == parse(text.encode(), "p").data
    assert [line.split(",")[0].strip() for line in new.splitlines() if "# seen" in line] == [
        "# seen 1 time",
        "# seen 2 times",
        "# seen 3 times",
    ]
    assert annotated(new, "p", seen, "s") == new
    inline = "otmon: 1\nconduits: [{id: a, from: any, to: any, allow: [{protocol: modbus}]}]\n"
    assert annotated(inline, "p", {"a": Seen(1, NOON, NOON)}, "s") == inline


def test_a_list_in_one_line_is_refused_with_its_place():
    inline = "otmon: 1\nconduits: [{id: a, from: any, to: any, allow: [{protocol: modbus}]}]\n"
    with pytest.raises(
        PolicyError, match=r"p:2:1: conduits: learning cannot add to what stands in one line; write one"
    ):
        added(inline, "p", "conduits", ["- id: b"])


def test_new_hosts_get_zones_beside_those_of_people(first):
    ours = first.text.replace("control: {level: 1, hosts: [10.0.1.0/24]}", "line-1: {level: 1, hosts: [10.0.1.11]}")
    assert ours != first.text
    new = [record(op(HMI, OTHER, target=registers(1))), record(op("10.0.9.1", PLC, target=registers(1)))]
    again = learned(ours, [*MONDAY, *new], first.memory)
    policy = load_bytes(again.text.encode(), "p")
    assert "line-1: {level: 1, hosts: [10.0.1.11]}" in again.text
    assert policy.zone_of("default", PLC) == "line-1"
    assert policy.zone_of("default", OTHER) != "line-1"
    assert policy.zone_of("default", "10.0.1.99") == "outside"
    assert policy.zone_of("default", "10.0.9.1") != "outside"
    assert all(policy.judge(item.key, NOON).permit for item in new)


def test_after_learning_has_ended_what_is_new_is_for_review(first):
    text = ended(first.text, NOON)
    new = op(HMI, OTHER, target=registers(5), function_code=3)
    again = learned(text, [*MONDAY, record(new)], first.memory)
    assert judge(again.text, new).review == REASONS["late"]
    assert judge(again.text, READ).permit
    assert again.text.startswith("# Learned by otmon")
    assert "\n# Learning ended 2025-12-01T12:00:00Z" in again.text


def test_realms_of_the_file_are_kept_to():
    here = record(op(HMI, PLC, target=registers(1), realm="cell-2"))
    text = "otmon: 1\nrealms:\n  cell-2: {vlans: [102]}\nzones: {}\n"
    found = learned(text, [here, record(WRITE)]).text
    assert judge(found, here.key).permit
    assert judge(found, WRITE).permit
    assert not judge(found, WRITE._replace(realm="cell-2")).permit
    assert not judge(found, here.key._replace(realm="default")).permit


@pytest.mark.parametrize(
    "entry", ["{from: any, to: any, operations: []}", "{from: any, reason: x, operations: 5, to: any}"]
)
def test_a_wrong_entry_under_review_is_told_with_its_place(entry):
    with pytest.raises(PolicyError, match=r"p:3:\d+: review\[0\]"):
        load_bytes(f"otmon: 1\nreview:\n  - {entry}\n".encode(), "p")


@settings(max_examples=examples(24), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(keys(), st.integers(1, 3), min_size=1, max_size=12),
    st.dictionaries(keys(), st.integers(1, 3), min_size=1, max_size=12),
    st.sampled_from(["exact", "ranges", "functions"]),
)
def test_day_by_day_all_is_permitted_that_is_not_for_review(monday, tuesday, mode):
    days = [[record(key, times) for key, times in day.items()] for day in (monday, tuesday)]
    draft = learned(blank(days[0]), days[0], mode=mode)
    again = learned(draft.text, days[1], draft.memory, source="tuesday.pcap", mode=mode)
    policy = load_bytes(again.text.encode(), "p")
    for key in {**monday, **tuesday}:
        verdict = policy.judge(key, NOON)
        assert verdict.permit or verdict.review in REASONS.values()
        assert not (verdict.permit and reason_not_learned(key))
        assert verdict.review != REASONS["removed"]
    # What was permitted stays so, and nothing changes any more.
    first = load_bytes(draft.text.encode(), "p")
    assert all(policy.judge(key, NOON).permit for key in monday if first.judge(key, NOON).permit)
    assert learned(again.text, days[1], again.memory, source="tuesday.pcap", mode=mode).text == again.text
    assert learned(again.text, days[0], again.memory, mode=mode).text == again.text


def test_a_host_that_was_scanning_is_remembered_until_a_person_takes_it_out():
    """The next capture in which it does not scan is no pardon."""
    scan = op(PANEL, PLC, "tcp", "scan", "connect")
    before = learned(blank(MONDAY), [record(READ, 50), record(scan)])
    write = WRITE._replace(client=PANEL)
    again = learned(before.text, [record(READ, 50), record(write, 9)], before.memory, "tuesday.pcap")
    verdict = judge(again.text, write)
    assert (verdict.permit, verdict.review) == (False, REASONS["scanner"])
    cleared = before.text[: before.text.index("review:")] + "review: []\n"
    assert judge(learned(cleared, [record(write, 9)], before.memory, "tuesday.pcap").text, write).permit
