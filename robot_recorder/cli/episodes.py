"""The command ``episodes``: list recorded episodes, filtered."""

from __future__ import annotations

import argparse
import contextlib
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import Word, add_json, add_roots, number, whole_number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.text import visible

if TYPE_CHECKING:
    from robot_recorder.catalogue.catalogue import Catalogue
    from robot_recorder.catalogue.entry import Entry
    from robot_recorder.catalogue.query import Query

_LIMIT = 50
_MOST_S = 1e9


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.cli.filters import add_filter
    from robot_recorder.model.labels import Outcome
    from robot_recorder.quality.verdict import Verdict

    outcome, verdict = Word(Outcome), Word(Verdict)
    seconds = number(0, _MOST_S, "of seconds")
    add_roots(parser)
    add_filter(parser)
    parser.add_argument("--outcome", type=outcome, metavar="OUTCOME", help=str(outcome))
    parser.add_argument("--verdict", type=verdict, metavar="VERDICT", help=str(verdict))
    parser.add_argument("--longer", type=seconds, metavar="S", help="lasted at least this long")
    parser.add_argument("--shorter", type=seconds, metavar="S", help="lasted less than this")
    parser.add_argument(
        "--limit", type=whole_number(1), metavar="N",
        help=f"only the N newest; default: {_LIMIT}, or all with --paths or --json",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--paths", action="store_true", help="print directories, one per line")
    add_json(form, "print JSON, one object per line and episode")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.roots import with_catalogues

    options.longer, options.shorter = _ms(options.longer), _ms(options.shorter)
    return with_catalogues(options.root, lambda catalogues: _list(catalogues, options))


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)


def _list(catalogues: list[Catalogue], options: argparse.Namespace) -> int:
    from robot_recorder.catalogue.query import Query
    from robot_recorder.catalogue.sync import refresh
    from robot_recorder.cli.filters import filter_of

    scripted = options.paths or options.json
    limit = options.limit or (None if scripted else _LIMIT)
    if not scripted:
        _refuse_empty(catalogues)
    filter = filter_of(options, catalogues)
    queries = [Query(catalogue, filter) for catalogue in catalogues]
    if limit is not None:  # what is shown shall be what is there now
        shown = list(_found(queries, limit))
        for catalogue in catalogues:
            refresh(catalogue, (e for e in shown if e.root == catalogue.root))
        queries = [Query(catalogue, filter) for catalogue in catalogues]
    if options.paths:
        printed = [_print_path(entry.path) for entry in _found(queries, limit)]
        return ExitCode.OK if all(printed) else ExitCode.FINDING
    if options.json:
        for entry in _found(queries, limit):
            say_json(entry.to_dict())
    else:
        _print_table(catalogues, queries, limit or _LIMIT)
    return ExitCode.OK


def _refuse_empty(catalogues: list[Catalogue]) -> None:
    """Refuse folders without any episode, and leave no catalogue in them: they may be mistyped."""
    from robot_recorder.bags.incomplete import incomplete
    from robot_recorder.catalogue.schema import FILE
    from robot_recorder.cli.roots import refuse_root

    if any(incomplete(catalogue.root, quiet=False) for catalogue in catalogues):
        return
    if not all(catalogue.is_empty() for catalogue in catalogues):
        return
    for catalogue in catalogues:
        catalogue.take_away()
        with contextlib.suppress(OSError):
            (catalogue.root / FILE.parent).rmdir()
    refuse_root(catalogues[0].root)


def _found(queries: list[Query], limit: int | None) -> Iterator[Entry]:
    """Yield the newest episodes of all roots, or all of them; the oldest first."""
    each = [query.all() if limit is None else query.newest(limit) for query in queries]
    found = heapq.merge(*each, key=lambda entry: (entry.start_ns, entry.name))
    return found if limit is None else iter(list(found)[-limit:])


def _print_path(path: Path) -> bool:
    """Print a path unchanged, for scripts; return False if it is not one line of text."""
    if visible(str(path)) != str(path):
        say_error(f"not listed: {path}: its name is not one line of text; rename it, or use --json")
        return False
    say(path)
    return True


def _print_table(catalogues: list[Catalogue], queries: list[Query], limit: int) -> None:
    from robot_recorder.catalogue.query import COUNTED
    from robot_recorder.cli.episodes_table import episodes_table
    from robot_recorder.cli.tables import table_console

    entries = list(_found(queries, limit))
    if entries:
        table_console().print(episodes_table(entries))
    matching = sum(query.count() for query in queries)
    if not matching:
        say("no episode matches")
    elif matching > len(entries):
        many = f"{matching:,}" if matching <= COUNTED else f"more than {COUNTED:,}"
        say(f"the newest {len(entries)} of {many}; --limit N shows more")
    for catalogue in catalogues:
        _print_leftovers(catalogue)


def _print_leftovers(catalogue: Catalogue) -> None:
    """Print what lies in a root and is not an episode yet, with what to do about it."""
    from robot_recorder.bags.incomplete import incomplete
    from robot_recorder.bags.metadata import METADATA_FILE
    from robot_recorder.cli.roots import print_problems
    from robot_recorder.episodes.store import EpisodeStore

    store = EpisodeStore(catalogue.root)
    recover = f"robot-recorder recover {catalogue.root}"
    print_problems([f"unreadable: {problem}" for problem in catalogue.unreadable()])
    print_problems([
        f"unfinished: {partial}; unless it is being recorded: {recover}"
        for partial in store.unfinished()
    ])  # fmt: skip
    print_problems([f"not recoverable: {path}" for path in store.quarantined()])
    print_problems([
        f"without {METADATA_FILE}: {path}; {recover}"
        for path in incomplete(catalogue.root, quiet=False)
    ])  # fmt: skip


COMMAND = Command(
    name="episodes",
    summary="list recorded episodes, the newest last",
    examples=(
        "robot-recorder episodes /data/episodes",
        "robot-recorder episodes /data/robot_* --task lift_box --outcome failure --since 2026-03-01",
        "robot-recorder episodes /data/episodes --verdict review --paths",
        "robot-recorder episodes /data/episodes --json --limit 1",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
