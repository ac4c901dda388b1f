"""The command ``trash``: list discarded episodes, bring them back, or delete them for good."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.episodes.store import EpisodeStore


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root", nargs="?", default="episodes", type=Path,
        help="folder of episodes; default: episodes",
    )  # fmt: skip
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--restore", metavar="ID", help="bring this episode back")
    action.add_argument("--delete", metavar="ID", nargs="+", help="delete these for good, now")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.floor.store import open_store

    store = open_store(options.root)
    if options.restore:
        _tell("restored", store.restore(options.restore), options.json)
    elif options.delete:
        for id in options.delete:
            _tell("deleted", store.delete_discarded(id), options.json)
    else:
        _list(store, options)
    return ExitCode.OK


def _tell(what: str, path: Path, as_json: bool) -> None:
    if as_json:
        say_json({what: str(path)})
    else:
        say(f"{what}: {path}")


def _list(store: EpisodeStore, options: argparse.Namespace) -> None:
    from robot_recorder.episodes.trash import TRASH, utc

    trashed = [(path, store.trash.moment(path)) for path in store.trashed()]
    if options.json:
        plain: list[dict[str, Any]] = [
            {
                "episode_id": path.name,
                "path": str(path),
                "discarded_ns": moment.at_ns if moment else None,
                "kept_until_ns": moment.until_ns() if moment else None,
            }
            for path, moment in trashed
        ]
        say_json(plain)
        return
    for path, moment in trashed:
        when = (
            f"discarded {utc(moment.at_ns)}, kept until {moment.until} at least"
            if moment
            else "its time in the trash begins when a recorder first sees it there"
        )
        say(f"{path.name}  {when}")
    say(
        f"{plural(len(trashed), 'discarded episode')} in {options.root / TRASH}; bring one back with --restore ID"
    )


COMMAND = Command(
    name="trash",
    summary="list discarded episodes, bring one back, or delete some for good",
    examples=(
        "robot-recorder trash /data/episodes",
        "robot-recorder trash /data/episodes --restore ID",
        "robot-recorder trash /data/episodes --delete OTHER_ID",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
