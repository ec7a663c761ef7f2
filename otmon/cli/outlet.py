"""What a sensor delivers, and to whom: the sinks of its settings, and the courier that serves them."""

from typing import TYPE_CHECKING

from otmon.cli.deliver import sensor_name
from otmon.cli.ways import ways

if TYPE_CHECKING:
    from otmon.delivery.courier import Courier
    from otmon.sensor.settings import Settings
    from otmon.sensor.watch import Sensor


class Outlet:
    """Nothing at all where nobody is to be told. Raises Stop for settings that cannot be."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._ways = ways(settings)
        self._sinks = [way.sink for way in self._ways]
        self._courier: Courier | None = None
        for sink in self._sinks:
            sink.rehearse()

    @property
    def streams(self) -> frozenset[str]:
        """What is spooled."""
        return frozenset().union(*(sink.streams for sink in self._sinks))

    def begin(self) -> None:
        """Begin the process that delivers, which waits for `go`. Before rings are opened and threads started."""
        if not self._sinks:
            return
        from otmon.cli.sensor import give_up
        from otmon.delivery.courier import Courier

        settings = self._settings
        rates = {way.sink.name: way.records_per_s for way in self._ways}
        reads = [path for way in self._ways for path in way.reads]
        ports = [port for way in self._ways for port in way.ports]
        self._courier = Courier(settings.data / "site.db", lambda: self._sinks, sensor_name(), rates)
        self._courier.begin(lambda: give_up(settings.user, settings.data, reads, ports))

    def go(self, sensor: "Sensor") -> None:
        """The database is there: deliver, and look after the spool."""
        if self._courier is None:
            return
        from otmon.sensor.dispatch import Dispatch

        sensor.deliver(Dispatch(sensor.store, self._sinks, self._courier.alive))
        self._courier.go()

    def end(self, sensor: "Sensor") -> None:
        """The sensor has written all it will: a few seconds for what is left."""
        if self._courier is not None and sensor.dispatch is not None:
            self._courier.end()
            sensor.dispatch.look(sensor.now_ns())

    def close(self) -> None:
        """Whatever happened."""
        if self._courier is not None:
            self._courier.end(0.0)
