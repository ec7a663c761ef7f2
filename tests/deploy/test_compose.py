"""deploy/compose.yaml is what Compose's schema allows, and names nothing that is not there.

compose-spec.json is the schema of github.com/compose-spec/compose-go v2.4.7 (Apache-2.0).
"""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from otmon.cli import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
SERVICES = COMPOSE["services"]
REGISTRIES = ("docker.elastic.co/", "grafana/", "prom/")


def settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


EXAMPLE = settings((DEPLOY / ".env.example").read_text())


def errors(document: dict[str, Any]) -> list[str]:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    return [error.message for error in Draft7Validator(schema).iter_errors(document)]


def test_the_schema_allows_it() -> None:
    assert errors(COMPOSE) == []
    assert errors({"services": {"x": {"image": 1}}})
    assert errors({"services": {"x": {"imagine": "x"}}})


def test_every_variable_is_in_the_example_and_used() -> None:
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) == set(EXAMPLE)


def test_volumes_and_dependencies_are_there() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            place = volume.split(":")[0]
            if place.startswith(".."):
                assert (DEPLOY / place).exists(), volume
            elif not place.startswith("."):
                assert place in COMPOSE["volumes"], volume


def test_images_are_public_and_everything_listens_on_loopback() -> None:
    for name, service in SERVICES.items():
        assert service["image"] == "otmon" or service["image"].startswith(REGISTRIES), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "privileged" not in service
    assert SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_the_sensor_is_called_as_the_command_line_is() -> None:
    command = SERVICES["sensor"]["command"]
    watch = cli.commands[command[0]]
    known = {name for option in watch.params for name in option.opts}
    assert {part for part in command if part.startswith("--")} <= known
    assert SERVICES["sensor"]["network_mode"] == "host"
    assert SERVICES["sensor"]["cap_drop"] == ["ALL"]


def test_grafana_is_told_all_that_provisioning_asks_for() -> None:
    text = (ROOT / "grafana/provisioning/datasources/otmon.yaml").read_text()
    told = SERVICES["grafana"]["environment"]
    asked = set(re.findall(r": \$([A-Z]\w+)", text))
    assert asked
    assert asked <= set(told)
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    provider = YAML(typ="safe").load(ROOT / "grafana/provisioning/dashboards/otmon.yaml")["providers"][0]
    assert provider["options"]["path"] in mounted
    assert set(re.findall(r"\$__file\{(.+)/ca\.pem\}", text)) <= mounted


def test_passwords_are_made_once_and_differ(tmp_path: Path) -> None:
    for name in (".env.example", "make-env"):
        shutil.copy(DEPLOY / name, tmp_path)
    assert subprocess.run([tmp_path / "make-env"], check=False, capture_output=True).returncode == 0
    made = tmp_path / ".env"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    found = settings(made.read_text())
    assert set(found) == set(EXAMPLE)
    secrets = {found[name] for name, value in EXAMPLE.items() if value == "generated"}
    assert len(secrets) == 5
    assert all(re.fullmatch(r"[0-9a-f]{48}", one) for one in secrets)
    before = made.read_bytes()
    assert subprocess.run([tmp_path / "make-env"], check=False, capture_output=True).returncode == 1
    assert made.read_bytes() == before


@pytest.mark.parametrize("name", ["certificates", "users", "otmon-setup"])
def test_scripts_are_shell(name: str) -> None:
    service = SERVICES[name]
    script = service["command"][0].replace("$$", "$")
    shell = service["entrypoint"][0]
    assert subprocess.run([shell, "-n", "-c", script], check=False, capture_output=True).stderr == b""


def test_the_dockerfile_copies_what_is_let_through() -> None:
    copied = {
        name
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for name in line.split()[1:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert all((ROOT / name).exists() for name in copied)
