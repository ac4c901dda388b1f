"""The command ``profile``: check a robot profile, guess one, or make one step by step."""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json, number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.terminal import say, say_error, say_json, say_lines
from robot_recorder.model.errors import BagError, ConfigError

if TYPE_CHECKING:
    from robot_recorder.cli.profile_live import HeardStream
    from robot_recorder.cli.profile_rows import CheckedStream
    from robot_recorder.model.streams import RobotProfile

_SECONDS = 5.0


def _add_namespace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--namespace", default="", metavar="NAME",
        help="namespace of the robot, in which its relative topics are",
    )  # fmt: skip


def _add_seconds(parser: argparse.ArgumentParser, when: str) -> None:
    parser.add_argument(
        "--seconds", type=number(1, 600, "of seconds"), default=_SECONDS, metavar="S",
        help=f"how long to listen {when}; default: {_SECONDS:g}",
    )  # fmt: skip


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="YAML file, or the name of a shipped profile")
    parser.add_argument(
        "--live", type=number(0.5, 600, "of seconds"), metavar="SECONDS",
        help="also listen to the running robot: measured rates, a few values, silent streams",
    )  # fmt: skip
    _add_namespace(parser)
    add_json(parser)


def _check(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_profile

    profile = load_profile(options.file)
    return check_profile(options.file, profile, options.live, options.namespace, options.json)


def check_profile(
    file: str, profile: RobotProfile, live_s: float | None, namespace: str, as_json: bool
) -> int:
    """Print what is wrong with a profile, and return the exit code.

    Args:
        file: it was read from.
        profile: the profile.
        live_s: how long to listen to the robot, s; None: not at all.
        namespace: of the robot.
        as_json: print JSON.

    Raises:
        ConfigError: the robot cannot be listened to.
    """
    from robot_recorder.cli.profile_rows import checked_stream

    ros = _has_ros()
    rows = [checked_stream(stream, ros) for stream in profile.streams]
    problems = [f"stream '{row.stream.name}': {row.problem}" for row in rows if row.problem]
    warnings = [f"stream '{row.stream.name}': {row.warning}" for row in rows if row.warning]
    heard = _listened(profile, rows, live_s, namespace) if live_s and not problems else []
    warnings += [f"stream '{h.name}': {h.coarse}" for h in heard if h.coarse]
    silent = [h for h in heard if not h.count]
    if as_json:
        say_json({
            "file": file, "robot": profile.robot, "streams": len(profile.streams),
            "aligned": len(profile.aligned), "frame_clock": profile.frame_clock.text,
            "types_checked": ros, "problems": problems, "warnings": warnings,
            "rows": _plain_rows(rows, heard),
            "silent": [h.name for h in silent] if live_s else None,
        })  # fmt: skip
    elif not problems:
        _print(profile, rows, heard, ros)
    for sentence in warnings:
        say_error(f"warning: {file}: {sentence}")
    for one in silent:
        say_error(f"warning: {file}: stream '{one.name}': {one.silence}")
    for row in rows:
        if row.problem:
            where = _place(file, profile, row.stream.name)
            say_error(f"error: {where}: stream '{row.stream.name}': {row.problem}")
    if problems:
        return ExitCode.FAILED
    return ExitCode.FINDING if any(one.required for one in silent) else ExitCode.OK


def _place(file: str, profile: RobotProfile, stream: str) -> str:
    """Return file and line of a stream; only the file if another one includes it."""
    from robot_recorder.configuration.yaml_source import YamlMap

    streams = YamlMap.parse(profile.text, file).map("streams")
    merged = profile.text.startswith("# Merged from")  # its lines are not those of the file
    return file if merged or stream not in streams else streams.map(stream).place


def _listened(
    profile: RobotProfile, rows: list[CheckedStream], seconds: float, namespace: str
) -> list[HeardStream]:
    """Listen to a robot, and return what was heard of every stream."""
    from robot_recorder.cli.live_topics import LiveTopics
    from robot_recorder.cli.profile_live import heard_streams

    with LiveTopics() as live, progress("the robot") as told:
        live.listen(seconds, partial(told, "listening to"))
        topics = {topic.name: topic for topic in live.snapshot()}
    return heard_streams(rows, topics, namespace)


def _plain_rows(rows: list[CheckedStream], heard: list[HeardStream]) -> list[dict[str, Any]]:
    plain = [row.to_dict() for row in rows]
    for row, one in zip(plain, heard):
        row |= one.to_dict()
    return plain


def _print(
    profile: RobotProfile, rows: list[CheckedStream], heard: list[HeardStream], ros: bool
) -> None:
    """Print a row a stream, and a summary."""
    from robot_recorder.cli.tables import PlainText, Table, table_console

    table = Table()
    table.add_column("stream", no_wrap=True)
    table.add_column("topic", no_wrap=True, drop=3)
    table.add_column("type", no_wrap=True, drop=2)
    table.add_column("role", no_wrap=True, drop=4)
    table.add_column("values", least=20)
    table.add_column("Hz", justify="right", no_wrap=True)
    table.add_column("stamp", no_wrap=True, drop=1)
    table.add_column("policy", no_wrap=True, drop=5)
    if heard:
        table.add_column("measured Hz", justify="right", no_wrap=True)
        table.add_column("now", least=20)
    for number_, row in enumerate(rows):
        stream = row.stream
        role = stream.role.value + ("" if stream.required else ", optional")
        cells: list[Any] = [
            PlainText(stream.name, "yellow" if row.warning else ""), stream.topic, stream.type, role,
            row.values, "-" if stream.rate_hz is None else f"{stream.rate_hz:g}",
            row.clock or "-", stream.policy.value,
        ]  # fmt: skip
        if heard:
            one = heard[number_]
            cells[4] = one.values or row.values
            cells[6] = one.stamp or row.clock or "-"
            rate = f"{one.rate_hz:.4g}" if one.count > 1 else "silent" if not one.count else "-"
            cells += [PlainText(rate, "" if one.count else "red"), one.now]
        table.add_row(*cells)
    table_console(200).print(table)
    say(
        f"{profile.robot}: {len(profile.streams)} streams, {len(profile.aligned)} of them aligned "
        f"{profile.frame_clock.text}" + ("" if ros else " (types not checked: no ROS here)")
    )


def _has_ros() -> bool:
    try:
        importlib.import_module("std_msgs")
    except ImportError:
        return False
    return True


def _add_guess_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="?", type=Path, help="bag directory or file")
    parser.add_argument("--live", action="store_true", help="guess from the running robot instead")
    _add_seconds(parser, "with --live")
    _add_namespace(parser)


def _guess(options: argparse.Namespace) -> int:
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.offline.guess_bag import profile_yaml

    if options.live == (options.episode is not None):
        raise ConfigError("give either a bag or --live: profile guess BAG, profile guess --live")
    if options.live:
        say_lines(_guess_live(options.namespace, options.seconds))
    else:
        say_lines(profile_yaml(Episode.open(options.episode)))
    return ExitCode.OK


def _guess_live(namespace: str, seconds: float) -> str:
    """Listen to a robot, and return a profile for its topics."""
    from robot_recorder.cli.live_topics import LiveTopics
    from robot_recorder.cli.profile_live import guess_of_topics

    with LiveTopics(namespace) as live, progress("the robot") as told:
        took_s = live.listen(seconds, partial(told, "listening to"))
        topics = live.snapshot()
    if not topics:
        where = f" in the namespace {namespace}" if namespace else ""
        raise BagError(
            f"no topic is published{where}: start the robot's drivers, and check ROS_DOMAIN_ID"
        )
    return guess_of_topics(topics, took_s, namespace).text


def _add_new_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", type=Path, default=Path("my_robot.yaml"),
        help="YAML file to write; default: my_robot.yaml",
    )  # fmt: skip
    parser.add_argument("--bag", type=Path, metavar="BAG", help="from a bag; asks if not given")
    parser.add_argument("--live", action="store_true", help="from the running robot")
    _add_seconds(parser, "before the guess")
    _add_namespace(parser)


def _new(options: argparse.Namespace) -> int:
    from robot_recorder.cli.profile_new import Walk
    from robot_recorder.configuration.find import load_profile

    if options.live and options.bag is not None:
        raise ConfigError("give either --bag or --live")
    written = Walk(options.file, options.namespace, options.seconds).run(options.bag, options.live)
    if not written:
        return ExitCode.INTERRUPTED
    profile = load_profile(str(options.file))
    return check_profile(str(options.file), profile, None, options.namespace, False)


COMMAND = Command(
    name="profile",
    summary="check a robot profile, guess one, or make one step by step",
    examples=(
        "robot-recorder profile check my_robot.yaml",
        "robot-recorder profile guess --live > my_robot.yaml",
        "robot-recorder profile guess BAG > my_robot.yaml",
        "robot-recorder profile new my_robot.yaml",
    ),
    actions=(
        Command(
            name="check",
            summary="say what is wrong with a robot profile, and what each stream is",
            details="Prints a row a stream. With --live it also listens to the robot; exit code 1: a "
            "required stream is silent.",
            examples=(
                "robot-recorder profile check my_robot.yaml",
                "robot-recorder profile check my_robot.yaml --live 5",
                "robot-recorder profile check g1_sim --json",
            ),
            add_arguments=_add_check_arguments,
            run=_check,
        ),
        Command(
            name="guess",
            summary="print a robot profile for the topics of a running robot or of a bag",
            details="The profile is YAML, to be corrected by somebody who knows the robot. Messages of "
            "unknown types are mapped as far as their fields and values tell.",
            examples=(
                "robot-recorder profile guess --live > my_robot.yaml",
                "robot-recorder profile guess --live --namespace left_arm --seconds 10",
                "robot-recorder profile guess BAG > my_robot.yaml",
            ),
            add_arguments=_add_guess_arguments,
            run=_guess,
        ),
        Command(
            name="new",
            summary="make a robot profile step by step, with a look at the numbers",
            details="Asks about every topic, shows what its messages say, writes the profile and checks "
            "it. Ctrl-C keeps what is there in FILE.partial.",
            examples=(
                "robot-recorder profile new my_robot.yaml",
                "robot-recorder profile new my_robot.yaml --bag BAG",
            ),
            add_arguments=_add_new_arguments,
            run=_new,
        ),
    ),
)
