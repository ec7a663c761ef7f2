"""The site: what the engine saw, as devices with names, zones and roles. One object between engine and outputs."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from otmon.model import OperationRecord
from otmon.site.assets import Asset, Places, build_assets, by_place
from otmon.site.evidence import Place
from otmon.site.not_judged import NotJudged, not_judged
from otmon.site.part import Part, Records

if TYPE_CHECKING:
    from otmon.site.graph import Graph


class Site:
    """A merged part seen through a policy's names (or without any). Read-only."""

    def __init__(self, part: Part, policy: Places | None = None, name: str = "default") -> None:
        self.part = part
        self.policy = policy
        self._who: dict[Place, dict[str, Any]] = {}
        self.name: str = policy.site if policy is not None else name
        self.assets, self.assets_left_out, spoken = build_assets(part, self.name, policy)
        self.spoken = frozenset(spoken)
        """(realm, address) of all that takes part in an operation."""

    @property
    def operations(self) -> Records[OperationRecord]:
        """In the order of their keys."""
        return self.part.operations

    @cached_property
    def graph(self) -> "Graph":
        """Who does what to whom, for tables and exports."""
        from otmon.site.graph import build_graph

        return build_graph(self)

    @cached_property
    def not_judged(self) -> NotJudged | None:
        """What the policy says nothing of; None without one."""
        return None if self.policy is None else not_judged(self.policy, self.operations)

    @cached_property
    def asset_of(self) -> dict[Place, Asset]:
        """(realm, address or MAC) -> the device there; devices behind a gateway are found through their gateway."""
        return by_place(self.assets)

    def who(self, realm: str, address: str) -> dict[str, Any]:
        """Who an address is: `{"realm", "address", "asset": id, "name", "zone", "roles"}`; works for any address.

        An address that never sent anything has no asset, but may still have a zone, a name and declared roles.
        """
        known = self._who.get((realm, address))
        if known is None:
            known = self._who[realm, address] = self._look_up(realm, address)
        return known

    def _look_up(self, realm: str, address: str) -> dict[str, Any]:
        asset = self.asset_of.get((realm, address))
        zone = name = None
        roles = asset.roles if asset is not None else []
        if self.policy is not None:
            zone, name = self.policy.zone_of(realm, address), self.policy.asset_name(realm, address)
            roles = roles if asset is not None else sorted(self.policy.roles_of(realm, address))
        return {
            "address": address,
            "asset": asset.id if asset is not None else None,
            "name": name if name is not None or asset is None else asset.name,
            "realm": realm,
            "roles": list(roles),
            "zone": zone,
        }
