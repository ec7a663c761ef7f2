"""Objects whose length their header gives (prefix codes 4 to 6), each with its reader."""

from typing import Final

from otmon.protocols.dnp3.datasets import DATA_SETS
from otmon.protocols.dnp3.files import FILES
from otmon.protocols.dnp3.readers import Reader
from otmon.protocols.dnp3.security import SECURITY

SIZED_READERS: Final[dict[tuple[int, int], Reader]] = {**FILES, **DATA_SETS, **SECURITY}
