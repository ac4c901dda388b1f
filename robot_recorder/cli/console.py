"""The command ``console``: serve the operator's console, by a process of its own that needs ROS."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from robot_recorder.cli.arguments import add_https
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.model.errors import ConfigError

# Options that become parameters of the node of the same name.
_FILES = ("users", "token", "certificate", "key")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.configuration.words import LANGUAGES

    parser.add_argument(
        "root", nargs="?", type=Path, default=Path("episodes"),
        help="directory of the episodes, the recorder's; default: episodes",
    )  # fmt: skip
    parser.add_argument(
        "--profile", default="g1_sim", metavar="FILE", help="the recorder's robot profile"
    )
    parser.add_argument("--tasks", default="", metavar="FILE", help="the recorder's task registry")
    parser.add_argument("--namespace", default="", metavar="NAME", help="namespace of the robot")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen on; other than this machine's own need --users or --token",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8080, help="default: 8080; 0: any free one")
    parser.add_argument(
        "--users", type=Path, metavar="FILE", help="who may log in; see console user"
    )
    parser.add_argument(
        "--token", type=Path, metavar="FILE", help="a secret that makes an operator"
    )
    add_https(parser)
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the pages")
    parser.add_argument(
        "--buttons",
        default="keyboard",
        metavar="FILE",
        help="key bindings: a file, or one of config/buttons",
    )


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.processes import as_parameters, node_command

    for name, package in (
        ("rclpy", "ROS 2: source its setup file"),
        ("fastapi", "pip install -r requirements/console.txt"),
    ):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"the console needs {name}, which is not found: {package}")
    values: dict[str, Any] = {
        "root": str(options.root.expanduser().absolute()),
        "allowed_hosts": ",".join(options.allowed_host),
        **{n: getattr(options, n) for n in ("profile", "tasks", "host", "port", "language", "buttons")},
        **{n: str(path.absolute()) for n in _FILES if (path := getattr(options, n)) is not None},
    }  # fmt: skip
    command = node_command("console", as_parameters(values), options.namespace.strip("/"))
    sys.stdout.flush()
    os.execv(command[0], command)


def _add_user_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.configuration.users import UserRole

    roles = [role.value for role in UserRole]
    parser.add_argument("name", help="of the user, as it will be in labels")
    parser.add_argument("--role", choices=roles, default="operator", help="default: operator")
    parser.add_argument(
        "--users", type=Path, default=Path("users.yaml"), metavar="FILE", help="default: users.yaml"
    )
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def _add_user(options: argparse.Namespace) -> int:
    """Add a user to a users file, or give them another password or role."""
    import yaml

    from robot_recorder.bags.files import FILE_MODE, replace_text, set_mode
    from robot_recorder.cli.terminal import say
    from robot_recorder.model.text import text_problem

    if problem := text_problem("by", options.name, "the name"):
        raise ConfigError(problem)
    hashed = _hash(_password(options))
    users: dict[str, Any] = {}
    if options.users.exists():
        from robot_recorder.configuration.users import load_users

        users = {
            name: {"role": entry.role.value, "password": entry.hashed}
            for name, entry in load_users(options.users).items()
        }
    known = options.name in users
    users[options.name] = {"role": options.role, "password": hashed}
    text = yaml.safe_dump({"users": users}, sort_keys=False, allow_unicode=True)
    try:
        replace_text(options.users, text)
        set_mode(options.users, FILE_MODE & 0o600)
    except OSError as error:
        raise ConfigError(
            f"{options.users} cannot be written: {error.strerror or error}"
        ) from error
    say(
        f"{options.name} ({options.role}) {'is changed' if known else 'is added'} in {options.users}"
    )
    return ExitCode.OK


def _password(options: argparse.Namespace) -> str:
    import getpass

    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass("password: ")
        if getpass.getpass("again: ") != password:
            raise ConfigError("the passwords differ: nothing is changed")
    if len(password) < 8:
        raise ConfigError("the password has fewer than 8 characters: give a longer one")
    return password


def _hash(password: str) -> str:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise ConfigError(
            "argon2-cffi is needed: pip install -r requirements/console.txt"
        ) from error
    return PasswordHasher().hash(password)


COMMAND = Command(
    name="console",
    summary="serve the operator's console: shifts, previews, review, in any browser",
    details="Needs ROS 2, a recorder and the node `operator`; `ros2 launch robot_recorder record.launch.py "
    "console:=true` starts all of them.",
    examples=(
        "robot-recorder console /data/episodes --profile my_robot.yaml",
        "robot-recorder console user ann --role inspector --users users.yaml",
        "robot-recorder console /data/episodes --host 0.0.0.0 --users users.yaml --certificate c.pem --key k.pem",
    ),
    add_arguments=_add_arguments,
    run=_run,
    actions=(
        Command(
            name="user",
            summary="add a user, or give them another password or role",
            examples=("robot-recorder console user ann --role inspector",),
            add_arguments=_add_user_arguments,
            run=_add_user,
        ),
    ),
)
