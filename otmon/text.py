"""The only bytes -> str: hostile text is made safe once, when it is decoded."""

import unicodedata

from otmon.limits import MAX_TEXT_CHARS

_KEPT = ("L", "N", "P", "S")


def _safe_char(char: str) -> str:
    if char == " ":
        return char
    # Combining marks are kept out: a thousand of them on one letter leave its line on a terminal.
    if unicodedata.category(char)[0] in _KEPT and not "\ud800" <= char <= "\udfff":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe_text(raw: bytes | str, limit: int = MAX_TEXT_CHARS) -> str:
    r"""Text that is safe to show and store: letters, digits, punctuation, symbols and spaces.

    Everything else (control characters, bidirectional marks, surrogates, bytes that are not UTF-8) becomes `\xNN` or
    `\uNNNN`; more than `limit` characters end in an ellipsis. HTML, CSV and markup are still escaped by whoever writes
    them.
    """
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    # One character can become ten: cut first, so that a megabyte of NULs costs nothing.
    out = "".join(map(_safe_char, text[: limit + 1]))
    return out if len(out) <= limit else out[: limit - 1] + "…"
