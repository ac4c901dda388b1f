"""The command ``tasks``: list the tasks of a registry, and check its file."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.configuration.tasks import Task


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default="", help="YAML file; default: the shipped one")
    parser.add_argument("--programme", metavar="ID", help="only the tasks of this programme")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_tasks

    registry = load_tasks(options.file)
    tasks = list(registry.tasks.values())
    if options.programme is not None:
        tasks = registry.of(options.programme)
    if not tasks:
        raise ConfigError(f"no task in {options.programme or options.file}; add at least one")
    programmes = {id: p for id, p in registry.programmes.items() if any(t.programme == id for t in tasks)}  # fmt: skip
    if options.json:
        plain = {
            "programmes": {id: asdict(programme) for id, programme in programmes.items()},
            "tasks": {task.id: _plain(task) for task in tasks},
        }
        say_json(plain)
        return ExitCode.OK
    _print(tasks)
    for programme in programmes.values():
        say(f"{programme.id}: {programme.title}. {programme.description}".rstrip())
    wanted = sum(task.target or 0 for task in tasks)
    say(
        f"{plural(len(tasks), 'task')} in {plural(len(programmes), 'programme')}, {plural(wanted, 'episode')} wanted"
    )
    return ExitCode.OK


def _plain(task: Task) -> dict[str, Any]:
    plain = asdict(task)
    del plain["registry"]  # the same as in the file
    return plain


def _print(tasks: list[Task]) -> None:
    from robot_recorder.cli.tables import Table, table_console

    table = Table()
    table.add_column("programme", no_wrap=True, drop=2)
    table.add_column("task", no_wrap=True)
    table.add_column("instruction", least=24)
    table.add_column("expected s", justify="right", no_wrap=True, drop=3)
    table.add_column("target", justify="right", no_wrap=True, drop=1)
    table.add_column("contact", no_wrap=True, drop=6)
    table.add_column("annotations", drop=5)
    table.add_column("failure causes", drop=4)
    for task in tasks:
        span = "-" if task.least_s is None else f"{task.least_s:g}-{task.most_s:g}"
        table.add_row(
            task.programme or "-", task.id, task.instruction, span, str(task.target or "-"),
            task.contact.value, ", ".join(task.annotations) or "-",
            ", ".join(task.failure_causes) or "any",
        )  # fmt: skip
    table_console(180).print(table)


COMMAND = Command(
    name="tasks",
    summary="list the tasks of a registry, and check its file",
    examples=(
        "robot-recorder tasks",
        "robot-recorder tasks my_tasks.yaml",
        "robot-recorder tasks --programme smart_home --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
