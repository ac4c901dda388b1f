"""The command ``check``: are these episodes sound, and fit to train on?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json, whole_number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import counted
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.offline.check import CheckResult

_FEW = 3  # episodes that are checked sooner than processes start


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="+", type=Path, help="bag directories, or folders of them")
    parser.add_argument(
        "--profile", metavar="FILE", help="robot profile to compare with; default: the bag's own"
    )
    parser.add_argument(
        "--tasks", metavar="FILE", help="task registry to compare with; default: the bag's own task"
    )
    parser.add_argument(
        "--jobs", type=whole_number(1), default=os.cpu_count() or 1, metavar="N",
        help="processes; default: one per core",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="also print the checks that passed")
    parser.add_argument("--save", action="store_true", help="store the verdicts in the episodes")
    add_json(parser, "print JSON, one list of all episodes")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_profile, load_tasks
    from robot_recorder.episodes.facts import quality_facts
    from robot_recorder.floor.store import open_store
    from robot_recorder.quality.verdict import Verdict

    paths = [found for path in options.path for found in _episodes_of(path)]
    if options.save:
        _refuse_ros1(paths)
    profile = load_profile(options.profile) if options.profile else None
    tasks = load_tasks(options.tasks) if options.tasks is not None else None
    sound, plain = True, []
    for path, found in _all_checked(paths, options.jobs, profile, tasks):
        if isinstance(found, str):
            sound = False
            plain.append({"path": str(path), "error": found})
            if not options.json:
                say(f"{path}: {found}")
            continue
        sound = sound and found.sound and found.report.verdict is Verdict.ACCEPT
        plain.append(_plain(found))
        if options.save:
            open_store(path.parent).amend(path, lambda _, r=found.report: quality_facts(r))  # type: ignore[misc]
        if not options.json:
            _print(found, options.all)
    if options.json:
        say_json(plain, indent=1)
    elif len(plain) > 1:
        _print_summary(plain)
    return ExitCode.OK if sound else ExitCode.FINDING


def _refuse_ros1(paths: list[Path]) -> None:
    """Refuse to store verdicts in ROS 1 bags.

    Raises:
        ConfigError: one of the paths is a ROS 1 bag.
    """
    from robot_recorder.bags.bag import is_ros1
    from robot_recorder.bags.ros1_file import conversion

    for path in filter(is_ros1, paths):
        raise ConfigError(
            f"{path} is a ROS 1 bag, which has no place for verdicts: check it without --save; "
            + conversion(path)
        )


def _episodes_of(path: Path) -> list[Path]:
    """Return the bag itself, or the episodes in a folder.

    Raises:
        BagError: it is neither of them.
    """
    from robot_recorder.bags.bag import read_bag
    from robot_recorder.bags.metadata import METADATA_FILE
    from robot_recorder.episodes.store import EpisodeStore

    if path.suffix == PARTIAL or os.path.lexists(path / METADATA_FILE):
        return [path]
    found = EpisodeStore(path).paths() or sorted(path.glob("*.bag"))  # of ROS 1, each by itself
    if not found:
        read_bag(path)  # raises unless it is a data file, and says what is there
        return [path]
    return found


def _try(path: Path, profile: Any, tasks: Any) -> CheckResult | str:
    from robot_recorder.offline.check import check_episode

    try:
        return check_episode(path, profile, tasks)
    except RecorderError as error:
        return str(error)
    except Exception as error:  # one that nobody has thought of must not hide the others
        return f"checking {path} failed: {type(error).__name__}: {error}"


def _all_checked(
    paths: list[Path], jobs: int, profile: Any, tasks: Any
) -> Iterator[tuple[Path, CheckResult | str]]:
    """Yield every path with its result, or a sentence about what failed, as soon as it is done."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    with ExitStack() as stack:
        few = len(paths) <= _FEW or jobs < 2
        pool = None
        if not few:
            context = multiprocessing.get_context("spawn")
            workers = ProcessPoolExecutor(min(jobs, len(paths)), context, begin_worker)
            pool = stack.enter_context(workers)
        told = stack.enter_context(counted("checking"))
        if pool is None:
            for number, path in enumerate(paths, 1):
                yield path, _try(path, profile, tasks)
                told(number, len(paths))
            return
        pending = {pool.submit(_try, path, profile, tasks): path for path in paths}
        for number, future in enumerate(as_completed(pending), 1):
            told(number, len(paths))
            try:
                yield pending[future], future.result()
            except BrokenProcessPool:
                yield pending[future], f"checking {pending[future]} killed its process"


def _plain(found: CheckResult) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "episode_id": found.episode_id,
        "problems": found.problems,
        "recording": found.recording,
        "messages": found.messages,
        **found.report.to_dict(),
    }


def _print(found: CheckResult, everything: bool) -> None:
    from robot_recorder.cli.episodes_table import VERDICT_STYLES
    from robot_recorder.cli.tables import PlainText, table_console
    from robot_recorder.model.check_result import Level
    from robot_recorder.quality.verdict import Verdict

    console, report = table_console(), found.report
    style = VERDICT_STYLES[report.verdict]
    console.print(
        PlainText(f"{found.path}: ").append(report.verdict.text, style),
        f"({plural(found.messages, 'message')}, {plural(len(report.results), 'check')}, "
        f"{plural(len(report.findings), 'finding')})",
        soft_wrap=True,
    )
    for problem in found.problems:
        console.print(PlainText(f"  file: {problem}", "red"), soft_wrap=True)
    for problem in found.recording:
        console.print(PlainText(f"  recording: {problem}", "yellow"), soft_wrap=True)
    if report.verdict is Verdict.UNKNOWN:
        console.print(PlainText(f"  {report.sentence}", "yellow"), soft_wrap=True)
    for result in report.results if everything else report.findings:
        where = f"{result.check} {result.stream}".strip()
        look = {Level.FAIL: "red", Level.WARN: "yellow"}.get(result.level, "")
        line = PlainText(f"  {result.level.name.lower()} ", look).append(
            f"{where}: {result.sentence}", ""
        )
        console.print(line, soft_wrap=True)
    for broken in report.broken:
        console.print(PlainText(f"  not checked: {broken}", "yellow"), soft_wrap=True)


def _print_summary(plain: list[dict[str, Any]]) -> None:
    verdicts = [p.get("verdict", "unreadable") for p in plain]
    counts = {v: verdicts.count(v) for v in dict.fromkeys(verdicts)}
    damaged = sum(bool(p.get("problems")) for p in plain)
    failed = sum(bool(p.get("recording")) for p in plain)
    words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    words += f"; {damaged} with damaged files" if damaged else ""
    words += f"; {failed} not recorded without losses" if failed else ""
    say(f"{plural(len(plain), 'episode')}: {words}")


COMMAND = Command(
    name="check",
    summary="check files and contents of episodes: accept, review or reject",
    details="Reads each bag and checks its files, its counts, and what its sensors recorded. "
    "Exit code 1: at least one episode is damaged or not accepted.",
    examples=(
        "robot-recorder check /data/episodes",
        "robot-recorder check EPISODE --all",
        "robot-recorder check /data/episodes --save --jobs 4",
        "robot-recorder check EPISODE --profile my_robot.yaml --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
