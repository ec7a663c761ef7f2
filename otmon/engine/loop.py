"""The loop over the protocols that otmon knows."""

from otmon.protocols import PROTOCOLS
from otmon.wire.loop import make_loop

LOOP = make_loop(PROTOCOLS)
