"""The command ``completion``: a script that completes commands, options and their values in a shell."""

from __future__ import annotations

import argparse

from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say_lines


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.commands import all_commands, complete_parser
    from robot_recorder.cli.completion_scripts import SCRIPTS
    from robot_recorder.cli.completion_words import commands_of

    words = list(commands_of(complete_parser(list(all_commands()))))
    say_lines(SCRIPTS[options.shell](words))
    return ExitCode.OK


COMMAND = Command(
    name="completion",
    summary="print a script that completes command lines in bash, zsh or fish",
    details="The script knows the commands that are installed now; print it again after an update.",
    examples=(
        "robot-recorder completion bash > ~/.local/share/bash-completion/completions/robot-recorder",
        "robot-recorder completion zsh > ~/.zfunc/_robot-recorder",
        "robot-recorder completion fish > ~/.config/fish/completions/robot-recorder.fish",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
