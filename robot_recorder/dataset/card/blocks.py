"""What a card is made of: paragraphs, tables, code and samples, and how figures are said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robot_recorder.dataset.lock import LOCK
from robot_recorder.dataset.schema import DatasetEpisode, Feature
from robot_recorder.model.text import plural, visible

UNKNOWN = "unknown"


_MOST_TEXT, _MOST_ROWS, MOST_NAMES = 300, 50, 4  # characters of a text; rows of a table; names


class Mono(str):
    """A name that is shown as code."""


@dataclass(frozen=True)
class Listed:
    """Many names, of which a few are shown at first."""

    texts: tuple[str, ...]

    @property
    def short(self) -> str:
        """Return the first ones, and how many there are."""
        if len(self.texts) <= MOST_NAMES:
            return ", ".join(clean(t) for t in self.texts)
        return f"{', '.join(clean(t) for t in self.texts[:2])}, … ({len(self.texts)})"


Cell = str | Listed | tuple[str, ...]


def short(cell: Cell) -> Cell:
    """Return a cell with at most as much text as a table shows."""
    return type(cell)(clean(cell)) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class Grid:
    """A table; without headings, what is known of something by name.

    Attributes:
        headings: of its columns.
        rows: their cells.
        numbers: columns that are aligned right.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class CodeLines:
    """Lines of code."""

    language: str
    text: str


@dataclass(frozen=True)
class SampleClip:
    """A short film of one camera of an episode.

    Attributes:
        episode, feature: what it shows.
        still: path of its picture, relative to the dataset.
        clip: path of the film; empty without a film.
    """

    episode: DatasetEpisode
    feature: Feature
    still: str
    clip: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the files that it consists of."""
        return tuple(filter(None, (self.still, self.clip)))

    def caption(self, rate_hz: float) -> tuple[str, str]:
        """Return what is done in it, and what it is; of frames at a rate, Hz."""
        camera = self.feature.name.removeprefix("observation.images.")
        parts = (clean(camera), f"episode {self.episode.index}",
                 clean(self.episode.facts.outcome or UNKNOWN),
                 duration(self.episode.length / rate_hz).replace(" ", "\u00a0"))  # fmt: skip
        return clean(self.episode.facts.sentence), " · ".join(parts)


Block = Cell | Grid | CodeLines | tuple[SampleClip, ...]


@dataclass(frozen=True)
class Section:
    """A part of the card: paragraphs, which are text and names, tables, code, and samples."""

    title: str
    blocks: tuple[Block, ...]


def cut(text: str, most: int) -> str:
    """Return a text of a bag as one line of limited length."""
    line = visible(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def clean(text: str) -> str:
    """Return a text of a bag as one line, as long as a table or a caption takes."""
    return cut(text, _MOST_TEXT)


def duration(seconds: float) -> str:
    """Return a time with its unit."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def share(share: float | None) -> str:
    """Return a share, 0 to 1, in %."""
    if not share:
        return UNKNOWN if share is None else "0 %"
    return f"{100 * share:.2g} %" if share < 0.01 else f"{100 * share:.1f} %"


def ms(value: float | None) -> str:
    """Return a time in ms without its unit."""
    return UNKNOWN if value is None else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def hz(rates: Iterable[float]) -> str:
    """Return rates with their unit."""
    return " or ".join(f"{r:g} Hz" for r in sorted(rates)) or UNKNOWN


def known(texts: Iterable[str]) -> str:
    """Return all different texts in order, joined by commas; ``unknown`` for no text."""
    return ", ".join(map(clean, sorted({t for t in texts if t}))) or UNKNOWN


def few_words(texts: Iterable[str], what: str) -> str:
    """Return up to three different texts, or how many they are."""
    found = set(texts)
    return plural(len(found), what) if len(found) > 3 else known(found)


def slug(text: str) -> str:
    """Return a text that is safe as a name of a file."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:60] or "dataset"


def few(rows: Sequence[tuple[Cell, ...]], what: str) -> tuple[tuple[Cell, ...], ...]:
    """Return the first rows, and one that says how many more there are."""
    if len(rows) <= _MOST_ROWS:
        return tuple(rows)
    more = f"… and {len(rows) - _MOST_ROWS:,} more {what}; {LOCK} lists all"
    return (*rows[:_MOST_ROWS], (more, *("" for _ in rows[0][1:])))
