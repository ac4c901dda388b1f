"""The command ``tasks``: what can be demonstrated, and whether a floor's own file is right."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from robot_recorder.cli.console import say, say_json
from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import Task
from robot_recorder.model.errors import ConfigError


def add_tasks(commands: Any) -> None:
    """The command ``tasks``."""
    tasks = commands.add_parser("tasks", help="list the tasks of a registry, and check it")
    tasks.add_argument("file", nargs="?", default="", help="YAML file; default: the shipped one")
    tasks.add_argument("--programme", metavar="ID", help="only the tasks of this programme")
    tasks.add_argument("--json", action="store_true", help="print them as JSON")
    tasks.set_defaults(run=_tasks)


def _tasks(options: argparse.Namespace) -> int:
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
        return 0
    _print(tasks)
    for programme in programmes.values():
        say(f"{programme.id}: {programme.title}. {programme.description}".rstrip())
    wanted = sum(task.target or 0 for task in tasks)
    say(f"{len(tasks)} tasks in {len(programmes)} programmes, {wanted} episodes wanted")
    return 0


def _plain(task: Task) -> dict[str, Any]:
    plain = asdict(task)
    del plain["text"]  # what is here, once more
    return plain


def _print(tasks: list[Task]) -> None:
    from robot_recorder.cli.tables import Table, table_console

    table = Table()
    for heading in ("programme", "task"):
        table.add_column(heading, no_wrap=True)
    table.add_column("instruction", min_width=24)
    for heading in ("expected s", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("contact", no_wrap=True)
    for heading in ("annotations", "failure causes"):
        table.add_column(heading)
    for task in tasks:
        span = "-" if task.least_s is None else f"{task.least_s:g}-{task.most_s:g}"
        table.add_row(
            task.programme or "-", task.id, task.instruction, span, str(task.target or "-"),
            task.contact.value, ", ".join(task.annotations) or "-",
            ", ".join(task.failure_causes) or "any",
        )  # fmt: skip
    table_console(180).print(table)
