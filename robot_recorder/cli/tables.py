"""Tables for people."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robot_recorder.core.labels import Outcome
from robot_recorder.storage.episodes import Episode

_STYLES = {Outcome.SUCCESS: "green", Outcome.FAILURE: "red", Outcome.UNLABELLED: "yellow"}


def table_console(width: int = 140) -> Console:
    """Where tables are printed. Redirected, there is no width to respect: they shall not be torn."""
    return Console() if sys.stdout.isatty() else Console(width=width)


def episodes_table(episodes: list[Episode]) -> Table:
    """One line per episode, numbered."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("#", justify="right")
    for heading in ("episode", "task", "outcome"):
        table.add_column(heading, no_wrap=True)
    for heading in ("duration", "messages", "size", "lost", "complete", "skew p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, episode in enumerate(episodes, 1):
        labels = episode.labels
        outcome = labels.outcome.text + (f": {labels.cause}" if labels.cause else "")
        lost, all_known = episode.lost
        frames = episode.sync.get("frames", 0)
        complete = f"{100 * episode.sync['complete'] / frames:.1f} %" if frames else "-"
        table.add_row(
            str(number),
            Text(episode.id.removesuffix(f"_{labels.task}")),
            Text(labels.task or "-"),
            Text(outcome, _STYLES[labels.outcome]),
            f"{episode.duration_s:.1f} s",
            str(sum(episode.counts.values())),
            f"{episode.size_bytes / 1e6:.1f} MB",
            str(lost) if all_known else f"{lost} + ?",
            complete,
            _worst_skew(episode),
        )
    return table


def streams_table(episodes: list[Episode]) -> Table:
    """Messages per topic, one column per episode."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("messages per stream", no_wrap=True)
    for number in range(len(episodes)):
        table.add_column(f"#{number + 1}", justify="right")
    for topic in sorted({topic for episode in episodes for topic in episode.counts}):
        table.add_row(topic, *(str(episode.counts.get(topic, 0)) for episode in episodes))
    return table


def _worst_skew(episode: Episode) -> str:
    skews = {
        name: figures["skew_p95_ms"]
        for name, figures in episode.sync.get("streams", {}).items()
        if figures["skew_p95_ms"] is not None
    }
    if not skews:
        return "-"
    worst = max(skews, key=lambda name: float(skews[name]))
    return f"{skews[worst]:.1f} ms {worst}"
