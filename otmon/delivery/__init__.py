"""From the spool to the sinks: at least once, in order of worth, in a process of its own.

Reads the site database and never writes to it; what was delivered lies in `delivery.db` beside it. `shipper` moves
one sink on by a batch, `courier` runs all of them beside a sensor, `report` says how it stands.
"""
