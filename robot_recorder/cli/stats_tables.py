"""Statistics as tables, of ``stats``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_recorder.catalogue.stats import EpisodeCounts, Side, Stats, TaskTarget
from robot_recorder.cli.tables import PlainText, Table, table_console
from robot_recorder.model.labels import Outcome
from robot_recorder.model.text import plural
from robot_recorder.quality.verdict import Verdict

CAPTION = (
    "success rate = success / (success + failure). good = success and not rejected. hours = from starts to stops",
    "of a robot's episodes, with pauses of up to an hour; a day's hours are shared out by recorded time.",
)
_ROWS = 12  # of a side, when all sides are printed
_NAMELESS = {Side.PROGRAMME: "in no programme", Side.TASK: "no task", Side.OPERATOR: "no operator",
             Side.ROBOT: "no robot"}  # fmt: skip


def name_of(side: Side, name: str) -> str:
    """Return the heading of a row."""
    return name or f"({_NAMELESS[side]})"


def print_stats(stats: Stats, targets: Mapping[str, TaskTarget], only: Side | None) -> None:
    """Print all tables, or one.

    Args:
        only: print only this one, with all its rows; None: all of them, with the first rows of each.
    """
    console = table_console(170)
    console.print(_summary(stats))
    sides = [only] if only else [Side.PROGRAMME, Side.TASK, Side.OPERATOR, Side.ROBOT]
    for side in sides:
        console.print()
        rows = _ordered(side, stats.by[side], targets)
        shown = rows if only else rows[:_ROWS]
        console.print(_tally_table(side, shown, targets, stats.total))
        if len(rows) > len(shown):
            console.print(
                f"... and {len(rows) - len(shown)} more with fewer episodes: --by {side.value}"
            )
    if only is None and stats.causes:
        console.print()
        console.print(_cause_table(stats))
    if only is None and stats.reasons:
        console.print()
        console.print(_reason_table(stats))
    console.print()
    for line in CAPTION:
        console.print(line, style="dim")


def _summary(stats: Stats) -> str:
    total, days = stats.total, sorted(stats.by[Side.DAY])
    rate = "nothing labelled" if total.success_rate is None else f"{total.success_rate:.1%} success"
    when = days[0] if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    return (
        f"{plural(total.episodes, 'episode')} on {when} (UTC): {rate}, {total.good:,} good, {_per_hour(total)} an "
        f"hour; {total.hours:,.2f} hours at work, {total.recorded_s / 3600:,.2f} recorded, "
        f"{total.size_bytes / 1e9:,.1f} GB"
    )


def _ordered(
    side: Side, tallies: Mapping[str, EpisodeCounts], targets: Mapping[str, TaskTarget]
) -> list[tuple[str, EpisodeCounts]]:
    if side is Side.DAY:
        return sorted(tallies.items())
    all_of_them = {**tallies}
    if side is Side.TASK:  # what was never begun is what is missing most
        all_of_them |= {name: EpisodeCounts() for name in targets if name not in tallies}
    return sorted(all_of_them.items(), key=lambda row: (-row[1].episodes, row[0]))


def _tally_table(
    side: Side,
    rows: Iterable[tuple[str, EpisodeCounts]],
    targets: Mapping[str, TaskTarget],
    total: EpisodeCounts,
) -> Table:
    table = Table()
    table.add_column(side.value, no_wrap=True)
    headings = {"episodes": 0, "success": 5, "failure": 6, "unlabelled": 7, "success rate": 0, "accept": 10,
                "review": 9, "reject": 8, "hours": 4, "good": 0, "good/hour": 3}  # fmt: skip
    with_targets = side is Side.TASK and bool(targets)
    if with_targets:
        headings |= {"target": 2, "reached": 1}
    for heading, drop in headings.items():
        table.add_column(heading, justify="right", no_wrap=True, drop=drop)
    for name, tally in rows:
        cells = [*_cells(tally)]
        if with_targets:
            target = targets.get(name)
            cells += (
                [PlainText(f"{target.wanted:,}"), _reached(target)]
                if target
                else [PlainText("-"), PlainText("-")]
            )
        table.add_row(PlainText(name_of(side, name)), *cells)
    table.add_section()
    table.add_row(PlainText("all", "bold"), *_cells(total))
    return table


def _cells(tally: EpisodeCounts) -> Iterable[PlainText]:
    yield PlainText(f"{tally.episodes:,}")
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNLABELLED):
        yield PlainText(f"{tally.of(outcome):,}")
    yield PlainText("-" if tally.success_rate is None else f"{tally.success_rate:.1%}")
    for verdict in (Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT):
        yield PlainText(f"{tally.judged(verdict):,}")
    yield PlainText(f"{tally.hours:,.2f}")
    yield PlainText(f"{tally.good:,}")
    yield PlainText(_per_hour(tally))


def _per_hour(tally: EpisodeCounts) -> str:
    return "-" if tally.yield_per_hour is None else f"{tally.yield_per_hour:.1f}"


def _reached(target: TaskTarget) -> PlainText:
    return PlainText(f"{target.reached:.0%}", "green" if target.reached >= 1 else "")


def _cause_table(stats: Stats) -> Table:
    failures = sum(stats.causes.values())
    table = Table()
    table.add_column("why attempts failed", no_wrap=True)
    for heading in ("failures", "of all failures"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, number in sorted(stats.causes.items(), key=lambda item: -item[1]):
        table.add_row(
            PlainText(name or "(no cause given)"), f"{number:,}", f"{number / failures:.1%}"
        )
    return table


def _reason_table(stats: Stats) -> Table:
    table = Table()
    table.add_column("what the quality checks found", no_wrap=True)
    for heading in ("reject", "review", "of all episodes"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = sorted(stats.reasons.items(), key=lambda item: -sum(item[1].values()))
    for name, counts in rows:
        table.add_row(
            PlainText(name or "(not said)"),
            f"{counts.get(Verdict.REJECT, 0):,}",
            f"{counts.get(Verdict.REVIEW, 0):,}",
            f"{sum(counts.values()) / stats.total.episodes:.2%}",
        )
    return table
