"""`python -m tests.hostile.table > docs/evasion.md`: runs every case and writes what was reported."""

import sys

from tests.hostile import cases_dnp3, cases_link, cases_modbus, cases_s7, cases_tcp
from tests.hostile.evasion import Case, reports

CHAPTERS: dict[str, list[Case]] = {
    "Link and IP": cases_link.CASES,
    "TCP": cases_tcp.CASES,
    "Modbus": cases_modbus.CASES,
    "DNP3": cases_dnp3.CASES,
    "S7": cases_s7.CASES,
}
CASES = [case for cases in CHAPTERS.values() for case in cases]
HEAD = """# Traffic that tries to hide

What an attacker can do to a stream so that a monitor sees something else than the device, and what otmon reports of
each. This page is written by a test run (`python -m tests.hostile.table > docs/evasion.md`), and a test fails where it
is not what the run says. Every case runs through the whole engine with a policy under which nothing is permitted, so
what was understood is an alert. Of each case it is also checked that the accounts add up, that nothing is `internal`,
and that a forbidden write on another connection behind it is reported.

*Alerts* are those of the case with their kind and severity; `×` counts what one alert stands for. *Frames* and *bytes*
are by bucket ([engine.md](engine.md)). Tests are in `tests/hostile/`: each row is `test_evasion.py::test_case[id]`;
what is named beside it tries the same in more ways. Limits are in [threat-model.md](threat-model.md).
"""


COLUMNS = ("| id | what is sent | expected | otmon reports | also |", "|---|---|---|---|---|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page() -> str:
    """The whole page, with its last newline."""
    lines = [HEAD]
    for chapter, cases in CHAPTERS.items():
        lines += [f"## {chapter}", "", *COLUMNS]
        for case in cases:
            also = f"`{case.more}`" if case.more else ""
            expected = f"{case.expected} (not yet: {case.owed})" if case.owed else case.expected
            cells = (case.id, case.attack, expected, reports(case), also)
            lines.append("| " + " | ".join(map(_cell, cells)) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
