"""Check and show untrusted text.

Ids, names and notes come from services, topics, parameters, files and foreign bags, and end in
terminals, logs and file names. ``text_problem`` checks a text on input, ``visible`` escapes it on
output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Control characters, direction marks, line ends, lone surrogates.
_UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# A number that stands by itself, with its unit: not a part of a name, as of a type or a topic.
_FIGURE = re.compile(r"(?<![\w/.])\d+(?:\.\d+)?(?: (?:Hz|s|ms|MB)\b)?(?!\.?\w)")
_IN_NOTES = "\n\t"


@dataclass(frozen=True)
class TextLimit:
    """Limits of a text.

    Attributes:
        most: maximum number of characters.
        lines: whether line ends and tabs are allowed.
    """

    most: int
    lines: bool = False


_ID, _NAME, _SENTENCE, _NOTE = (
    TextLimit(64), TextLimit(128), TextLimit(2000), TextLimit(4000, lines=True),
)  # fmt: skip

# By field name in messages, services and the command line; documented in docs/interfaces.md.
TEXT_LIMITS = {
    "task": _ID,
    "robot": _ID,
    "cause": _ID,
    "name": _ID,  # of an annotation
    "operator_name": _NAME,
    "by": _NAME,
    "previous": TextLimit(256),
    "episode_id": TextLimit(255),  # for foreign bags the name of the directory
    "instruction": _SENTENCE,
    "note": _NOTE,
    "root": TextLimit(4000),
    "station": _NAME,
    "command": _ID,
    "key": _NAME,
    "shown": TextLimit(255),
}


def visible(text: str) -> str:
    """Escape control characters, direction marks, line ends and lone surrogates.

    The result is one line that cannot control a terminal or look like another line of a log.
    """
    return _HIDDEN.sub(lambda found: _escaped(found[0]), text)


def storable(text: str) -> str:
    """Return a text without NUL and lone surrogates, which databases and sockets refuse; each becomes ``?``."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def visible_lines(text: str) -> str:
    """Escape each line of a text whose line ends were made by this package."""
    return "\n".join(map(visible, text.split("\n")))


def _escaped(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def json_visible(text: str) -> str:
    """Escape the same characters in JSON, without changing its value; line ends are kept."""
    return _HIDDEN.sub(lambda c: c[0] if c[0] == "\n" else f"\\u{ord(c[0]):04x}", text)


def plural(count: int, word: str) -> str:
    """Return a count with its noun: ``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return names, of which there is at least one, as a sentence has them: ``a``, ``a and b``, ``a, b and c``."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def alike(reasons: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, list[str]]]:
    """Group what is wrong with several things alike, so that it can be said once for all.

    Args:
        reasons: for each thing its name, what its reason calls it, and the reason. Reasons are alike when they
            differ in that and in figures only.

    Returns:
        For each group, in order: the name of the first, its reason, and the names of the others, with their
        figures where these differ.
    """
    groups: dict[str, tuple[str, str, list[str]]] = {}
    of_first: dict[str, list[str]] = {}
    for name, called, reason in reasons:
        bare = reason.replace(called, "") if called else reason
        kind, figures = _FIGURE.sub("0", bare), _FIGURE.findall(bare)
        if kind in groups:
            same = figures == of_first[kind]
            groups[kind][2].append(name if same else f"{name} ({', '.join(figures)})")
        else:
            groups[kind], of_first[kind] = (name, reason, []), figures
    return list(groups.values())


def text_problem(field: str, text: str, called: str = "") -> str:
    """Return why a text is rejected; empty: it is valid.

    Args:
        field: a key of ``TEXT_LIMITS``.
        text: the text.
        called: its name in the sentence; empty: the field.
    """
    limit, called = TEXT_LIMITS[field], called or field
    if len(text) > limit.most:
        return (
            f"{called} has {len(text):,} characters, at most {limit.most:,} are allowed: shorten it"
        )
    allowed = _IN_NOTES if limit.lines else ""
    for found in _HIDDEN.finditer(text):
        if found[0] not in allowed:
            return f"{called} contains the character {_escaped(found[0])}, which is not allowed: remove it"
    return ""
