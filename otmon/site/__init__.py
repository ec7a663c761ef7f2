"""Everything between the engine's plain records and what people read: assets, graph, timing, who is who.

`part` merges what the engine yields, `assets` names devices with their evidence, `site` answers who an address is.
"""
