"""Tables of episodes: of ``episodes``, ``check`` and the demo."""

from __future__ import annotations

from collections.abc import Iterable

from robot_recorder.catalogue.entry import Entry
from robot_recorder.cli.tables import PlainText, Table
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

OUTCOME_STYLES = {
    Outcome.SUCCESS: "green",
    Outcome.FAILURE: "red",
    Outcome.UNLABELLED: "yellow",
}
VERDICT_STYLES = {
    Verdict.ACCEPT: "green",
    Verdict.REVIEW: "yellow",
    Verdict.REJECT: "red",
    Verdict.UNKNOWN: "",
}


def episodes_table(entries: Iterable[Entry]) -> Table:
    """Return a table with a numbered line per episode."""
    table = Table()
    table.add_column("#", justify="right")
    for heading, drop in (("episode", 0), ("task", 1), ("outcome", 0), ("verdict", 0)):
        table.add_column(heading, no_wrap=True, drop=drop)
    for heading, drop in (
        ("duration", 2), ("messages", 7), ("size", 6), ("lost", 3), ("complete", 4), ("skew p95", 5),
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True, drop=drop)
    for number, entry in enumerate(entries, 1):
        outcome = entry.outcome.text + (f": {entry.cause}" if entry.cause else "")
        verdict = entry.verdict.text + (f": {entry.reason}" if entry.reason else "")
        skew = "-" if entry.skew_p95_us is None else f"{entry.skew_p95_us / 1000:.1f} ms"
        table.add_row(
            str(number),
            PlainText(entry.id.removesuffix(f"_{entry.task}")),
            PlainText(entry.task or "-"),
            PlainText(outcome, OUTCOME_STYLES[entry.outcome]),
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
    """Return a table of messages per topic, one column per episode."""
    table = Table()
    table.add_column("messages per stream", no_wrap=True)
    for number in range(len(episodes)):
        table.add_column(f"#{number + 1}", justify="right")
    for topic in sorted({topic for episode in episodes for topic in episode.counts}):
        table.add_row(topic, *(str(episode.counts.get(topic, 0)) for episode in episodes))
    return table
