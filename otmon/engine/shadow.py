"""What named points were last set to, kept in step with the messages that are handed up."""

from collections.abc import Iterator, Sequence

from otmon.engine.writes import SELECTING, writes
from otmon.model import Message, Op, OperationKey
from otmon.policy.effects import NOTHING, Effect, Effects, Image
from otmon.policy.judge import Policy
from otmon.policy.point_limits import concerns
from otmon.policy.verdict import Verdict
from otmon.policy.writes import Write
from otmon.wire import columns as c

Written = Sequence[tuple[Op, float]]


class Shadow:
    """The image of one run. What compiled code counts by itself is not in it: see `lost`."""

    def __init__(self) -> None:
        self._image = Image()
        self.effects = NOTHING
        """Of the message that was judged last."""

    def judged(
        self,
        policy: Policy,
        keys: Sequence[OperationKey],
        message: Message,
        written: Written,
        event: Sequence[int],
    ) -> Iterator[tuple[OperationKey, Verdict]]:
        """The verdict of each operation of a message, its values considered; the message is then remembered.

        If it is to be answered, `settle` says what became of it.
        """
        ts_ns, number = event[c.E_TS], event[c.E_N] if event[c.E_PENDING] >= 0 else None
        found = self._weigh(policy, keys, message, written)
        effects = self.effects
        if effects.points and message.function not in SELECTING:
            self._image.note(policy.tags, _where(keys[0]), found, effects, ts_ns, keys[0].client, number)
        for key in keys:
            yield key, policy.judge_values(key, written, ts_ns, effects)

    def lost(self, policy: Policy, keys: Sequence[OperationKey], message: Message, written: Written) -> Effects:
        """As much of a message that is told for others: what its points hold is not known from now on."""
        self._weigh(policy, keys, message, written)
        if self.effects.points:
            self._image.forget(policy.tags, _where(keys[0]), self.effects)
        return self.effects

    def read(self, policy: Policy, key: OperationKey, shown: Sequence[Write], ts_ns: int) -> None:
        """What a device says of its points."""
        self._image.read(policy.tags, _where(key), shown, ts_ns, key.server)

    def awaits(self, number: int) -> bool:
        """The outcome of this message decides what points hold."""
        return self._image.awaits(number)

    def settle(self, event: Sequence[int]) -> None:
        """What became of a message."""
        outcome = event[c.E_OUTCOME]
        self._image.settle(event[c.E_REQUEST], outcome == c.OUTCOME_REJECTED, outcome == c.OUTCOME_PARTIAL)

    def _weigh(
        self, policy: Policy, keys: Sequence[OperationKey], message: Message, written: Written
    ) -> Sequence[Write]:
        """What a message writes where points may be; what that makes of them is in `effects`."""
        found = writes(keys[0].protocol, message, written) if policy.tags and keys else ()
        self.effects = self._image.effects(policy.tags, _where(keys[0]), found) if found else NOTHING
        return found

    def told(self, policy: Policy, op: OperationKey, verdict: Verdict, ts_ns: int) -> dict[str, int | str]:
        """`change` of an alert: what the last message makes of points, first of the one that is not allowed."""
        if op.target is None:
            return {}
        found = [effect for effect in self.effects.points if concerns(op.target, effect)]
        if verdict.kind == "value":
            found.sort(key=lambda effect: _fits(policy, op, effect, ts_ns))
        if not found:
            return {}
        more = f" and {len(found) - 1} more point{'s' if len(found) > 2 else ''}" if len(found) > 1 else ""
        return {"change": found[0].text() + more}


def _where(key: OperationKey) -> tuple[str, str, str, "int | tuple[int, int] | None"]:
    return key.realm, key.server, key.protocol, key.unit


def _fits(policy: Policy, op: OperationKey, effect: Effect, ts_ns: int) -> bool:
    return policy.judge_values(op, (), ts_ns, Effects((effect,))).permit
