"""The command ``recover``: complete what a crash left unfinished, and bags without metadata."""

from __future__ import annotations

import argparse
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import counted
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.episodes.recovery import RecoveryResult
    from robot_recorder.episodes.store import EpisodeStore


@dataclass(frozen=True)
class _Leftover:
    """Something a crash left behind.

    Attributes:
        path: where it is now.
        ok: it was recovered.
        message: what is in it, or why it was not recovered.
    """

    path: Path
    ok: bool
    message: str


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root", nargs="?", default="episodes", type=Path,
        help="folder of episodes, bag without metadata.yaml, or data file; default: episodes",
    )  # fmt: skip
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.bags.metadata import METADATA_FILE

    path: Path = options.root
    if path.suffix == PARTIAL and path.is_dir():
        return _report([_recover_partial(path)], options.json)
    if os.path.lexists(path / METADATA_FILE):
        return _mend_metadata(path, options.json)
    if path.is_dir() and not _has_files(path):
        return _recover_all(path, options.json)
    return _report([_complete(path)], options.json)


def _report(found: list[_Leftover], as_json: bool, recording: list[Path] | None = None) -> int:
    """Say what became of each leftover; ``recording`` are those that are being recorded."""
    if as_json:
        say_json({
            "recovered": [{"path": str(x.path), "message": x.message} for x in found if x.ok],
            "not_recovered": [{"path": str(x.path), "message": x.message} for x in found if not x.ok],
            "being_recorded": [str(path) for path in recording or []],
        })  # fmt: skip
    else:
        for leftover in found:
            say(leftover.message if leftover.ok else f"not recovered: {leftover.message}")
        for path in recording or []:
            say(f"being recorded: {path}")
    return ExitCode.OK if all(leftover.ok for leftover in found) else ExitCode.FINDING


def _has_files(path: Path) -> bool:
    from robot_recorder.bags.bag import found_files

    try:
        return bool(found_files(path))
    except BagError:
        return False


def _recover_partial(partial: Path) -> _Leftover:
    from robot_recorder.episodes.recovery import RecordingLock, recover
    from robot_recorder.floor.store import open_store

    with RecordingLock(partial):
        return _leftover(recover(open_store(partial.parent), partial))


def _leftover(result: RecoveryResult) -> _Leftover:
    message = result.message if result.ok else f"{result.message}; see {result.path}"
    return _Leftover(result.path, result.ok, message)


def _mend_metadata(path: Path, as_json: bool) -> int:
    from robot_recorder.bags.bag import data_files, read_bag
    from robot_recorder.bags.mcap_index import McapIndex
    from robot_recorder.bags.metadata import METADATA_FILE
    from robot_recorder.bags.rebuild import is_whole

    if not is_whole(path):
        return _report([_complete(path)], as_json)
    files = [f for f in data_files(path, read_bag(path)[0]) if f.suffix == ".mcap"]
    if damaged := [why for file in files if (why := McapIndex.open(file).problem)]:
        return _report([_Leftover(path, False, why) for why in damaged], as_json)
    if not as_json:
        say(
            f"{path} has its {METADATA_FILE}: nothing to recover; to read all of it: robot-recorder check {path}"
        )
    return _report([], as_json)


def _complete(path: Path) -> _Leftover:
    from robot_recorder.bags.rebuild import complete

    directory, message = complete(path)
    return _Leftover(directory, True, message)


def _recover_all(root: Path, as_json: bool) -> int:
    from robot_recorder.bags.bag import read_bag
    from robot_recorder.bags.incomplete import incomplete
    from robot_recorder.floor.store import open_store

    store, folders = open_store(root), incomplete(root)
    if not folders and not store.unfinished() and not store.paths():
        read_bag(root)  # raises, and says what is there
    found = _recovered(store, folders)
    done = {leftover.path for leftover in found}
    recording = [partial for partial in store.unfinished() if partial not in done]
    code = _report(found, as_json, recording)
    if not as_json:
        whole = sum(leftover.ok for leftover in found)
        say(f"{whole} of {plural(len(found), 'leftover')} recovered")
    return code


def _recovered(store: EpisodeStore, folders: list[Path]) -> list[_Leftover]:
    """Recover what is unfinished in a store, and folders without metadata, with a progress bar."""
    from robot_recorder.episodes.recovery import recover_all

    done, total = itertools.count(1), len(store.unfinished()) + len(folders)
    with counted("recovering", least=1) as told:
        found = [_leftover(x) for x in recover_all(store, lambda _: told(next(done), total))]
        for folder in folders:
            try:
                found.append(_complete(folder))
            except BagError as error:
                found.append(_Leftover(folder, False, str(error)))
            told(next(done), total)
    return found


COMMAND = Command(
    name="recover",
    summary="complete the episodes that a crash left unfinished",
    details="In a folder of episodes: finalises what was never finalised, and writes the metadata.yaml of bags "
    "that have none. With one data file or bag: the same for that one. Deletes nothing.",
    examples=(
        "robot-recorder recover /data/episodes",
        "robot-recorder recover recording.mcap",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
