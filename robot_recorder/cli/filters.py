"""Options that choose episodes by task, robot, operator and date, of ``episodes`` and ``stats``."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import Filter, Query, names
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S


def add_filter(parser: argparse._ActionsContainer) -> None:
    """Add ``--task``, ``--robot``, ``--operator``, ``--since`` and ``--until``."""
    for name in ("task", "robot", "operator"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"only episodes of this {name}")
    parser.add_argument(
        "--since", type=_since, metavar="DATE",
        help="started on this day or later, as 2026-01-31; UTC unless it has an offset",
    )  # fmt: skip
    parser.add_argument(
        "--until", type=_until, metavar="DATE", help="started on this day or earlier"
    )


def filter_of(options: argparse.Namespace, catalogues: list[Catalogue]) -> Filter:
    """Return the filter of a command line.

    Raises:
        ConfigError: no episode has the task, robot or operator that is given.
    """
    for column in ("task", "robot", "operator"):
        text = getattr(options, column)
        if text is None or any(Query(c, Filter(**{column: text})).count(0) for c in catalogues):
            continue
        known = {name for catalogue in catalogues for name in names(catalogue, column)}
        hint = did_you_mean(text, known) if known else f"no {column} is known"
        raise ConfigError(f"no episode of {column} '{text}'; {hint}")
    return Filter(
        options.task, options.robot, options.operator, options.outcome, options.verdict,
        options.since, options.until, options.longer, options.shorter,
    )  # fmt: skip


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2026-01-31, or 2026-01-31T14:30"
        raise argparse.ArgumentTypeError(f"'{text}' is not a date; {hint}") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _since(text: str) -> int:
    return round(_time(text).timestamp()) * NS_PER_S


def _until(text: str) -> int:
    """Parse an instant, or a day, which means its end."""
    whole_day = len(text) <= len("2026-01-31")
    return round((_time(text) + timedelta(days=whole_day)).timestamp()) * NS_PER_S
