"""The compiled path: link layers, IP, TCP and UDP, exact tables, the loop. Numba over NumPy, or plain Python.

Everything is int64 words in arrays; hostile bytes end in a counted bucket.
"""
