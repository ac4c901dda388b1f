"""The command ``compress``: make finished episodes smaller, without losing a bit of them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.episodes.compression import Compression
    from robot_recorder.episodes.store import EpisodeStore

_LOOK_S = 1.0  # between two looks whether something is being recorded


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="+", type=Path, help="directories of finished episodes, or folders of them"
    )
    parser.add_argument(
        "--idle", action="store_true", help="take only the CPU and the disk that nobody else wants"
    )
    add_json(parser, "print JSON, one list of all episodes")


def _run(options: argparse.Namespace) -> int:
    if options.idle:
        _stand_back()
    named = {path.resolve() for path in options.path}
    began, plain, code = time.monotonic(), [], ExitCode.OK
    done: list[Compression] = []
    for root, paths in _by_root(options.path).items():
        for path, found in _compressed(root, paths):
            if isinstance(found, str):
                say_error(f"error: {found}")
                plain.append({"path": str(path), "error": found})
                code = ExitCode.FINDING
                continue
            done.append(found)
            plain.append(_plain(found))
            if not options.json and (found.changed or path in named):
                say(_sentence(found))
    if options.json:
        say_json(plain, indent=1)
    else:
        _say_sum([one for one in done if one.changed], len(done), time.monotonic() - began)
    return code


def _stand_back() -> None:
    """Let everybody else go first; the kernel serves the disk accordingly. It cannot be undone."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _by_root(paths: list[Path]) -> dict[Path, list[Path]]:
    """Return the episodes that are meant, by the folder they are in.

    Raises:
        RecorderError: a path is neither an episode nor a folder of episodes.
    """
    from robot_recorder.bags.bag import bag_of, read_bag
    from robot_recorder.bags.metadata import METADATA_FILE
    from robot_recorder.episodes.store import EpisodeStore, not_finished
    from robot_recorder.episodes.trash import TRASH

    found: dict[Path, list[Path]] = {}
    for path in (bag_of(path.resolve()) for path in paths):
        if path.suffix == PARTIAL:
            raise ConfigError(not_finished(path))
        if path.parent.name == TRASH:
            raise ConfigError(f"{path.name} is in the trash: restore it first")
        if (path / METADATA_FILE).is_file():
            found.setdefault(path.parent, []).append(path)
            continue
        inside = EpisodeStore(path).paths()
        if not inside:
            read_bag(path)  # raises unless it is a bag, and says what is there
            raise ConfigError(
                f"{path} has no {METADATA_FILE}: robot-recorder recover {path} makes it"
            )
        found.setdefault(path, []).extend(reversed(inside))  # the newest are sent first
    return {root: list(dict.fromkeys(inside)) for root, inside in found.items()}


def _compressed(root: Path, paths: list[Path]) -> Iterator[tuple[Path, Compression | str]]:
    """Compress the episodes of a folder; yield what became of each, or why it failed."""
    from robot_recorder.episodes.compression import Compressor
    from robot_recorder.floor.agent.unsent import unsent_in
    from robot_recorder.floor.store import open_store

    store = open_store(root)
    with progress(root.name) as told, Compressor(store, unsent_in(root), _pace(store)) as work:
        for number, path in enumerate(paths):

            def tell(share: float, number: int = number) -> None:
                told(f"compressing {number + 1} of {len(paths)} in", (number + share) / len(paths))

            try:
                tell(0.0)
                yield path, work.compress(path, tell)
            except RecorderError as error:
                if path.is_dir():  # otherwise it was discarded or deleted meanwhile
                    yield path, str(error)


def _pace(store: EpisodeStore) -> Any:
    """Return a function that waits while something is being recorded."""
    from robot_recorder.episodes.compression import being_recorded

    looked = 0.0

    def pace() -> None:
        nonlocal looked
        if time.monotonic() - looked < _LOOK_S:
            return
        while being_recorded(store):
            time.sleep(_LOOK_S)
        looked = time.monotonic()

    return pace


def _sentence(found: Compression) -> str:
    left = _left(found.left)
    if not found.changed:
        return f"{found.path.name} stays as it is: {left}"
    told = f"{found.path.name}: {_sizes(found.before_bytes, found.after_bytes)}"
    return f"{told}; left as they are: {left}" if left else told


def _left(reasons: tuple[str, ...]) -> str:
    """Return why files are left as they are, each reason once."""
    files: dict[str, list[str]] = {}
    for reason in reasons:
        name, _, why = reason.partition(": ")
        files.setdefault(why, []).append(name)
    return "; ".join(
        f"{names[0] if len(names) == 1 else plural(len(names), 'file')}: {why}"
        for why, names in files.items()
    )


def _sizes(before: int, after: int) -> str:
    saved = 1 - after / before if before else 0.0
    return f"{before / 1e6:.1f} MB became {after / 1e6:.1f} MB ({saved:.0%} less)"


def _say_sum(changed: list[Compression], looked_at: int, seconds: float) -> None:
    told = f"{len(changed)} of {plural(looked_at, 'episode')} compressed"
    if changed:
        before, after = (
            sum(x.before_bytes for x in changed),
            sum(x.after_bytes for x in changed),
        )
        told += f": {_sizes(before, after)}, {before / 1e6 / max(seconds, 1e-3):.0f} MB/s"
    say(told)


def _plain(found: Compression) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "changed": found.changed,
        "before_bytes": found.before_bytes,
        "after_bytes": found.after_bytes,
        "left": list(found.left),
    }


COMMAND = Command(
    name="compress",
    summary="make finished episodes smaller, without losing a bit",
    details="Compresses all but what is compressed already, such as JPEG pictures and video. Each file is read back and "
    "compared message by message before it replaces the old one. Waits while something is being recorded; what "
    "the station agent has begun to send stays as it is.",
    examples=(
        "robot-recorder compress /data/episodes",
        "robot-recorder compress EPISODE --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
