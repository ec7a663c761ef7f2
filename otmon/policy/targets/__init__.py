"""Policies as the configuration of other devices, one file a target: text, deterministic, a comment with each row."""

from collections.abc import Callable
from importlib import import_module
from typing import Final

from otmon.policy.flows import FlowRow
from otmon.policy.judge import Policy

TARGETS: Final = {"nftables": "nftables", "cisco-acl": "cisco", "suricata": "suricata", "zeek": "zeek"}
"""Name -> module here, with `write`."""


def writer(name: str) -> Callable[[Policy, list[FlowRow]], tuple[str, list[FlowRow]]]:
    """What gives the text for a target, and the rows with all that was lost."""
    found: Callable[[Policy, list[FlowRow]], tuple[str, list[FlowRow]]] = import_module(
        f"otmon.policy.targets.{TARGETS[name]}"
    ).write
    return found
