"""Builds HTML that is safe against its content: texts from a bag are always escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timezone
from html import escape

from robot_recorder.model.streams import NS_PER_S

# Control characters, lone surrogates, and characters that change the direction of text.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
UNKNOWN = "unknown"
NONE = "–"


class Html(str):
    """Text that is HTML already. All other text is escaped when it is put into a page."""


def html(content: object) -> Html:
    """Return anything as HTML: lists piece by piece, None as nothing, text escaped."""
    if isinstance(content, Html):
        return content
    if content is None:
        return Html("")
    if isinstance(content, (list, tuple)):
        return Html("".join(html(piece) for piece in content))
    return Html(escape(_UNPRINTABLE.sub("\ufffd", str(content))))


def element(name: str, *content: object, **attributes: object) -> Html:
    """Return an HTML element.

    Args:
        name: such as ``div``.
        content: see ``html``.
        attributes: ``class_`` stands for ``class``, other ``_`` for ``-``; None and False omit one.
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
    """Return a sentence in which `commands` are between back quotes."""
    parts = text.split("`")
    return html([element("code", part) if at % 2 else part for at, part in enumerate(parts)])


def table(
    headings: Sequence[object],
    rows: Iterable[Sequence[object]],
    numbers: Collection[int] = (),
    classes: Sequence[str] = (),
) -> Html:
    """Return a table that scrolls on its own if it is too wide.

    Args:
        headings: of the columns.
        rows: their cells.
        numbers: indices of columns that are aligned right.
        classes: CSS class of each row, empty: none.
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
    """Return content that opens with a click."""
    return element("details", element("summary", summary), content, open=opened)


def number(value: float | None, form: str = ".4g", unit: str = "") -> str:
    """Return a figure with its unit; a dash if it is missing."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:{form}}{' ' if unit else ''}{unit}"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"


def moment(stamp_ns: int, zone: timezone | None = timezone.utc) -> str:
    """Return a date and time; zone None: local time of this machine."""
    try:
        at = datetime.fromtimestamp(stamp_ns // NS_PER_S, timezone.utc).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "not a time"
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname()}"


def moments(stamp_ns: int) -> str:
    """Return a time in UTC, and in local time if that differs."""
    utc, local = moment(stamp_ns), moment(stamp_ns, None)
    return utc if utc == local else f"{local} ({utc})"


def at_time(seconds: float, text: str = "") -> Html:
    """Return a link that sets the page's time."""
    return element("a", text or f"{seconds:.2f} s", href=f"#t={seconds:.3f}", class_="time")
