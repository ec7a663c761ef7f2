"""Findings as SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format), which code hosts and editors read."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import otmon
from otmon.policy.findings import RULES, Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(found: Iterable[tuple[str, Finding]]) -> dict[str, Any]:
    """One run: what was found, and in which file. Every rule is described, whether it found something or not."""
    order = {name: number for number, name in enumerate(RULES)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "otmon policy check",
                        "version": otmon.__version__,
                        "rules": [
                            {
                                "id": rule.id,
                                "shortDescription": {"text": rule.means},
                                "help": {"text": rule.do},
                                "defaultConfiguration": {"level": rule.level},
                            }
                            for rule in RULES.values()
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": finding.rule,
                        "ruleIndex": order[finding.rule],
                        "level": finding.level,
                        "message": {"text": f"{finding.says} {RULES[finding.rule].do}"},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": _uri(path)},
                                    "region": {"startLine": finding.line, "startColumn": finding.column},
                                }
                            }
                        ],
                    }
                    for path, finding in found
                ],
            }
        ],
    }


def _uri(path: str) -> str:
    """A relative path stays one, so that it names the file in a checkout."""
    file = PurePath(path)
    return file.as_uri() if file.is_absolute() else quote(file.as_posix())
