"""What is said of hosts, units and ports that were asked about and never seen."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otmon.store.presence import Unknown

_HOSTS = ("client", "server", "host")


def called(one: "Unknown") -> str:
    """`10.0.1.99`, `unit 7`."""
    from otmon.text import safe_text

    return safe_text(one.asked if one.what in _HOSTS else f"{one.what} {one.asked}")


def unknown_line(one: "Unknown") -> str:
    """When it was seen, what that may mean, and what there is instead."""
    from otmon.outputs.tables import moment
    from otmon.text import safe_text

    name = f"{one.what} {called(one)}" if one.what in _HOSTS else called(one)
    if one.first_ts_ns is not None and one.last_ts_ns is not None:
        line = f"{name} was not seen within this time, but from {moment(one.first_ts_ns)} to {moment(one.last_ts_ns)}"
        return f"{line}: it was not there then, or the monitor did not see it"
    line = f"{name} was never seen"
    if one.what in _HOSTS:
        line += ": it is not on this network, or the monitor does not see it"
    near = ", ".join(map(safe_text, one.near))
    if not near:
        return line
    return f"{line}; seen {'and written like it' if one.what in _HOSTS else 'there'}: {near}"
