"""Zones, conduits and rows: load them from YAML, judge operations by them, learn them from traffic.

The names below are imported when they are first asked for: whoever wants `Verdict` alone does not pay for pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otmon.policy.errors import PolicyError
    from otmon.policy.judge import Policy
    from otmon.policy.learn import learn as learn_policy
    from otmon.policy.lint import check
    from otmon.policy.load import load_policy
    from otmon.policy.verdict import Verdict

__all__ = ["Policy", "PolicyError", "Verdict", "check", "learn_policy", "load_policy"]

_HOME = {
    "Policy": ("judge", "Policy"),
    "PolicyError": ("errors", "PolicyError"),
    "Verdict": ("verdict", "Verdict"),
    "check": ("lint", "check"),
    "learn_policy": ("learn", "learn"),
    "load_policy": ("load", "load_policy"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(name)
    module, attribute = _HOME[name]
    return getattr(import_module(f"otmon.policy.{module}"), attribute)
