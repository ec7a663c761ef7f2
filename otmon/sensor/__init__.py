"""The live sensor: capture rings in; site database, alerts and health out, for years.

Composes the engine with the store and the outputs, which do not know each other. One thread: what is ready is read,
judged and committed, then what is due is done. Nothing here looks inside a frame.
"""
