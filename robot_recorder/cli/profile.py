"""The command ``profile``: check a robot profile, or guess one from a bag."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.console import say, say_error, say_json, say_lines
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.model.errors import ConfigError

if TYPE_CHECKING:
    from robot_recorder.model.streams import RobotProfile


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="YAML file, or the name of a shipped profile")
    add_json(parser)


def _check(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_profile

    profile = load_profile(options.file)
    ros = _has_ros()
    problems = _missing_types(profile) if ros else []
    if options.json:
        say_json({
            "file": options.file, "robot": profile.robot, "streams": len(profile.streams),
            "aligned": len(profile.aligned), "frame_clock": profile.frame_clock.text,
            "types_checked": ros, "problems": problems,
        })  # fmt: skip
    for sentence in problems:
        say_error(f"error: {options.file}: {sentence}")
    if problems:
        return ExitCode.FAILED
    if not options.json:
        say(
            f"{profile.robot}: {len(profile.streams)} streams, {len(profile.aligned)} of them aligned "
            f"{profile.frame_clock.text}" + ("" if ros else " (types not checked: no ROS here)")
        )
    return ExitCode.OK


def _has_ros() -> bool:
    try:
        importlib.import_module("std_msgs")
    except ImportError:
        return False
    return True


def _missing_types(profile: RobotProfile) -> list[str]:
    """Return a sentence per stream whose message type is not installed."""
    from robot_recorder.messages.installed_types import message_class

    missing = []
    for stream in profile.streams:
        try:
            message_class(stream.type)
        except ConfigError as error:
            missing.append(f"stream '{stream.name}': {error}")
    return missing


def _add_guess_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", type=Path, help="bag directory")


def _guess(options: argparse.Namespace) -> int:
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.offline.plan import profile_yaml

    say_lines(profile_yaml(Episode.open(options.episode)))
    return ExitCode.OK


COMMAND = Command(
    name="profile",
    summary="check a robot profile, or guess one from a bag",
    examples=(
        "robot-recorder profile check my_robot.yaml",
        "robot-recorder profile guess BAG > my_robot.yaml",
    ),
    actions=(
        Command(
            name="check",
            summary="say what is wrong with a robot profile",
            examples=(
                "robot-recorder profile check my_robot.yaml",
                "robot-recorder profile check g1_sim --json",
            ),
            add_arguments=_add_check_arguments,
            run=_check,
        ),
        Command(
            name="guess",
            summary="print a robot profile for the topics of a bag",
            details="The profile is YAML, to be corrected by somebody who knows the robot.",
            examples=("robot-recorder profile guess BAG > my_robot.yaml",),
            add_arguments=_add_guess_arguments,
            run=_guess,
        ),
    ),
)
