"""What rviz can draw of a text: one line of printable ASCII, not too long.

rviz draws a text byte by byte with a font of the code points 33 to 126; for any other byte but a blank it
leaves a gap of more than two letters.
"""

from __future__ import annotations

import textwrap
import unicodedata

LONGEST = 48  # letters; 0.65 m of the overlay's lines
# The width of a blank is a marker's scale.x, in the unit of its scale.z; without it, rviz takes the
# width that a blank has in letters of 1 m. This is the font's.
BLANK = 0.5
_CUT = " ..."
_PLAIN = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
        "đ": "d", "Đ": "D", "ı": "i", "‐": "-", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'",
        "“": '"', "”": '"', "„": '"', "×": "x", "·": ".", "°": "deg", "µ": "u", "μ": "u", "→": "->", "±": "+-",
    }
)  # fmt: skip


def plain(text: str) -> str:
    """Return a text without accents; other letters than those of ASCII become ``?``."""
    letters = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(_letter(c) for c in letters if not unicodedata.combining(c)).strip()


def _letter(letter: str) -> str:
    if letter.isspace() or not letter.isprintable():
        return " "
    return letter if letter.isascii() else "?"


def lines_of(text: str, most: int) -> list[str]:
    """Return a text as so many lines at most, each short enough; none if there is nothing to draw.

    Args:
        text: any.
        most: number of lines; what does not fit is left out, and ``...`` tells so.
    """
    lines = textwrap.wrap(plain(text), LONGEST)
    if len(lines) > most:
        lines[most - 1 :] = [lines[most - 1][: LONGEST - len(_CUT)] + _CUT]
    return lines


def drawable(text: str) -> str:
    """Return what is drawn of a text in one line; ``-``: nothing, which rviz must not be given."""
    return next(iter(lines_of(text, 1)), "-")
