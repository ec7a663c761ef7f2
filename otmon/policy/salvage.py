"""What is left of a document without what its models refuse: so that all else that is wrong is found too, at once."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from otmon.policy.errors import Path, quoted

_ROUNDS: Final = 8
"""What was hidden by an error may be one itself."""
_NAMED: Final = ("zones", "assets", "roles", "realms")
_HOSTS: Final = ("hosts", "assets", "realm")
_M = TypeVar("_M", bound=BaseModel)


class Salvage:
    """The parts of a document that its model accepts. `model` is None if nothing can be made of it."""

    def __init__(self, data: dict[str, Any], model: type[_M], error: ValidationError) -> None:
        self._data = data
        self._gone: set[Path] = set()
        self.model: Any = None
        for _ in range(_ROUNDS):
            self._gone |= {self._path(self.original(tuple(detail["loc"]))) for detail in error.errors()} - {("otmon",)}
            if () in self._gone:
                return
            try:
                self.model = model.model_validate(self._left(data, ()), strict=False)
                return
            except ValidationError as further:
                error = further

    def original(self, at: Path) -> Path:
        """A path in what is left, as a path in the document."""
        out: Path = ()
        for part in at:
            if isinstance(part, int):
                for gone in sorted(path[-1] for path in self._gone if path[:-1] == out and isinstance(path[-1], int)):
                    part += gone <= part
            out = (*out, part)
        return out

    def reporter(self, report: Callable[[Path, str, str], None]) -> Callable[[Path, str, str], None]:
        """Passes on what is not the consequence of something being left out."""

        def tell(at: Path, wrong: str, right: str) -> None:
            at = self.original(at)
            real = self._path(at)
            hollow = any(path[: len(real)] == real for path in self._gone)
            if not hollow and not any(word in wrong for word in self._unsure()):
                report(at, wrong, right)

        return tell

    def _unsure(self) -> Iterator[str]:
        """What messages say of names of which something was left out; where all were, of any that is not known."""
        for path in self._gone:
            if path[0] in _NAMED and len(path) == 1:
                yield from ("unknown ", " is no zone", " neither an asset")
            elif path[0] in _NAMED and (len(path) == 2 or path[2] in _HOSTS or isinstance(path[2], int)):
                yield quoted(path[1])
            if path[0] == "timezone":
                yield "of which time zone?"
            if "realm" in path or path[0] == "realms":
                yield from (" in realm ", " different realms", "shares ")

    def _path(self, at: Path) -> Path:
        """The part of the document that an error is about: where a key is missing, the mapping that lacks it."""
        here: Any = self._data
        out: Path = ()
        for part in at:
            inside = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
            if inside:
                here = here[part]
                out = (*out, part)
            elif isinstance(part, str):
                break  # else: one thing stands for a list of it
        return out

    def _left(self, value: Any, at: Path) -> Any:
        if isinstance(value, dict):
            return {key: self._left(item, (*at, key)) for key, item in value.items() if (*at, key) not in self._gone}
        if isinstance(value, list):
            return [self._left(item, (*at, n)) for n, item in enumerate(value) if (*at, n) not in self._gone]
        return value
