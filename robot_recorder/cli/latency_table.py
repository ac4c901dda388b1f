"""Latency estimates for a person to read."""

from __future__ import annotations

from robot_recorder.cli.tables import PlainText, Table
from robot_recorder.offline.latency import LatencyEstimate


def latency_table(estimates: list[LatencyEstimate]) -> Table:
    """One line per stream."""
    table = Table()
    for heading in ("stream", "compared with"):
        table.add_column(heading, no_wrap=True)
    for heading in ("in the profile", "remaining", "fit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for estimate in estimates:
        table.add_row(
            PlainText(estimate.stream, "green" if estimate.known else "yellow"),
            estimate.reference,
            f"{estimate.profile_ms:g} ms",
            f"{estimate.remaining_ms:+.1f} ± {estimate.pm_ms:.1f} ms",
            f"{estimate.fit:.2f}",
            estimate.doubt,
        )
    return table
