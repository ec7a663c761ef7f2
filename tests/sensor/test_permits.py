"""A permit as the shift lead sees it: opened beside a running sensor, inside, outside, ended, and its receipt."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import decide, run
from otmon.policy.load import load_policy
from otmon.sensor.inbox import NAME, Inbox, put
from otmon.sensor.orders import Orders
from otmon.sensor.watch import Sensor
from otmon.store import audit
from otmon.store.database import SiteDatabase
from otmon.store.sensor import SiteStore
from tests.engine.test_transfers import DOWN, OB1, OTHER, UP, sha, story
from tests.engine.world import START_NS, Frame, write
from tests.hostile.kit import Session
from tests.sensor.deal import Clock, Deal

POLICY = """
otmon: 1
site: works
timezone: UTC
zones:
  works: {hosts: [10.0.0.0/8], allow: [{protocol: tcp}]}
assets:
  station: {hosts: [10.0.2.30], name: engineering station}
conduits:
  - id: programming
    from: station
    to: works
    during: {permit: required}
    allow:
      - {protocol: s7comm, functions: [download, plc_stop]}
      - {protocol: modbus, functions: [write_single_register], addresses: 0-9}
"""
NS = 1_000_000_000
OPENED = START_NS + 60 * NS
ENDS = START_NS + 120 * NS


def iso(ts_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ts_ns // NS))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "works.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The machine's clock, set by the test."""
    now = [START_NS]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    monkeypatch.setattr(decide, "WAIT_S", 0.0)
    return now


def at(second: float, *steps: tuple[str, Any, bytes]) -> list[Frame]:
    frames = story(*steps, clients=("10.0.2.30",))
    return [Frame(START_NS + int((second + n / 1000) * NS), frame) for n, frame in enumerate(frames)]


def watched(
    folder: Path, frames: list[Frame], policy: Path, until_s: float, then: Callable[[float], object], machine: list[int]
) -> None:
    """A sensor to which each frame comes at its time; `then` is called each second."""
    clock, judged = Clock(), load_policy(policy)
    batches = [((frame.ts_ns - START_NS) / NS, [frame]) for frame in frames]
    with SiteStore(folder / "site.db", judged.site, spooled=("audit",)) as store:
        orders = Orders(policy, judged, store.permits)
        source = Deal("span0", 0, batches, clock)
        sensor = Sensor([source], store, orders.with_permits(), orders=orders, monotonic=clock, seed=1)
        while clock.now_s < until_s:
            machine[0] = START_NS + int(clock.now_s * NS)
            sensor.step(0)
            then(clock.now_s)
            clock.now_s += 0.5
        sensor.finish()


def permit(folder: Path, *arguments: str) -> int:
    order, first, *rest = arguments
    return run(["permit", order, first, str(folder), *rest])


def opened(folder: Path, policy: Path, *more: str, ticket: str = "CHG-7") -> int:
    told = ["--ticket", ticket, "--by", "A. Mayer", "--policy", str(policy)]
    return permit(folder, "open", "programming", *told, *more)


def alerts(folder: Path) -> list[dict[str, Any]]:
    with SiteDatabase(folder / "site.db") as results:
        return [alert for alert in results.alerts if alert["kind"] in ("segmentation", "command")]


def receipt(folder: Path, policy: Path, capsys: pytest.CaptureFixture[str], ticket: str = "CHG-7") -> dict[str, Any]:
    capsys.readouterr()
    assert permit(folder, "receipt", ticket, "--policy", str(policy), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    return dict(found)


def test_a_running_sensor_takes_up_a_permit_and_alerts_when_it_has_ended(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [*at(70, ("download", DOWN, OB1)), *at(80, ("download", DOWN, OTHER)), *at(90, ("upload", UP, OTHER))]
    frames += at(130, ("download", DOWN, OB1))
    codes: list[int] = []

    def then(second: float) -> None:
        if second == 60:
            codes.append(opened(tmp_path, policy, "--until", iso(ENDS), "--note", "pump 3"))
        if second == 66:
            assert list((tmp_path / NAME).iterdir()) == [], "it was taken"
            assert alerts(tmp_path) == []
        if second == 89:
            assert alerts(tmp_path) == [], "inside nothing is alerted"

    watched(tmp_path, frames, policy, 140, then, machine)
    assert codes == [1], "it waited in the inbox, and that was said"
    found = [alert for alert in alerts(tmp_path) if "upload" not in alert["operation"]["function"]]
    assert found
    for alert in found:
        assert alert["first_ts_ns"] >= ENDS
        assert alert["nearest"]["row"] == "programming/1@CHG-7"
        assert f"Permit CHG-7 of row programming ended {iso(ENDS).replace('T', ' ')}." in alert["nearest"]["separation"]
    with SiteDatabase(tmp_path / "site.db") as results:
        assert results.verify_log().wrong is None
        log = [entry.record() for entry in results.audit_log()]
        done = list(results.done_under("CHG-7"))
    assert [one["action"] for one in log] == ["sensor_started", "policy_loaded", "permit_opened", "sensor_stopped"]
    detail = log[2]["detail"]
    assert {name: detail[name] for name in ("by", "conduit", "note", "ticket", "until")} == {
        "by": "A. Mayer",
        "conduit": "programming",
        "note": "pump 3",
        "ticket": "CHG-7",
        "until": f"{iso(ENDS)}.000000Z",
    }
    assert {entry["operation"]["function"] for entry in done} >= {"request_download", "download_block"}
    assert {entry["row"] for entry in done} == {"programming/1@CHG-7"}
    times = {entry["operation"]["function"]: entry["attempted"] for entry in done}
    assert times["request_download"] == 2, "the third came when the permit had ended"

    machine[0] = ENDS + 60 * NS
    told = receipt(tmp_path, policy, capsys)
    assert told["who"] == ["10.0.2.30"]
    assert len(told["controllers"]) == 1
    assert OPENED <= told["first_ts_ns"] <= told["last_ts_ns"] < ENDS
    blocks = [(one["direction"], one["block"], one["sha256"], one["changed"]) for one in told["blocks"]]
    assert ("download", "OB1", sha(OTHER), True) in blocks
    assert len(told["outside"]) == 3, "start_upload, upload, end_upload"
    assert all("upload" in one["title"] for one in told["outside"])
    missing = {one["row"]: one["functions"] for one in told["not_done"]}
    assert missing["programming/2@CHG-7"] == ["write_single_register"]
    assert "plc_stop" in missing["programming/1@CHG-7"]
    assert permit(tmp_path, "receipt", "CHG-7", "--policy", str(policy)) == 0
    text = capsys.readouterr().out
    for words in ("Ticket CHG-7 at works", "pump 3", "engineering station (10.0.2.30)", "Permitted and not done"):
        assert words in text


def wrote(second: float, *values: int) -> list[Frame]:
    """The station sets holding register 3 of a device to these values, one after the other."""
    session = Session("10.0.2.30", "10.0.1.20", 50_000 + int(second), 502)
    frames = session.handshake()
    for number, value in enumerate(values, 1):
        pdu = number.to_bytes(2, "big") + b"\0\0\0\6\1\6\0\3" + value.to_bytes(2, "big")
        frames += [session.send(pdu), session.send(pdu, from_client=False)]
    return [Frame(START_NS + int((second + n / 1000) * NS), frame) for n, frame in enumerate(frames)]


def test_points_have_their_old_and_new_values(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    def then(second: float) -> None:
        if second == 10:
            opened(tmp_path, policy, "--until", iso(START_NS + 40 * NS))
        if second == 50:
            opened(tmp_path, policy, "--until", iso(ENDS), ticket="CHG-8")

    frames = [*wrote(20, 5, 6, 6, 7), *wrote(45, 99), *wrote(60, 8)]
    watched(tmp_path, frames, policy, 70, then, machine)
    machine[0] = ENDS
    (one,) = receipt(tmp_path, policy, capsys)["points"]
    assert (one["before"], one["first_value"], one["last_value"], one["times"]) == (None, 5, 7, 4)
    assert {name: one["target"][name] for name in ("space", "start", "end")} == {
        "space": "holding_register",
        "start": 3,
        "end": 3,
    }
    (two,) = receipt(tmp_path, policy, capsys, "CHG-8")["points"]
    assert (two["before"], two["first_value"], two["last_value"], two["times"]) == (7, 8, 8, 1)
    assert permit(tmp_path, "receipt", "CHG-7", "--policy", str(policy)) == 0
    assert "holding_register 3: was not seen, first 5, is 7 (4 times" in capsys.readouterr().out
    assert [alert["first_ts_ns"] // NS - START_NS // NS for alert in alerts(tmp_path)] == [45]


def test_closing_early_ends_it(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    def then(second: float) -> None:
        if second == 10:
            opened(tmp_path, policy, "--until", iso(ENDS))
        if second == 40:
            permit(tmp_path, "close", "CHG-7", "--by", "B. Huber", "--note", "done early")

    watched(tmp_path, [*at(20, ("download", DOWN, OB1)), *at(50, ("download", DOWN, OB1))], policy, 60, then, machine)
    found = alerts(tmp_path)
    assert found
    assert all(alert["first_ts_ns"] >= START_NS + 50 * NS for alert in found)
    assert "Permit CHG-7 of row programming ended" in found[0]["nearest"]["separation"]
    capsys.readouterr()
    assert run(["permit", "list", str(tmp_path), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["state"], one["closed_by"]) == ("ended", "B. Huber")
    assert START_NS + 40 * NS <= one["until_ns"] <= START_NS + 43 * NS
    assert run(["permit", "list", str(tmp_path)]) == 0
    assert "closed by B. Huber" in capsys.readouterr().out


def test_without_a_permit_the_alert_says_that_one_is_needed(tmp_path: Path, policy: Path, machine: list[int]) -> None:
    watched(tmp_path, at(5, ("download", DOWN, OB1)), policy, 10, lambda _: None, machine)
    found = alerts(tmp_path)
    assert found
    assert "Row programming needs a permit, and none was opened." in found[0]["nearest"]["separation"]


def test_a_restarted_sensor_knows_its_permits_from_the_first_frame(
    tmp_path: Path, policy: Path, machine: list[int]
) -> None:
    watched(tmp_path, [], policy, 1, lambda _: None, machine)
    machine[0] = START_NS
    assert opened(tmp_path, policy, "--until", iso(ENDS)) == 0
    watched(tmp_path, at(0, ("download", DOWN, OB1)), policy, 10, lambda _: None, machine)
    assert alerts(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("open", "programming", "--until", "2023-11-14T22:00"), "it would end before it begins, or before now"),
        (("open", "programming", "--until", "soon"), "--until: 'soon' is not a date"),
        (("open", "programming", "--until", "2030-01-01", "--from", "2031-01-01"), "it would end before it begins"),
        (("open", "elsewhere", "--until", "2030-01-01"), "no conduit that needs a permit; those that do: programming"),
        (("open", "programming", "--until", "2030-01-01T08:00+01:00"), "has a time zone of its own"),
        (("close", "CHG-9"), "no permit is open under ticket CHG-9"),
        (("receipt", "CHG-9"), "no permit under ticket CHG-9"),
        (("close", "CHG\n9"), r"ticket: 'CHG\n9' has characters that cannot be shown; write it in one line"),
        (("receipt", "CHG\u202e9"), r"ticket: 'CHG\u202e9' has characters that cannot be shown"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path,
    policy: Path,
    machine: list[int],
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with SiteStore(tmp_path / "site.db", "works"):
        pass
    order, first, *rest = arguments
    who = ["--by", "A. Mayer"] if order != "receipt" else []
    ticket = ["--ticket", "CHG-7"] if order == "open" else []
    named = ["--policy", str(policy)] if order != "close" else []
    assert permit(tmp_path, order, first, *rest, *who, *ticket, *named) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert run(["audit", "list", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "The audit log is empty.\n"


def test_a_ticket_opens_a_conduit_once_at_a_time(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with SiteStore(tmp_path / "site.db", "works"):
        pass
    assert opened(tmp_path, policy, "--until", "2030-01-01") == 0
    assert opened(tmp_path, policy, "--until", "2030-01-01") == 2
    assert "close it first" in capsys.readouterr().err
    assert opened(tmp_path, policy, "--until", "2030-01-01", ticket="CHG-8") == 0
    assert permit(tmp_path, "close", "CHG-7", "--by", "B. Huber") == 0
    assert opened(tmp_path, policy, "--until", "2030-01-01") == 0


def test_a_full_log_does_not_end_a_sensor(
    tmp_path: Path,
    policy: Path,
    machine: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(audit, "MAX_AUDIT_ENTRIES", 1)
    watched(tmp_path, at(5, ("download", DOWN, OB1)), policy, 10, lambda _: None, machine)
    assert alerts(tmp_path)
    assert [record.event for record in caplog.records].count("audit_full") == 2


def test_an_order_that_nobody_wrote_so_is_put_away(tmp_path: Path, policy: Path, machine: list[int]) -> None:
    with SiteStore(tmp_path / "site.db", "works") as store:
        for number, raw in enumerate((b"", b"{}", b"[" * 10_000, b'{"otmon":"permit"}', b"\xff" * 99)):
            put(tmp_path, raw, str(number), ".permit")
        Inbox(store).look()
        assert store.permits() == ()
    assert list((tmp_path / NAME).iterdir()) == []


def test_a_permit_does_not_reach_back(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Alerts, list, receipt, explain and replay say the same of what was done before it was opened."""

    def then(second: float) -> None:
        if second == 60:
            opened(tmp_path, policy, "--from", iso(START_NS), "--until", iso(ENDS))

    watched(tmp_path, [*at(20, ("download", DOWN, OB1)), *wrote(70, 5)], policy, 80, then, machine)
    assert "begins now; what was alerted before stands" in capsys.readouterr().err
    machine[0] = START_NS + 90 * NS
    early = [alert for alert in alerts(tmp_path) if alert["operation"]["protocol"] == "s7comm"]
    assert early
    assert len(early) == len(alerts(tmp_path)), "what came later was permitted"
    assert run(["permit", "list", str(tmp_path), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert OPENED <= listed["from_ns"] <= OPENED + 3 * NS, "when the sensor took it over"
    found = receipt(tmp_path, policy, capsys)
    assert [entry["protocol"] for entry in found["done"]] == ["modbus"]
    assert found["done"][0]["first_ts_ns"] >= START_NS + 70 * NS
    assert found["outside"] == [], "the alerts are of a time before it"
    for alert in early:
        assert run(["policy", "explain", str(policy), alert["id"], "--data", str(tmp_path), "--json"]) == 0
        assert not any(answer["permit"] for answer in json.loads(capsys.readouterr().out))
    assert run(["policy", "replay", str(policy), "--data", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    permits = {record["row"] for record in said if record["verdict"] == "permit"}
    denied = {record["protocol"] for record in said if record["verdict"] == "deny"}
    assert (permits, denied) == ({"programming/2@CHG-7"}, {"s7comm"})


def test_what_was_opened_by_an_earlier_otmon_does_not_reach_back_either(tmp_path: Path) -> None:
    detail = {"by": "A", "conduit": "programming", "ticket": "CHG-7", "from": f"{iso(START_NS)}.000000Z"}
    ends = {"until": f"{iso(ENDS)}.000000Z"}
    with SiteStore(tmp_path / "site.db", "works") as store:
        for opened_ns in (OPENED, ENDS + NS):
            store.audit({"action": "permit_opened", "detail": detail | ends, "message": "Opened.", "ts_ns": opened_ns})
        first, late = store.permits()
    assert (first.since_ns, first.until_ns) == (OPENED, ENDS)
    assert not late.open(ENDS), "over before it was opened"
    assert not late.open(ENDS + NS)


def test_a_receipt_tells_of_one_ticket_that_was_opened_twice(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    def then(second: float) -> None:
        if second == 10:
            opened(tmp_path, policy, "--until", iso(ENDS), "--note", "pump 3")
        if second == 40:
            permit(tmp_path, "close", "CHG-7", "--by", "B. Huber", "--note", "done early")
        if second == 60:
            opened(tmp_path, policy, "--until", iso(START_NS + 90 * NS))

    # The same register before, inside, between and inside again; the same block inside and after.
    frames = [*wrote(5, 1), *at(20, ("download", DOWN, OB1)), *wrote(30, 5, 6), *wrote(50, 9), *wrote(70, 11)]
    frames += at(100, ("download", DOWN, OB1))
    watched(tmp_path, frames, policy, 110, then, machine)
    machine[0] = START_NS + 80 * NS
    found = receipt(tmp_path, policy, capsys)
    assert [(one["note"], one["closed_by"], one["closed_note"], one["open"]) for one in found["permits"]] == [
        ("pump 3", "B. Huber", "done early", False),
        (None, None, None, True),
    ]
    (write,) = [entry for entry in found["done"] if entry["protocol"] == "modbus"]
    (point,) = found["points"]
    assert (write["attempted"], point["times"], point["first_value"], point["last_value"]) == (3, 3, 5, 11)
    for entry in (write, point):
        assert entry["unit"] == 1
        assert [entry[name] // NS - START_NS // NS for name in ("first_ts_ns", "last_ts_ns")] == [30, 70]
    (block,) = found["blocks"]
    assert block["last_ts_ns"] < START_NS + 21 * NS, "the second time was after the permit"
    assert [(one["row"], one["functions"]) for one in found["not_done"]] == [("programming/1@CHG-7", ["plc_stop"])]
    assert permit(tmp_path, "receipt", "CHG-7", "--policy", str(policy)) == 0
    text = capsys.readouterr().out
    for line in (
        f"  programming: {said(12)} to {said(42)}, by A. Mayer (pump 3), closed by B. Huber (done early)",
        f"  done {said(20)} to {said(70)}",
        "  who: engineering station (10.0.2.30)",
        "  on: 10.0.1.15, 10.0.1.20",
    ):
        assert line in text.splitlines()
    assert "modbus unit 1 write_single_register holding_register 3, 3 times" in text
    assert "1 times" not in text


def said(second: int) -> str:
    return iso(START_NS + second * NS).replace("T", " ") + "Z"


def test_a_write_that_only_the_ticket_permits_is_under_it(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A row permits the same write with other values, always."""
    row = "{protocol: modbus, functions: [write_single_register], addresses: 0-9, values: 0-10}"
    always = f"conduits:\n  - {{id: always, from: station, to: works, allow: [{row}]}}\n"
    policy.write_text(POLICY.replace("conduits:\n", always))

    def then(second: float) -> None:
        if second == 10:
            opened(tmp_path, policy, "--until", iso(START_NS + 40 * NS))

    watched(tmp_path, [*wrote(5, 3), *wrote(20, 99, 7), *wrote(50, 4), *wrote(55, 98)], policy, 60, then, machine)
    (alert,) = alerts_of(tmp_path, "value")
    assert alert["first_ts_ns"] >= START_NS + 55 * NS
    machine[0] = START_NS + 60 * NS
    found = receipt(tmp_path, policy, capsys)
    (point,) = found["points"]
    assert (point["first_value"], point["last_value"], point["times"]) == (99, 99, 1)
    assert (found["who"], found["controllers"]) == (["10.0.2.30"], ["10.0.1.20"])
    assert found["first_ts_ns"] == found["last_ts_ns"] == point["last_ts_ns"]
    assert "programming/2@CHG-7" not in {one["row"] for one in found["not_done"]}


def alerts_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    with SiteDatabase(folder / "site.db") as results:
        return [alert for alert in results.alerts if alert["kind"] == kind]


def test_results_of_captures_are_not_judged_anew(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done then is told of a ticket in the policy."""
    capture = write(tmp_path / "a.pcap", [*wrote(20, 5), *wrote(70, 6)])
    results = tmp_path / "results"
    assert run(["analyze", str(capture), "--policy", str(policy), "--out", str(results)]) == 0
    assert len(alerts(results)) == 1
    machine[0] = START_NS + 100 * NS
    assert opened(results, policy, "--from", iso(START_NS), "--until", iso(ENDS)) == 0
    err = capsys.readouterr().err
    assert "--from is past" in err
    assert "which no permit judges anew: write `during: {from: ..., until: ..., ticket: ...}`" in err
    found = receipt(results, policy, capsys)
    assert (found["done"], found["outside"]) == ([], [])
    during = f"during: {{from: {iso(START_NS + 60 * NS)}, until: {iso(ENDS)}, ticket: CHG-8, approver: A. Mayer}}"
    policy.write_text(POLICY.replace("during: {permit: required}", during))
    assert run(["analyze", str(capture), "--policy", str(policy), "--out", str(results)]) == 0
    assert len(alerts(results)) == 1
    found = receipt(results, policy, capsys, "CHG-8")
    assert [one["last_value"] for one in found["points"]] == [6]
    assert [(entry["function"], entry["attempted"]) for entry in found["done"]] == [("write_single_register", 1)]
    assert found["permits"][0]["from_ns"] == OPENED
    assert found["outside"] == []


def test_of_plain_connections_a_receipt_does_not_say_that_nobody_made_one(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    row = "{protocol: tcp, ports: [80]}"
    during = "during: {until: 2099-01-01, ticket: CHG-9, approver: A. Mayer}"
    conduit = f"conduits:\n  - {{id: web, from: station, to: works, {during}, allow: [{row}]}}\n"
    policy.write_text(POLICY.replace("conduits:\n", conduit))
    capture = write(tmp_path / "a.pcap", wrote(20, 5))
    results = tmp_path / "results"
    assert run(["analyze", str(capture), "--policy", str(policy), "--out", str(results)]) == 0
    found = receipt(results, policy, capsys, "CHG-9")
    assert found["not_done"] == []
    assert [one["row"] for one in found["not_counted"]] == ["web@CHG-9"]
    assert permit(results, "receipt", "CHG-9", "--policy", str(policy)) == 0
    text = capsys.readouterr().out
    assert text.endswith("Permitted, and not counted: plain connections\n  web@CHG-9 (station -> works): tcp\n")


def test_a_row_that_was_used_under_a_permit_was_used(
    tmp_path: Path, policy: Path, machine: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    def then(second: float) -> None:
        if second == 10:
            opened(tmp_path, policy, "--until", iso(START_NS + 40 * NS))

    watched(tmp_path, [*wrote(20, 5), *wrote(50, 6)], policy, 60, then, machine)
    capsys.readouterr()
    assert run(["policy", "check", str(policy), "--data", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    unused = {one["says"] for one in found if one["rule"] == "never-hit-row"}
    assert "Row programming/1 permits nothing that was ever seen." in unused
    assert "Row programming/2 permits nothing that was ever seen." not in unused


def test_without_results_nothing_is_said_of_permits(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = "station -> 10.0.1.20 modbus unit 1 write_single_register 3 = 5"
    assert run(["policy", "explain", str(policy), asked, "--data", str(tmp_path / "mistyped")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
