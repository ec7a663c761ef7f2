"""Zones, conduits and rows: load them from YAML, judge operations by them, learn them from traffic."""
