"""Composes the stages: batches through the compiled loop, what it hands up to Python, accounts and records at the end.

`analyze` runs it over captures, in one process or several; `warm` compiles the loop into its cache.
"""

from otmon.engine import cache
from otmon.engine.analyze import Result, analyze, warm

__all__ = ["Result", "analyze", "cache", "warm"]
