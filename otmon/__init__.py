"""otmon: a passive network security monitor for industrial (OT) networks.

What is on this network, what do they do to each other, what of that is not allowed, and what could not be seen.
"""

__version__ = "0.1.0"
