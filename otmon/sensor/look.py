"""A sensor's figures, now: read from its own objects, at little cost and without changing them."""

from contextlib import suppress

from otmon.outputs.figures import Delivery, Figures, Interface, Spooled
from otmon.sensor.source import Source, read
from otmon.sensor.watch import Sensor


def look(sensor: Sensor) -> Figures:
    """For metrics and the view."""
    totals = sensor.totals
    frames, ot_bytes, pdus = totals.now(sensor.front.counted())
    # What is in no bucket yet waits for the rest of its message.
    ot_bytes.pop("pending", None)
    seen = ot_bytes.pop("seen", 0)
    now_s, dispatch = sensor.steady_s(), sensor.dispatch
    return Figures(
        monotonic_s=now_s,
        interfaces=[_interface(source) for source in sensor.sources],
        frames=frames,
        ot_bytes=ot_bytes,
        ot_bytes_pending=max(0, seen - sum(ot_bytes.values())),
        pdus=pdus,
        visibility=totals.visibility,
        shed=totals.shed + frames.get("shed", 0),
        stored=totals.stored,
        assets=len(sensor.site.assets),
        episodes=len(sensor.episodes.all),
        alerts=dict(sensor.told.counts),
        checkpoints=totals.checkpoints,
        bytes_written=totals.bytes_written,
        checkpoint_age_s=max(0.0, now_s - totals.checkpoint_s),
        database_bytes=_size(sensor),
        synchronised=sensor.clock.state.synchronised,
        clock_offset_ns=sensor.clock.state.offset_ns,
        clock_steps=sensor.clock.steps,
        policy=sensor.policy is not None,
        delivery=[] if dispatch is None else [Delivery(**{n: s[n] for n in Delivery._fields}) for s in dispatch.sinks],
        spool=[] if dispatch is None else [Spooled(**{n: s[n] for n in Spooled._fields}) for s in dispatch.streams],
    )


def _interface(source: Source) -> Interface:
    return Interface(*read(source), source.info.bytes)


def _size(sensor: Sensor) -> int:
    size, path = 0, sensor.store.path
    for one in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            size += one.stat().st_size
    return size
