"""``robot-recorder play``: an episode on its topics again, by the node ``player``, which needs ROS."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from robot_recorder.cli.chosen import HELP, chosen_episode
from robot_recorder.cli.processes import node_command
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import ConfigError
from robot_recorder.playback.playhead import checked_rate
from robot_recorder.playback.selection import choose

_LEAST_CLOCK_HZ = 0.1
_NAMESPACE = re.compile(r"/?(?:[A-Za-z_]\w*(?:/[A-Za-z_]\w*)*)?/?", re.ASCII)


def add_play(commands: Any) -> None:
    """The command ``play``."""
    play = commands.add_parser(
        "play",
        help="publish an episode's messages over ROS as they were recorded",
        description="Publishes the messages of a bag, of anybody's, at their recorded times and with their "
        "recorded QoS. Exit code 0: played; 1: not to its end; 2: it could not be played at all.",
    )
    play.add_argument("episode", nargs="?", type=Path, default=Path("episodes"), help=HELP)
    play.add_argument("--rate", type=float, default=1.0, help="2.0: twice as fast; default: 1.0")
    play.add_argument("--start", type=float, default=0.0, metavar="S", help="s from the beginning")
    play.add_argument("--loop", action="store_true", help="begin again at the end")
    play.add_argument("--paused", action="store_true", help="begin paused")
    play.add_argument(
        "--clock", type=float, default=100.0, metavar="HZ",
        help="messages on /clock a second; 0: none; default: 100",
    )  # fmt: skip
    play.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="only these")
    play.add_argument("--namespace", default="", help="namespace of the node and its services")
    play.add_argument("--no-keyboard", action="store_true", help="do not listen to keys")
    play.add_argument(
        "--wait", type=float, default=1.0, metavar="S",
        help="s that readers are given to be discovered; default: 1",
    )  # fmt: skip
    play.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="ARGS",
        help="what follows is the node's, such as -r /joint_states:=/then/joint_states",
    )  # fmt: skip
    play.set_defaults(run=_play)


def _play(options: argparse.Namespace) -> int:
    checked_rate(options.rate)
    for name in ("clock", "wait"):
        if not 0 <= getattr(options, name) < float("inf"):
            raise ConfigError(f"--{name} {getattr(options, name):g} is not a number from 0 on")
    if 0 < options.clock < _LEAST_CLOCK_HZ:
        raise ConfigError(
            f"--clock {options.clock:g} is too slow: from {_LEAST_CLOCK_HZ:g} on, or 0"
        )
    if not _NAMESPACE.fullmatch(options.namespace):
        raise ConfigError(f"--namespace '{options.namespace}' is none: letters, digits, _ and /")
    episode = Episode.open(chosen_episode(options.episode.expanduser()))
    choose(episode, options.topics, options.start)  # which may refuse, before ROS is loaded
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
    # As JSON, which is YAML: text stays text, also where it looks like a number.
    given = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    return [*node_command("player", given, options.namespace.strip("/")), *options.ros_args]
