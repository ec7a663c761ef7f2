"""The exact slow path: what the compiled loop does not decide alone.

Out-of-order segments held until their hole is filled or given up, first bytes held until a stream is identified,
connections reopened on the same ports, IP fragments put together. Bytes go on through the same compiled functions.
"""
