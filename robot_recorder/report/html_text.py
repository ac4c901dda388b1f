"""Pieces of HTML that can not be broken by what is put into them: a bag's texts may say anything."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timezone
from html import escape

from robot_recorder.model.streams import NS_PER_S

# Controls, lone surrogates, and what turns the direction of a text around.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
UNKNOWN = "unknown"
NONE = "–"


class Html(str):
    """Text that is HTML already. Every other text is escaped on its way into a page."""


def html(content: object) -> Html:
    """Anything as HTML: lists piece by piece, None as nothing, texts escaped."""
    if isinstance(content, Html):
        return content
    if content is None:
        return Html("")
    if isinstance(content, (list, tuple)):
        return Html("".join(html(piece) for piece in content))
    return Html(escape(_UNPRINTABLE.sub("\ufffd", str(content))))


def element(name: str, *content: object, **attributes: object) -> Html:
    """An HTML element.

    Args:
        attributes: ``class_`` is ``class``, other ``_`` are ``-``; None and False leave one out.
    """
    head = name
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        head += f" {key.rstrip('_').replace('_', '-')}"
        head += "" if value is True else f'="{html(value)}"'
    if name in ("img", "br"):
        return Html(f"<{head}>")
    return Html(f"<{head}>{html(content)}</{name}>")


def prose(text: str) -> Html:
    """A sentence whose `commands` stand between back quotes."""
    parts = text.split("`")
    return html([element("code", part) if at % 2 else part for at, part in enumerate(parts)])


def table(
    headings: Sequence[object],
    rows: Iterable[Sequence[object]],
    numbers: Collection[int] = (),
    classes: Sequence[str] = (),
) -> Html:
    """A table that scrolls by itself where it is too wide.

    Args:
        numbers: columns that are set flush right.
        classes: of the rows, where they have one.
    """

    def cells(kind: str, row: Sequence[object]) -> list[Html]:
        return [
            element(kind, cell, class_="number" if column in numbers else None)
            for column, cell in enumerate(row)
        ]

    body = [
        element("tr", cells("td", row), class_=(classes[at] or None) if classes else None)
        for at, row in enumerate(rows)
    ]
    head = element("thead", element("tr", cells("th", headings)))
    return element("div", element("table", head, element("tbody", body)), class_="scroll")


def folded(summary: object, *content: object, opened: bool = False) -> Html:
    """Content that is opened with a click."""
    return element("details", element("summary", summary), content, open=opened)


def number(value: float | None, form: str = ".4g", unit: str = "") -> str:
    """A figure with its unit; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:{form}}{' ' if unit else ''}{unit}"


def plural(count: int, word: str) -> str:
    """``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes as people read them."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"


def moment(stamp_ns: int, zone: timezone | None = timezone.utc) -> str:
    """A time of day with its date; None: as clocks show it where the report is made."""
    try:
        at = datetime.fromtimestamp(stamp_ns // NS_PER_S, timezone.utc).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "not a time"
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname()}"


def moments(stamp_ns: int) -> str:
    """UTC, and local time where that is another."""
    utc, local = moment(stamp_ns), moment(stamp_ns, None)
    return utc if utc == local else f"{local} ({utc})"


def at_time(seconds: float, text: str = "") -> Html:
    """A link that sets the page's time."""
    return element("a", text or f"{seconds:.2f} s", href=f"#t={seconds:.3f}", class_="time")
