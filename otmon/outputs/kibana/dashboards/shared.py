"""What several dashboards have: links, lists to choose from, and the table of alerts."""

from typing import Final

from otmon.outputs.kibana.panels import (
    GRID_COLUMNS,
    Control,
    Metric,
    Row,
    Table,
    Terms,
    Text,
    highest,
    latest,
)

PAGES: Final = {
    "overview": "Overview",
    "triage": "Alert triage",
    "assets": "Asset inventory",
    "conduits": "Conduits",
    "operations": "Operations",
    "modbus": "Modbus",
    "dnp3": "DNP3",
    "s7comm": "S7",
    "visibility": "Visibility",
    "sensors": "Sensor health",
}
"""By name: what the links to them say."""
NOT_NAMED: Final = "(not in the policy)"
NO_ZONE: Final = "(no zone)"
DENIED: Final = "otmon.policy.verdict:deny"
CHANGING: Final = "otmon.operation.access:(write OR control OR program)"
"""What can change the process or a device."""
URGENT: Final = "otmon.alert.severity:(critical OR high)"
BLIND: Final = "otmon.alert.kind:(visibility OR protocol)"
"""Alerts about what could not be seen or understood; the policy judges all others."""
JUDGED: Final = f"NOT {BLIND}"

BY_SEVERITY: Final = Terms("otmon.alert.severity", "severity", 5)
BY_VERDICT: Final = Terms("otmon.policy.verdict", "the policy says", 3, none="no policy")


def intro(name: str, text: str, height: int = 5) -> Row:
    """What the page is for and what its words mean, and the way to the others."""
    links = " · ".join(
        f"**{title}**" if page == name else f"[{title}](#/view/otmon-{page})" for page, title in PAGES.items()
    )
    return Row(height, (Text(GRID_COLUMNS, f"About this page: {PAGES[name]}", f"{text.strip()}\n\n{links}\n"),))


def controls(stream: str, *more: tuple[str, str]) -> tuple[Control, ...]:
    """Lists to choose from: site and sensor on every page, then what is the page's own."""
    every = (("otmon.site", "Site"), ("observer.name", "Sensor"))
    return tuple(Control(stream, field, title) for field, title in (*every, *more))


def alerts(width: int, title: str, query: str, *more: Metric, size: int = 50) -> Table:
    """Alerts, the worst first, each as its newest document has it."""
    columns = (
        highest("event.severity", "score"),
        latest("otmon.alert.severity", "severity"),
        latest("message", "what happened"),
        *more,
        highest("otmon.alert.count", "times"),
        latest("@timestamp", "last time"),
    )
    return Table(width, title, "alert", (Terms("otmon.alert.id", "alert", size),), columns, query)


def who(side: str, size: int = 20) -> Terms:
    """The client (`source`) or the server (`destination`) by address."""
    return Terms(f"{side}.address", "client" if side == "source" else "server", size)
