"""One module or folder a protocol: frame, unwrap, key (compiled), operations, decode (Python), tables.

Adding a protocol is one file and one name in PROTOCOLS.
"""
