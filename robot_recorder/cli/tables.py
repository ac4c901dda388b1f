"""Tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import rich.console
import rich.table
import rich.text

from robot_recorder.catalogue.entry import Entry
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import Outcome
from robot_recorder.model.text import visible
from robot_recorder.quality.report import Verdict

_OUTCOMES = {Outcome.SUCCESS: "green", Outcome.FAILURE: "red", Outcome.UNLABELLED: "yellow"}
VERDICT_STYLES = {
    Verdict.ACCEPT: "green", Verdict.REVIEW: "yellow", Verdict.REJECT: "red",
    Verdict.UNKNOWN: "",
}  # fmt: skip


class PlainText(rich.text.Text):
    """Text on one line, as it was written: without markup, and nothing in it steers the terminal."""

    def __init__(self, text: str = "", style: Any = "", **options: Any) -> None:
        super().__init__(visible(text), style, **options)

    def append(self, text: Any, style: Any = None) -> Any:
        """More of it, in another style."""
        return super().append(visible(text) if isinstance(text, str) else text, style)


def _shown(what: Any) -> Any:
    return PlainText(what) if isinstance(what, str) else what


class Table(rich.table.Table):
    """A table whose cells are texts as they were written, each on one line."""

    def __init__(self, *headings: Any, **options: Any) -> None:
        super().__init__(*headings, **{"show_edge": False, "pad_edge": False, **options})

    def add_column(self, header: Any = "", *args: Any, **options: Any) -> None:
        """See rich."""
        super().add_column(_shown(header), *args, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """See rich."""
        super().add_row(*map(_shown, cells), **options)


class Console(rich.console.Console):
    """Prints texts as they were written: without markup or highlighting, each on one line."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See rich."""
        super().print(*map(_shown, objects), **{"highlight": False, **options})


def table_console(width: int = 160) -> Console:
    """Where tables are printed. Redirected, there is no width to respect: they shall not be torn."""
    return Console() if sys.stdout.isatty() else Console(width=width)


def episodes_table(entries: Iterable[Entry]) -> Table:
    """One line per episode, numbered."""
    table = Table()
    table.add_column("#", justify="right")
    for heading in ("episode", "task", "outcome", "verdict"):
        table.add_column(heading, no_wrap=True)
    for heading in ("duration", "messages", "size", "lost", "complete", "skew p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, entry in enumerate(entries, 1):
        outcome = entry.outcome.text + (f": {entry.cause}" if entry.cause else "")
        verdict = entry.verdict.text + (f": {entry.reason}" if entry.reason else "")
        skew = "-" if entry.skew_p95_us is None else f"{entry.skew_p95_us / 1000:.1f} ms"
        table.add_row(
            str(number),
            PlainText(entry.id.removesuffix(f"_{entry.task}")),
            PlainText(entry.task or "-"),
            PlainText(outcome, _OUTCOMES[entry.outcome]),
            PlainText(verdict if entry.verdict else "-", VERDICT_STYLES[entry.verdict]),
            f"{entry.duration_ms / 1000:.1f} s",
            str(entry.messages),
            f"{entry.size_bytes / 1e6:.1f} MB",
            str(entry.lost) if entry.all_lost_known else f"{entry.lost} + ?",
            f"{100 * entry.complete / entry.frames:.1f} %" if entry.frames else "-",
            PlainText(f"{skew} {entry.skew_stream}".rstrip()),
        )
    return table


def streams_table(episodes: list[Episode]) -> Table:
    """Messages per topic, one column per episode."""
    table = Table()
    table.add_column("messages per stream", no_wrap=True)
    for number in range(len(episodes)):
        table.add_column(f"#{number + 1}", justify="right")
    for topic in sorted({topic for episode in episodes for topic in episode.counts}):
        table.add_row(topic, *(str(episode.counts.get(topic, 0)) for episode in episodes))
    return table
