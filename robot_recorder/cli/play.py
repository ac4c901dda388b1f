"""The command ``play``: publish an episode on its topics again, by the node ``player``, which needs ROS."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from pathlib import Path

from robot_recorder.cli.arguments import real
from robot_recorder.cli.command import Command
from robot_recorder.cli.episode_argument import HELP, chosen_episode
from robot_recorder.model.errors import ConfigError

_LEAST_CLOCK_HZ = 0.1
_NAMESPACE = re.compile(r"/?(?:[A-Za-z_]\w*(?:/[A-Za-z_]\w*)*)?/?", re.ASCII)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="?", type=Path, default=Path("episodes"), help=HELP)
    parser.add_argument(
        "--rate", type=real, default=1.0, metavar="FACTOR", help="2.0: twice as fast; default: 1.0"
    )
    parser.add_argument(
        "--start", type=real, default=0.0, metavar="S", help="begin S seconds after its beginning"
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--paused", action="store_true", help="begin paused")
    parser.add_argument(
        "--clock", type=real, default=100.0, metavar="HZ",
        help="messages on /clock per second; 0: none; default: 100",
    )  # fmt: skip
    parser.add_argument(
        "--topics", nargs="+", default=[], metavar="TOPIC", help="only these topics"
    )
    parser.add_argument(
        "--namespace", default="", metavar="NAME", help="namespace of the node and its services"
    )
    parser.add_argument("--no-keyboard", action="store_true", help="do not listen to keys")
    parser.add_argument(
        "--wait", type=real, default=1.0, metavar="S",
        help="wait this long for subscribers before playing; default: 1",
    )  # fmt: skip
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="ARGS",
        help="everything after this goes to the node, such as -r /joint_states:=/then/joint_states",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.playback.playhead import checked_rate
    from robot_recorder.playback.selection import choose

    checked_rate(options.rate)
    for name in ("clock", "wait"):
        if not 0 <= getattr(options, name) < float("inf"):
            raise ConfigError(f"--{name} {getattr(options, name):g} is not a number from 0 on")
    if 0 < options.clock < _LEAST_CLOCK_HZ:
        raise ConfigError(
            f"--clock {options.clock:g} is too slow: give at least {_LEAST_CLOCK_HZ:g}, or 0"
        )
    if not _NAMESPACE.fullmatch(options.namespace):
        raise ConfigError(
            f"--namespace '{options.namespace}' is invalid: use letters, digits, _ and /"
        )
    episode = Episode.open(chosen_episode(options.episode.expanduser()))
    choose(episode, options.topics, options.start)  # raises what is wrong before ROS is loaded
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError(
            "playing needs ROS 2: source its setup file first (rclpy is not found); "
            "`robot-recorder view` shows an episode without it"
        )
    command = _command(episode.path, options)
    sys.stdout.flush()
    # In this process's place, so that keys and signals reach the player itself.
    os.execv(command[0], command)


def _command(episode: Path, options: argparse.Namespace) -> list[str]:
    from robot_recorder.cli.processes import as_parameters, node_command

    values = {
        "episode": str(episode.absolute()),
        "rate": options.rate,
        "start": options.start,
        "loop": options.loop,
        "paused": options.paused,
        "clock_hz": options.clock,
        "keyboard": not options.no_keyboard,
        "wait_s": options.wait,
    }
    if options.topics:
        values["topics"] = options.topics
    namespace = options.namespace.strip("/")
    return [*node_command("player", as_parameters(values), namespace), *options.ros_args]


COMMAND = Command(
    name="play",
    summary="publish an episode's messages over ROS 2 as they were recorded",
    details="Publishes the messages of any rosbag2 bag at their recorded times and with their recorded QoS. Keys "
    "pause, step and seek. Exit code 1: not everything could be played.",
    examples=(
        "robot-recorder play EPISODE",
        "robot-recorder play EPISODE --rate 0.5 --start 2 --loop",
        "robot-recorder play EPISODE --topics /joint_states --no-keyboard",
        "robot-recorder play EPISODE --ros-args -r /joint_states:=/then/joint_states",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
