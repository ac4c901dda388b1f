"""The task registry: what can be demonstrated, and how each task is said."""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.core.errors import ConfigError
from robot_recorder.core.yaml_source import YamlMap, did_you_mean, is_name


@dataclass(frozen=True)
class Task:
    """One task of the registry.

    Attributes:
        id: what services and episodes call it.
        instruction: the natural-language sentence a policy is trained with.
        failure_causes: the causes a failed attempt may be given; any when empty.
    """

    id: str
    instruction: str
    failure_causes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskRegistry:
    """All tasks of a floor, by id."""

    tasks: dict[str, Task]

    def find(self, task_id: str) -> Task:
        """The task with this id.

        Raises:
            ConfigError: unknown; the message holds the nearest known ids.
        """
        task = self.tasks.get(task_id)
        if task is None:
            raise ConfigError(f"unknown task '{task_id}'; {did_you_mean(task_id, self.tasks)}")
        return task


def parse_tasks(text: str, source: str) -> TaskRegistry:
    """Read a task registry.

    Raises:
        ConfigError: naming file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(("tasks",))
    tasks: dict[str, Task] = {}
    for task_id, entry in top.map("tasks").items():
        if not is_name(task_id):
            entry.fail(
                f"task id '{task_id}' must be letters, digits and _; it is part of file names"
            )
        entry.allow(("instruction", "failure_causes"))
        tasks[task_id] = Task(task_id, entry.text("instruction"), entry.texts("failure_causes"))
    return TaskRegistry(tasks)
