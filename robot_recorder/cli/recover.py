"""``robot-recorder recover``: makes whole what a crash left behind, and bags of files that have no metadata."""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.bags.bag import found_files, read_bag
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.cli.console import say
from robot_recorder.cli.progress import counted
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL

if TYPE_CHECKING:
    from robot_recorder.episodes.recovery import RecoveryResult


def add_recover(commands: Any) -> None:
    """Add the command to the command line."""
    recover = commands.add_parser(
        "recover",
        help="make whole what a crash left behind",
        description="Of a folder of episodes: finishes what was never finalised, and writes the metadata.yaml of "
        "bags that have none. Of one data file or bag: the same for that one. Nothing is deleted.",
    )
    recover.add_argument(
        "root", nargs="?", default="episodes", type=Path,
        help="folder of episodes, a bag without metadata.yaml, or a data file; default: episodes",
    )  # fmt: skip
    recover.set_defaults(run=_recover)


def _recover(options: argparse.Namespace) -> int:
    path: Path = options.root
    if path.suffix == PARTIAL and path.is_dir():
        return _recover_partial(path)
    if os.path.lexists(path / METADATA_FILE):
        return _mend_metadata(path)
    if path.is_dir() and not _has_files(path):
        return _recover_all(path)
    return _complete([path])


def _has_files(path: Path) -> bool:
    try:
        return bool(found_files(path))
    except BagError:
        return False


def _recover_partial(partial: Path) -> int:
    from robot_recorder.episodes.recovery import RecordingLock, recover

    with RecordingLock(partial):
        result = recover(open_store(partial.parent), partial)
    say(_outcome(result))
    return int(not result.ok)


def _mend_metadata(path: Path) -> int:
    from robot_recorder.bags.complete import is_whole

    if not is_whole(path):
        return _complete([path])
    read_bag(path)
    say(
        f"{path} has its {METADATA_FILE}: nothing to recover; `robot-recorder check` reads all of it"
    )
    return 0


def _complete(paths: list[Path]) -> int:
    from robot_recorder.bags.complete import complete

    for path in paths:
        say(complete(path)[1])
    return 0


def _recover_all(root: Path) -> int:
    from robot_recorder.bags.complete import complete, incomplete
    from robot_recorder.episodes.recovery import recover_all

    store, folders = open_store(root), incomplete(root)
    if not folders and not store.unfinished() and not store.paths():
        read_bag(root)  # says what is there
    done, total = itertools.count(1), len(store.unfinished()) + len(folders)
    lines, whole = [], 0
    with counted("recovering", least=1) as told:
        results = recover_all(store, lambda _: told(next(done), total))
        for folder in folders:
            try:
                lines.append(complete(folder)[1])
                whole += 1
            except BagError as error:
                lines.append(f"not recovered: {error}")
            told(next(done), total)
    for result in results:
        say(_outcome(result))
    for line in lines:
        say(line)
    for partial in store.unfinished():
        if partial not in {r.path for r in results}:
            say(f"being recorded: {partial}")
    whole += sum(r.ok for r in results)
    total = len(results) + len(folders)
    say(f"{whole} of {total} leftovers recovered")
    return int(whole < total)


def _outcome(result: RecoveryResult) -> str:
    return result.message if result.ok else f"not recovered: {result.message}; see {result.path}"
