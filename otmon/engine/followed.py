"""Points whose last value matters are followed where they are read: those requests and responses are handed up.

Asked for are all messages of shapes that are new, so that nothing hangs on where batches are cut; then those alone of
shapes that read such points. While a policy limits no step and no rate, nothing is asked for.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from otmon.engine.events import pdu_of
from otmon.engine.judge import Judge
from otmon.engine.writes import shown
from otmon.limits import MAX_POINT_REQUESTS
from otmon.model import Malformed, OperationKey
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c

if TYPE_CHECKING:
    from otmon.policy.judge import Policy


class Followed:
    """Reads of points with limits of step or rate."""

    def __init__(self, state: Any, judge: Judge, policy: "Policy | None") -> None:
        self._state, self._judge = state, judge
        self._rest = int(state.ctl[c.CTL_SAMPLE])
        """What is asked of all other shapes."""
        self._requests: OrderedDict[int, tuple[OperationKey, bytes]] = OrderedDict()
        self._policy: Policy | None = None
        self.adopt(policy)

    def adopt(self, policy: "Policy | None") -> None:
        """Follow what this policy limits. Every shape is about to be judged by it."""
        before, self._policy = self._policy, policy if policy is not None and policy.watched else None
        if before is None and self._policy is None:
            return
        asked = self._rest if self._policy is None else c.SAMPLE_ALWAYS
        self._state.ctl[c.CTL_SAMPLE] = asked
        self._state.shapes[: int(self._state.ctl[c.CTL_SHAPES]), c.S_SAMPLE] = asked

    def take(self, event: list[int]) -> None:
        """A message that was asked for, and was judged if it is a request."""
        policy, shape = self._policy, event[c.E_SHAPE]
        if policy is None:
            return
        asked = self._requests.pop(event[c.E_REQUEST], None)
        if asked is not None:
            self._read(policy, *asked, event)
            return
        if event[c.E_FLAGS] & c.EVF_JUDGE and not self._reads(policy, shape):
            self._state.shapes[shape, c.S_SAMPLE] = self._rest
        elif event[c.E_PENDING] >= 0:
            self._requests[event[c.E_N]] = self._judge.known(shape)[0][0], pdu_of(self._state, event)
            if len(self._requests) > MAX_POINT_REQUESTS:
                self._requests.popitem(last=False)

    def _reads(self, policy: "Policy", shape: int) -> bool:
        keys = (key for key, _ in self._judge.known(shape) if key.access == "read")
        return any(tag.name in policy.watched for key in keys for tag in policy.tags.touched(key))

    def _read(self, policy: "Policy", key: OperationKey, request: bytes, event: list[int]) -> None:
        protocol = PROTOCOLS[int(self._state.conns[event[c.E_CONN], c.C_PROTO])]
        try:
            message = protocol.decode(pdu_of(self._state, event), False, request)
        except Malformed:
            return
        found = shown(protocol, message)
        if found:
            self._judge.shadow.read(policy, key, found, event[c.E_TS])
