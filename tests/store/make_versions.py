"""Writes versions/schema-N.db with the otmon at hand: run once, just before a schema is raised, and keep the file.

python -m tests.store.make_versions
"""

from pathlib import Path

from otmon.alerts.episodes import Episode
from otmon.site.part import Part, merge
from otmon.site.site import Site
from otmon.store.database import write_database
from otmon.store.schema import SCHEMA
from tests.alerts.stub import episode, operation
from tests.site.plant import Names, op, plant

FOLDER = Path(__file__).parent / "versions"
EVERY_SHAPE = Part(
    operations=[
        op("10.0.2.60", "10.0.1.21", "read", "read", "dnp3", (0, 65_519), None, None, None, verdict="deny"),
        op(
            "10.0.2.60",
            "10.0.1.22",
            unit=None,
            port=None,
            code=None,
            verdict="permit",
            row="a-row",
            unseen=2,
            pending=1,
        ),
    ]
)


def site() -> Site:
    """What every kept database holds."""
    return Site(merge([plant(("S7-1500",)), EVERY_SHAPE]), Names())


def episodes() -> list[Episode]:
    """The alerts of every kept database."""
    return [episode(operation()), episode(operation(client="10.0.9.9"))]


def write(folder: Path) -> Path:
    """The database of the present schema."""
    path = folder / f"schema-{SCHEMA}.db"
    path.unlink(missing_ok=True)
    whole = site()
    write_database(path, whole, [one.as_record(whole) for one in episodes()])
    return path


if __name__ == "__main__":
    print(write(FOLDER))
