"""The dashboards, one file each (protocols share theirs), in the order of their links."""

from typing import Final

from otmon.outputs.kibana.dashboards.assets import ASSET_INVENTORY
from otmon.outputs.kibana.dashboards.conduits import CONDUITS
from otmon.outputs.kibana.dashboards.operations import OPERATIONS_PAGE
from otmon.outputs.kibana.dashboards.overview import OVERVIEW
from otmon.outputs.kibana.dashboards.protocols import PROTOCOL_PAGES
from otmon.outputs.kibana.dashboards.sensors import SENSORS
from otmon.outputs.kibana.dashboards.triage import TRIAGE
from otmon.outputs.kibana.dashboards.visibility import VISIBILITY

DASHBOARDS: Final = (
    OVERVIEW,
    TRIAGE,
    ASSET_INVENTORY,
    CONDUITS,
    OPERATIONS_PAGE,
    *PROTOCOL_PAGES,
    VISIBILITY,
    SENSORS,
)
