"""`otmon watch --tap`: what it refuses."""

import pytest

from otmon.cli import run
from otmon.cli.common import Stop
from otmon.cli.sensor import _one_realm
from otmon.policy.zones import Realms


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name an interface to watch or a --tap"),
        (["--tap", "lo"], "name two, as in eth1+eth2"),
        (["--tap", "lo+"], "name two, as in eth1+eth2"),
        (["--tap", "a+b+c"], "name two, as in eth1+eth2"),
        (["--tap", "lo+lo"], "named twice"),
        (["lo", "--tap", "lo+eth9"], "named twice"),
        (["--tap", "lo+no-such-if"], "no such network interface"),
    ],
)
def test_a_tap_is_two_interfaces(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", *words]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert len(err.splitlines()) == 1


class Policy:
    def __init__(self, interfaces: dict[str, str]) -> None:
        self.realms = Realms(("default", "cell"), {}, interfaces, {})


def test_a_tap_is_one_realm() -> None:
    _one_realm([("a", "b")], None)
    _one_realm([("a", "b")], Policy({"a": "cell", "b": "cell"}))
    with pytest.raises(Stop, match="different realms"):
        _one_realm([("a", "b")], Policy({"a": "cell"}))
