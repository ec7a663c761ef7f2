"""One line of text, word by word: operations (optext.py) and questions about them (pattern.py) are read alike."""

import re
from typing import Final

from otmon.policy.errors import quoted
from otmon.policy.functions import REGISTERED_PORTS
from otmon.policy.models import PLAIN_PROTOCOLS

PROTOCOLS: Final = (*REGISTERED_PORTS, *PLAIN_PROTOCOLS)
MAX_CHARS: Final = 1000


class TextError(ValueError):
    """The text is no operation: `column` from 1, what is `wrong` there, and what would be `right`."""

    def __init__(self, column: int, wrong: str, right: str) -> None:
        super().__init__(f"{column}: {wrong}; {right}" if right else f"{column}: {wrong}")
        self.column, self.wrong, self.right = column, wrong, right


class Words:
    """A text and a place in it. `word` finds its words, `form` is how such a text is written."""

    def __init__(self, text: str, word: re.Pattern[str], form: str) -> None:
        """Raises TextError if the text is too long."""
        self._form = form
        if len(text) > MAX_CHARS:
            raise TextError(1, f"longer than {MAX_CHARS} characters", form)
        self._words = [(match.start() + 1, match[0]) for match in word.finditer(text)]
        self._at, self._end = 0, len(text) + 1

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._words[at][1] if at < len(self._words) else ""

    def _take(self, word: str) -> bool:
        found = self._peek() == word
        self._at += found
        return found

    def _next(self, what: str) -> str:
        word = self._peek()
        if not word:
            raise self._wrong(f"{what} is missing", self._form)
        self._at += 1
        return word

    def _ended(self) -> None:
        """Raises TextError if a word is left."""
        if self._peek():
            raise self._wrong(f"{quoted(self._peek())} is too much", self._form)

    def _wrong(self, wrong: str, right: str = "", before: bool = False) -> TextError:
        at = self._at - before
        return TextError(self._words[at][0] if at < len(self._words) else self._end, wrong, right)
