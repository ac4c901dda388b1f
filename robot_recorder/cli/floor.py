"""The command ``floor``: a whole floor on this machine, with light robots, to look at or to break."""

from __future__ import annotations

import argparse
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json, number, whole_number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json

if TYPE_CHECKING:
    from robot_recorder.floor.sim.floor import FloorRun, SimFloor
    from robot_recorder.floor.sim.own_centre import OwnCentre

_MOST_ROBOTS = 1000
_DAY_S = 86_400


def _add_common(parser: argparse.ArgumentParser, pace_s: float) -> None:
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="keep everything here; default: a new one below .cache/floor"
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=number(1, _DAY_S), metavar="S", help="how long they record; default: until Ctrl-C"
    )  # fmt: skip
    parser.add_argument(
        "--pace", type=number(0.1, 3600), default=pace_s, metavar="S",
        help=f"from one take of a robot to the next; default: {pace_s:g}",
    )  # fmt: skip
    parser.add_argument(
        "--template", type=Path, metavar="BAG", help="episode to replay; default: a drawn one"
    )
    parser.add_argument(
        "--port", type=whole_number(0, 65_535), default=0, help="of the centre; 0: any free one"
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--robots", type=whole_number(1, _MOST_ROBOTS), default=10, metavar="N", help="default: 10"
    )
    _add_common(parser, 12)


def _add_sim(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "robots", type=whole_number(1, _MOST_ROBOTS), metavar="N", help="how many robots"
    )
    _add_common(parser, 10)
    parser.add_argument(
        "--per-process", type=whole_number(1, _MOST_ROBOTS), default=25, metavar="N",
        help="robots that share a process, and die together; default: 25",
    )  # fmt: skip
    parser.add_argument(
        "--episodes", type=whole_number(0, 10_000_000), default=0, metavar="N",
        help="stop recording after so many; 0: no limit",
    )  # fmt: skip
    parser.add_argument(
        "--faults", nargs="*", default=["all"], metavar="FAULT",
        help="what may break; default: all; none: give --faults-per-minute 0",
    )  # fmt: skip
    parser.add_argument(
        "--faults-per-minute", type=number(0, 6000), default=10.0, metavar="N", help="on average; default: 10"
    )  # fmt: skip
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**31),
        help="of all chance; default: a new one, which is printed",
    )
    parser.add_argument(
        "--database", default="", metavar="URL", help="of the centre; default: SQLite in the folder"
    )
    parser.add_argument(
        "--storage", default="", metavar="URL", help="of the centre; default: the folder"
    )
    add_json(parser)


@contextmanager
def _until_ctrl_c(floor: SimFloor) -> Iterator[None]:
    """Let Ctrl-C end the recording; a second one ends the program."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        floor.stop()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _folder(options: argparse.Namespace) -> Path:
    if options.folder is not None:
        return Path(options.folder).absolute()
    cache = Path(".cache/floor").absolute()
    cache.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=cache))


def _run_demo(options: argparse.Namespace) -> int:
    from robot_recorder.floor.sim.floor import SimFloor, SimSettings
    from robot_recorder.floor.sim.own_centre import OwnCentre

    folder = _folder(options)
    settings = SimSettings(
        folder=folder, robots=options.robots, per_process=5, seconds=options.seconds, pace_s=options.pace,
        take_s=min(8.0, options.pace * 0.6), free_after_s=120.0, drain_s=20.0, template=options.template,
        seed=time.time_ns() % 2**31,
    )  # fmt: skip
    say(
        f"starting a centre and {options.robots} light robots; everything is in {folder}",
        flush=True,
    )
    with (
        OwnCentre(folder / "centre", port=options.port, with_users=True) as centre,
        SimFloor(settings, centre) as floor,
    ):
        floor.start()
        for line in centre.invitation():
            say(line)
        say("Ctrl-C ends it", flush=True)
        with _until_ctrl_c(floor):
            floor.watch()
        say("ending the robots")
    return ExitCode.OK


def _run_sim(options: argparse.Namespace) -> int:
    from robot_recorder.floor.sim.floor import SimFloor, SimSettings, faults_named, plain_run
    from robot_recorder.floor.sim.own_centre import OwnCentre

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = _folder(options)
    seed = time.time_ns() % 2**31 if options.seed is None else options.seed
    settings = SimSettings(
        folder=folder, robots=options.robots, per_process=options.per_process, seconds=options.seconds,
        pace_s=options.pace, episodes=options.episodes, seed=seed, faults=faults_named(options.faults),
        faults_per_minute=options.faults_per_minute, template=options.template,
    )  # fmt: skip
    say_error(f"seed {seed}; everything is in {folder}")
    with ExitStack() as stack:
        centre: OwnCentre = stack.enter_context(
            OwnCentre(folder / "centre", options.database, options.storage, options.port)
        )
        floor = stack.enter_context(SimFloor(settings, centre))
        with _until_ctrl_c(floor):
            run = floor.run()
        for line in floor.left_out:
            say_error(f"left out: {line}")
    if options.json:
        say_json({"seed": seed, "folder": str(folder), **plain_run(run)}, indent=1)
    else:
        _print_run(run)
    account = run.account
    return ExitCode.FINDING if account.wrong or account.waiting else ExitCode.OK


def _print_run(run: FloorRun) -> None:
    from robot_recorder.cli.tables import Table, table_console

    table = Table("what", "number")
    for name, count in run.account.rows():
        table.add_row(name.replace("_", " "), str(count))
    for name, count in sorted(run.faults.items()):
        table.add_row(f"fault: {name.replace('_', ' ')}", str(count))
    console = table_console()
    console.print(table)
    for sentence in run.account.complaints:
        say_error(sentence)
    ended = (
        "not all was sent in time"
        if run.drain_s is None
        else f"all was sent {run.drain_s:.1f} s later"
    )
    say(f"recorded for {run.seconds:.0f} s; {ended}")


COMMAND = Command(
    name="floor",
    summary="run a centre and light robots on this machine, and break things",
    details="Light robots have real agents and real episodes, but no physics and no ROS 2.",
    examples=(
        "robot-recorder floor demo",
        "robot-recorder floor sim 100 --seconds 600 --faults-per-minute 20",
    ),
    actions=(
        Command(
            name="demo",
            summary="show ten light robots on a wall page until Ctrl-C",
            examples=("robot-recorder floor demo --robots 20 --pace 8",),
            add_arguments=_add_demo,
            run=_run_demo,
        ),
        Command(
            name="sim",
            summary="break things while robots record, then count bag by bag and label by label",
            details="Exit code 1: something is lost, doubled, differs, or was not sent in time.",
            examples=(
                "robot-recorder floor sim 10 --seconds 60 --seed 7",
                "robot-recorder floor sim 5 --per-process 1 --faults robots_killed centre_killed --seconds 60",
            ),
            add_arguments=_add_sim,
            run=_run_sim,
        ),
    ),
)
