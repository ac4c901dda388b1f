"""Text that others wrote: what of it is taken, and how it is shown.

Ids, names and notes come from services, topics, parameters, files and foreign bags, and end in
terminals, logs and file names. Doors ask ``text_problem`` before they take a text; exits show it by
``visible``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Control characters; what sets the direction of writing, or ends a line; halves of characters.
_UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_IN_NOTES = "\n\t"


@dataclass(frozen=True)
class TextLimit:
    """What a text may be.

    Attributes:
        most: characters.
        lines: it may have several lines, and tabs.
    """

    most: int
    lines: bool = False


_ID, _NAME, _SENTENCE, _NOTE = (
    TextLimit(64), TextLimit(128), TextLimit(2000), TextLimit(4000, lines=True),
)  # fmt: skip

# By field name, as messages, services and the command line call it; docs/interfaces.md says it, too.
TEXT_LIMITS = {
    "task": _ID,
    "robot": _ID,
    "cause": _ID,
    "name": _ID,  # of an annotation
    "operator_name": _NAME,
    "by": _NAME,
    "previous": TextLimit(256),
    "episode_id": TextLimit(255),  # of foreign bags it is the directory's name
    "instruction": _SENTENCE,
    "note": _NOTE,
    "root": TextLimit(4000),
}


def visible(text: str) -> str:
    """The text with control and direction characters, line ends and lone surrogates as escapes.

    What is shown stays on its line, and cannot steer a terminal or look like another line of a log.
    """
    return _HIDDEN.sub(lambda found: _escaped(found[0]), text)


def visible_lines(text: str) -> str:
    """``visible`` for a text whose line ends are this package's own."""
    return "\n".join(map(visible, text.split("\n")))


def _escaped(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def json_visible(text: str) -> str:
    """JSON with the same characters as JSON escapes, so that it says the same; line ends stay."""
    return _HIDDEN.sub(lambda c: c[0] if c[0] == "\n" else f"\\u{ord(c[0]):04x}", text)


def plural(count: int, word: str) -> str:
    """Return a count with its noun: ``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def text_problem(field: str, text: str, called: str = "") -> str:
    """Why a text is not taken, as a sentence; empty: it is.

    Args:
        field: a key of ``TEXT_LIMITS``.
        called: what whoever gave it calls it; empty: as the field.
    """
    limit, called = TEXT_LIMITS[field], called or field
    if len(text) > limit.most:
        return (
            f"{called} has {len(text):,} characters, at most {limit.most:,} are allowed; shorten it"
        )
    allowed = _IN_NOTES if limit.lines else ""
    for found in _HIDDEN.finditer(text):
        if found[0] not in allowed:
            return f"{called} contains the character {_escaped(found[0])}, which is not text; remove it"
    return ""
