"""The tables of docs/second-opinion.md: `python -m tests.docs.second_opinion` prints them."""

from otmon.opinion.table import NOT_COMPARED
from tests.oracles.why import WHY


def differences() -> list[str]:
    """Reasons for differences, one row each."""
    return [f"| {why.reason} | {why.right} | {why.section} |" for why in WHY.values()]


def not_compared() -> list[str]:
    """Fields without a row, by reason."""
    groups: dict[str, list[str]] = {}
    for field, reason in NOT_COMPARED.items():
        groups.setdefault(reason, []).append(f"`{field}`")
    return [f"| {reason} | {', '.join(fields)} |" for reason, fields in groups.items()]


if __name__ == "__main__":
    print("\n".join([*differences(), "", *not_compared()]))
