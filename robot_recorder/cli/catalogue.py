"""Commands that ask the catalogue: ``episodes``, ``stats`` and ``catalogue`` itself."""

from __future__ import annotations

import argparse
import contextlib
import heapq
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn

from robot_recorder.bags.bag import read_bag
from robot_recorder.bags.complete import incomplete
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.catalogue.query import COUNTED, Filter, Query, names
from robot_recorder.catalogue.schema import FILE, is_broken
from robot_recorder.catalogue.stats import Side
from robot_recorder.catalogue.sync import SyncResult, refresh, sync
from robot_recorder.cli.console import say, say_error, say_json
from robot_recorder.cli.progress import counted
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import visible
from robot_recorder.quality.report import Verdict

_LIMIT = 50
_MANY = 1000  # episodes to read, of which somebody will ask how far it is
_PROBLEMS = 20  # of each kind: more are a matter of their own


def add_catalogue(commands: Any) -> None:
    """The commands ``episodes``, ``stats`` and ``catalogue``."""
    listing = commands.add_parser("episodes", help="list episodes, the newest last")
    _add_roots(listing)
    _add_filter(listing)
    listing.add_argument("--outcome", type=_word(Outcome), metavar="OUTCOME", help=_words(Outcome))
    listing.add_argument("--verdict", type=_word(Verdict), metavar="VERDICT", help=_words(Verdict))
    listing.add_argument("--longer", type=_ms, metavar="S", help="lasted at least so long")
    listing.add_argument("--shorter", type=_ms, metavar="S", help="lasted less")
    listing.add_argument(
        "--limit", type=_limit, metavar="N",
        help=f"only the N newest; default: {_LIMIT}, and all with --paths and --json",
    )  # fmt: skip
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--paths", action="store_true", help="print directories, one a line")
    form.add_argument(
        "--json", action="store_true", help="print a JSON object for each, one a line"
    )
    listing.set_defaults(run=_episodes)

    stats = commands.add_parser("stats", help="count: success, yield, targets, causes, reasons")
    _add_roots(stats)
    _add_filter(stats)
    stats.add_argument(
        "--by", type=_word(Side), metavar="WHAT", help=f"only one table: by {_words(Side)}"
    )
    stats.add_argument(
        "--tasks", default="", metavar="FILE", help="task registry; default: the shipped one"
    )
    stats.add_argument("--picture", type=Path, metavar="PNG", help="draw them")
    stats.add_argument("--json", action="store_true", help="print them as JSON")
    stats.set_defaults(run=_stats, outcome=None, verdict=None, longer=None, shorter=None)

    catalogue = commands.add_parser(
        "catalogue", help="bring the index of all episodes up to date with their directories"
    )
    _add_roots(catalogue)
    catalogue.add_argument("--rebuild", action="store_true", help="read every episode again")
    catalogue.set_defaults(run=_catalogue)


def _add_roots(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root", nargs="*", default=[Path("episodes")], type=Path,
        help="folders episodes are recorded into; default: episodes",
    )  # fmt: skip


def _add_filter(parser: argparse.ArgumentParser) -> None:
    for name in ("task", "robot", "operator"):
        parser.add_argument(f"--{name}", help=f"only of this {name}")
    parser.add_argument(
        "--since", type=_since, metavar="DATE", help="started on this day or later, UTC; 2026-01-31"
    )
    parser.add_argument(
        "--until", type=_until, metavar="DATE", help="started on this day or earlier"
    )


def _words(kind: type[Any]) -> str:
    return ", ".join(_text(member) for member in kind)


def _text(member: Any) -> str:
    return str(member.value if isinstance(member.value, str) else member.text)


def _word(kind: type[Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        for member in kind:
            if _text(member) == text:
                return member
        raise argparse.ArgumentTypeError(f"'{text}' is none of {_words(kind)}")

    return parse


def _ms(text: str) -> int:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no duration in seconds")
    return round(1000 * value)


def _limit(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2026-01-31, or 2026-01-31T14:30"
        raise argparse.ArgumentTypeError(f"'{text}' is no date; {hint}") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _since(text: str) -> int:
    return round(_time(text).timestamp()) * NS_PER_S


def _until(text: str) -> int:
    """The end of a day, or an instant."""
    whole_day = len(text) <= len("2026-01-31")
    return round((_time(text) + timedelta(days=whole_day)).timestamp()) * NS_PER_S


# -- catalogues at hand


def _with(roots: list[Path], work: Callable[[list[Catalogue]], int], itself: bool = False) -> int:
    """Do something with all roots' catalogues, brought up to date; a broken one is made anew.

    Args:
        itself: it is about the catalogues themselves: they must be writable, and are taken as they are.
    """
    for root in roots:
        if not root.is_dir():
            _refuse(root)
    for attempt in (1, 2):
        catalogues: list[Catalogue] = []
        try:
            for root in dict.fromkeys(roots):
                catalogues.append(Catalogue(root, writable=itself))
                if catalogues[-1].note:
                    say_error(catalogues[-1].note)
                if not itself:
                    _synced(catalogues[-1])
            return work(catalogues)
        except sqlite3.Error as error:
            if not is_broken(error) or attempt == 2:
                raise BagError(
                    f"the catalogue can not be used ({error}); try again later"
                ) from error
            for catalogue in [c for c in catalogues if not c.is_sound()] or catalogues:
                say_error(f"{catalogue.root / FILE} is broken: made anew")
                catalogue.take_away()
        finally:
            for catalogue in catalogues:
                catalogue.close()
    raise AssertionError("it returned or raised")


def _refuse(root: Path) -> NoReturn:
    """Say what is there where no episodes are."""
    read_bag(root)
    raise ConfigError(
        f"{root} is a bag itself, not a folder of episodes: robot-recorder check {root}"
    )


def _synced(catalogue: Catalogue, thorough: bool = False) -> SyncResult:
    # Most of the time there is nothing to wait for, and nothing shall be seen.
    with counted(f"reading {catalogue.root}", least=_MANY) as told:
        return sync(catalogue, thorough, told)


def _filter(options: argparse.Namespace, catalogues: list[Catalogue]) -> Filter:
    """What is asked for.

    Raises:
        ConfigError: there is no such task, robot or operator.
    """
    for column in ("task", "robot", "operator"):
        text = getattr(options, column)
        if text is None or any(Query(c, Filter(**{column: text})).count(0) for c in catalogues):
            continue
        known = {name for catalogue in catalogues for name in names(catalogue, column)}
        hint = did_you_mean(text, known) if known else "none is known"
        raise ConfigError(f"no episode of {column} '{text}'; {hint}")
    return Filter(
        options.task, options.robot, options.operator, options.outcome, options.verdict,
        options.since, options.until, options.longer, options.shorter,
    )  # fmt: skip


def _found(queries: list[Query], limit: int | None) -> Iterator[Entry]:
    """The newest of all roots, or all, oldest of them first."""
    each = [query.all() if limit is None else query.newest(limit) for query in queries]
    found = heapq.merge(*each, key=lambda entry: (entry.start_ns, entry.name))
    return found if limit is None else iter(list(found)[-limit:])


# -- commands


def _episodes(options: argparse.Namespace) -> int:
    def work(catalogues: list[Catalogue]) -> int:
        scripted = options.paths or options.json
        limit = options.limit or (None if scripted else _LIMIT)
        roots = [catalogue.root for catalogue in catalogues]
        found = [folder for root in roots for folder in incomplete(root, quiet=False)]
        if not scripted and all(catalogue.is_empty() for catalogue in catalogues) and not found:
            for catalogue in catalogues:  # a mistyped folder shall not keep one
                catalogue.take_away()
                with contextlib.suppress(OSError):
                    (catalogue.root / FILE.parent).rmdir()
            _refuse(roots[0])
        filter = _filter(options, catalogues)
        queries = [Query(catalogue, filter) for catalogue in catalogues]
        if limit is not None:  # what is shown shall be what is there now
            shown = list(_found(queries, limit))
            for catalogue in catalogues:
                refresh(catalogue, (e for e in shown if e.root == catalogue.root))
            queries = [Query(catalogue, filter) for catalogue in catalogues]
        if options.paths:
            return int(not all([_print_path(entry.path) for entry in _found(queries, limit)]))
        if options.json:
            for entry in _found(queries, limit):
                say_json(entry.to_dict())
        else:
            _print_table(catalogues, queries, limit or _LIMIT)
        return 0

    return _with(options.root, work)


def _print_path(path: Path) -> bool:
    """A path for scripts, as it is; False: it cannot stand on a line."""
    if visible(str(path)) != str(path):
        say_error(f"not listed: {path}: rename it, its name is not text on one line, or use --json")
        return False
    say(path)
    return True


def _print_table(catalogues: list[Catalogue], queries: list[Query], limit: int) -> None:
    from robot_recorder.cli.tables import episodes_table, table_console

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
        store = open_store(catalogue.root)
        recover = f"unless it is being recorded: robot-recorder recover {catalogue.root}"
        _print_some([f"unreadable: {problem}" for problem in catalogue.unreadable()])
        _print_some([f"unfinished: {partial}; {recover}" for partial in store.unfinished()])
        _print_some([f"not recoverable: {path}" for path in store.quarantined()])
        mend = f"robot-recorder recover {catalogue.root}"
        lacking = incomplete(catalogue.root, quiet=False)
        _print_some([f"without {METADATA_FILE}: {path}; {mend}" for path in lacking])


def _print_some(lines: list[str]) -> None:
    for line in lines[:_PROBLEMS]:
        say(line)
    if len(lines) > _PROBLEMS:
        say(f"... and {len(lines) - _PROBLEMS} more like it")


def _stats(options: argparse.Namespace) -> int:
    from robot_recorder.catalogue.stats import count_up, together
    from robot_recorder.cli.stats_tables import print_stats
    from robot_recorder.configuration.find import load_tasks

    tasks = load_tasks(options.tasks)

    def work(catalogues: list[Catalogue]) -> int:
        filter = _filter(options, catalogues)
        stats = together(count_up(catalogue, filter) for catalogue in catalogues).grouped(tasks)
        targets = stats.targets(tasks, filter.task)
        if not stats.total.episodes:
            raise ConfigError("no episode matches; robot-recorder episodes lists what there is")
        if options.json:
            say_json(stats.to_dict(targets))
        else:
            print_stats(stats, targets, options.by)
        if options.picture:
            from robot_recorder.report.stats_picture import draw_stats

            draw_stats(stats, targets, options.picture)
            (say_error if options.json else say)(options.picture)
        return 0

    return _with(options.root, work)


def _catalogue(options: argparse.Namespace) -> int:
    def work(catalogues: list[Catalogue]) -> int:
        problems: list[str] = []
        for catalogue in catalogues:
            done = _synced(catalogue, thorough=True)
            unreadable = catalogue.unreadable()
            size = (catalogue.root / FILE).stat().st_size / 1e6
            say(
                f"{catalogue.root}: {catalogue.episodes():,} episodes, {done.read:,} read anew, "
                f"{done.gone:,} gone, {len(unreadable):,} unreadable; {FILE}: {size:.1f} MB"
            )
            problems += unreadable
        _print_some([f"unreadable: {problem}" for problem in problems])
        return int(bool(problems))

    for root in options.root if options.rebuild else []:
        if root.is_dir():
            with Catalogue(root, writable=True) as catalogue:
                catalogue.take_away()
    return _with(options.root, work, itself=True)
