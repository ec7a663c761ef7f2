"""What a job tells is read with care: it reads hostile bytes, and one that was taken over must not take the sensor too.

Python's pickle lets its writer call whatever its reader can import. Here it makes only the records that jobs send.
"""

import io
import pickle
from multiprocessing.connection import Connection
from typing import Any, Final

from otmon import model
from otmon.alerts.episodes import Episode, EpisodeKey, Ports, _Room
from otmon.engine.glance import Counted
from otmon.limits import MAX_TOLD_BYTES
from otmon.policy.verdict import Verdict
from otmon.sensor.job import Harvested, Pulse, Raised
from otmon.sensor.sample import Sample
from otmon.site.part import Part
from otmon.text import safe_text

_RECORDS: Final[tuple[type, ...]] = (
    *(Harvested, Pulse, Raised),
    *(Part, Sample, Counted),
    *(Episode, EpisodeKey, Ports, _Room, Verdict),
    *(model.OperationRecord, model.OperationKey, model.Counts, model.Op, model.Target, model.PointRecord),
    *(model.ConnectionRecord, model.HostRecord, model.Binding, model.Fact),
    *(model.Block, model.BlockRecord, model.Habit, model.Sighting, model.PermitWrite),
)
_CLASSES: Final = {(kind.__module__, kind.__qualname__): kind for kind in _RECORDS}


class Nonsense(Exception):
    """No job says that."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _CLASSES:
            raise pickle.UnpicklingError(f"{module}.{name} is nothing that a job tells")
        return _CLASSES[module, name]


def hear(pipe: Connection) -> Any:
    """The next message of a job. Raises EOFError or OSError if it is gone; Nonsense."""
    raw = pipe.recv_bytes(MAX_TOLD_BYTES)
    try:
        return _Reader(io.BytesIO(raw)).load()
    except Exception as error:  # bytes of a stranger may make a constructor raise anything
        raise Nonsense(safe_text(str(error))) from error
