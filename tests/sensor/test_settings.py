"""What a sensor is told: on the command line, in a file, and what is wrong with it."""

import dataclasses
from pathlib import Path

import jsonschema
import pytest

from otmon.cli import run
from otmon.cli.watch import watch
from otmon.policy.errors import PolicyError
from otmon.policy.reader import parse
from otmon.sensor import settings as s
from otmon.sensor.config import load_config, schema, schema_text
from tests.sensor.feed import ROOT

RULES = ROOT / "rules"


@pytest.mark.parametrize(
    ("value", "means"),
    [
        (9105, s.Address("127.0.0.1", 9105)),
        ("9105", s.Address("127.0.0.1", 9105)),
        ("192.0.2.1:80", s.Address("192.0.2.1", 80)),
        ("[::1]:9105", s.Address("::1", 9105)),
        ("[2001:0db8::1]:9105", s.Address("2001:db8::1", 9105)),
    ],
)
def test_an_address(value, means: s.Address) -> None:
    assert s.address(value) == means
    assert s.address(str(means)) == means
    assert means.local == (means.host in ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    "value", [":9105", "0", 65536, "host:1", "1.2.3.4:", "1.2.3:4", True, "", "1.2.3.4", "a\x1b[m"]
)
def test_no_address(value) -> None:
    with pytest.raises(s.Wrong) as error:
        s.address(value)
    assert "\x1b" not in str(error.value)


def test_sizes_and_days() -> None:
    assert s.size("2GiB") == 2 << 30
    assert s.size("500 MB") == 500_000_000
    assert s.size(1 << 30) == 1 << 30
    assert s.days("30") == s.days(30) == 30
    for take, bad in ((s.size, ("2 gigs", "1MB", "-1", True, "")), (s.days, (0, -1, "x", True, 36501, "1.5"))):
        for value in bad:
            with pytest.raises(s.Wrong):
                take(value)


def test_the_example_is_read_and_names_every_setting() -> None:
    text = (RULES / "sensor.yaml").read_text()
    said = load_config(RULES / "sensor.yaml")
    assert s.Settings(**said).metrics == s.Address("127.0.0.1", 9105)
    assert said["policy"] == RULES / "plant.yaml"
    assert said["data"] == Path("/var/lib/otmon")
    for field in dataclasses.fields(s.Settings):
        assert f"{field.name.replace('_', '-')}:" in text, field.name


def test_every_setting_is_an_option_but_the_outputs_of_a_file() -> None:
    named = {parameter.name for parameter in watch.params} - {"config", "view"}
    assert named == {field.name for field in dataclasses.fields(s.Settings)} - set(s.OUTPUTS[1:])


def test_the_schema_is_current() -> None:
    assert (RULES / "sensor.schema.json").read_text() == schema_text(), (
        "run: python -m otmon.sensor.config rules/sensor.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(schema())


VALID = jsonschema.Draft202012Validator(schema())
GOOD = ("{}", "interfaces: eth1", "tap: [a+b]", "metrics: 9105", "metrics: '[::1]:9105'", "keep: 30",
        "keep-bytes: 2GiB", "log: json\nuser: otmon\nfilter: not port 22", "keep-bytes: 1073741824",
        "elastic: {url: 'https://e', namespace: plant_1, records-per-s: 5}", "syslog: {url: 'udp://s:514'}",
        "syslog: {url: 'tls://s', ca: ca.pem, certificate: c.pem, facility: authpriv}", "lines: events.jsonl",
        "webhook: {url: 'https://h/x', secret-file: k}", "lines: {path: e.jsonl, streams: alert}")  # fmt: skip
BAD = {
    "intrfaces: x": "1:1: intrfaces: unknown key 'intrfaces'; did you mean 'interfaces'?",
    "keep: soon": "1:1: keep: 'soon' is not a number of days; write 1 to 36500",
    "user: otmon\nlog: xml": "2:1: log: 'xml' is not a form of log; write text or json",
    "metrics: [1]": "1:1: metrics: ",
    "tap: [a]": "1:7: tap[0]: 'a' is no pair of interfaces; name two, as in eth1+eth2",
    "keep-bytes: lots": "1:1: keep-bytes: 'lots' is not a size; write 500MB or 2GiB",
    "- eth1": "1:1: not a mapping; write `interfaces: [eth1]`",
    "interfaces: []": "1:1: interfaces: an empty list; name something or leave the key out",
    "elastic: {url: 'ftp://x'}": "1:11: elastic.url: ftp://x: not the address of an Elasticsearch; write https://",
    "elastic:\n  url: https://x\n  records-per-s: 0": "3:3: elastic.records-per-s: ",
    "syslog:\n  url: siem": "2:3: syslog.url: that is not an address of a syslog collector; write udp://HOST, tcp://HOST",
    "syslog:\n  url: tcp://h\n  facility: local9": "3:3: syslog.facility: 'local9' is not known here",
    "syslog: {facility: user}": "1:1: syslog.url: missing; add it",
    "syslog: tcp://h": "1:1: syslog: 'tcp://h' is not a mapping",
    "webhook: {url: 'ftp://h/', secret-file: k}": "1:11: webhook.url: that is not an address of a webhook; write https://",
    "webhook: {url: 'https://h/'}": "1:1: webhook.secret-file: missing; add it",
    "webhook: {url: 'https://h/', secret: k}": "1:1: webhook.secret-file: missing; add it",
    "lines: {path: e, streams: [alerts]}": "1:28: lines.streams[0]: 'alerts' is not known here; did you mean 'alert'?",
    "lines: {path: e, streams: []}": "1:18: lines.streams: an empty list; name something or leave the key out",
    "lines: 7": "1:1: lines: '7' is not a mapping",
    "log: text\nlog: json": "2:1: log: duplicate key, first in line 1; keep one of the two",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_is_right(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    s.Settings(**load_config(tmp_path / "c"))
    VALID.validate(parse(text.encode(), "c").data)


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_what_is_wrong_has_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "c"
    path.write_text(text)
    with pytest.raises(PolicyError) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}:{says}")
    if "duplicate" not in says:
        with pytest.raises(jsonschema.ValidationError):
            VALID.validate(parse(text.encode(), "c").data)


BEYOND = {
    "elastic:\n  url: http://far.example": "2:3: elastic.url: http://far.example: plain http only reaches this machine",
    "elastic: {url: 'https://e', namespace: A-b}": "1:29: elastic.namespace: namespace 'A-b'",
    "elastic: {url: 'https://e', fingerprint: ab}": "1:29: elastic.fingerprint: ",
    "webhook:\n  url: http://far.example/x\n  secret-file: k": "2:3: webhook.url: http would show every record",
    "syslog: {url: 'tcp://h', ca: x}": "1:26: syslog.ca: without TLS nobody proves who they are; write tls://",
}
"""What a schema cannot say."""


@pytest.mark.parametrize(("text", "says"), BEYOND.items())
def test_what_only_otmon_knows_to_be_wrong_has_its_place_too(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(PolicyError) as error:
        load_config(tmp_path / "c")
    assert str(error.value).startswith(f"{tmp_path / 'c'}:{says}")


def test_files_are_meant_from_the_folder_of_the_file_but_lines_from_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "c").write_text(
        "syslog: {url: 'tls://s', ca: ca.pem, certificate: c.pem}\n"
        "webhook: {url: 'https://h/', secret-file: k}\nlines: e.jsonl\n"
    )
    said = s.Settings(**load_config(tmp_path / "c"))
    assert said.syslog == {"url": "tls://s", "ca": tmp_path / "ca.pem", "certificate": tmp_path / "c.pem"}
    assert said.webhook == {"url": "https://h/", "secret_file": tmp_path / "k"}
    assert said.lines == {"path": "e.jsonl"}


def test_the_command_line_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the file, which wins over the defaults."""
    ran: list[tuple[s.Settings, bool]] = []
    monkeypatch.setattr("otmon.cli.sensor.run", lambda settings, view: ran.append((settings, view)))
    (tmp_path / "c").write_text("interfaces: [lo]\nkeep: 30\nlog: json\npolicy: p.yaml\n")
    assert run(["watch", "--config", str(tmp_path / "c"), "--keep", "7", "--keep-bytes", "1GiB", "--view"]) == 0
    ((settings, view),) = ran
    assert settings == s.Settings(("lo",), policy=tmp_path / "p.yaml", log="json", keep=7, keep_bytes=1 << 30)
    assert view


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name an interface to watch or a --tap, here or in the file of --config"),
        (["nope0"], "nope0: no such network interface; there are: "),
        (["lo", "lo"], "an interface is named twice"),
        (["lo", "--metrics", "host:1"], "Invalid value for '--metrics': 'host:1' is not an address and a port"),
        (["lo", "--keep", "0"], "Invalid value for '--keep'"),
        (["lo", "--config", "/nonexistent"], "/nonexistent: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", *arguments]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
