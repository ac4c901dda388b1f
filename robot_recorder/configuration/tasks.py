"""The task registry: a floor's programmes, and the tasks that are demonstrated in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any

import yaml

from robot_recorder.configuration.quality import parse_quality
from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean, is_name
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.plain_data import DUMPER
from robot_recorder.model.quality_settings import NO_SETTINGS, QualitySettings
from robot_recorder.model.text import text_problem

_PROGRAMME_KEYS = ("title", "description", "scenes")
_TASK_KEYS = (
    "instruction", "programme", "variants", "scene", "objects", "expected_s", "target",
    "annotations", "contact", "failure_causes", "quality",
)  # fmt: skip
# The part of BCP 47 that is needed: a language, optionally a script and a region.
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?\Z")


class Contact(str, Enum):
    """The robot's tactile pads that touch something in a good take."""

    NONE = "none"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True)
class Programme:
    """A group of tasks: one kind of place that robots are trained for.

    Attributes:
        id: identifier used by tasks.
        title: name shown to people.
        description: one sentence.
        scenes: names of its places; empty: any.
    """

    id: str
    title: str
    description: str = ""
    scenes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task of the registry.

    Attributes:
        id: identifier used by services and episodes.
        instruction: the natural-language sentence a policy is trained with.
        failure_causes: allowed causes of a failed attempt; empty: any.
        programme: id of its programme; empty: none.
        variants: paraphrases and translations of the instruction, by language tag.
        scene: name of the place; empty: not given.
        objects: names of the objects that are handled.
        least_s, most_s: shortest and longest duration of a good take, s; None: unlimited.
        target: wanted number of successful episodes; None: not given.
        annotations: names of the annotations that a finished episode should have.
        contact: tactile pads that touch something in a good take.
        quality: settings for the quality checks of its episodes.
        registry: a registry with only this task and its programme, as it is written in YAML.
    """

    id: str
    instruction: str
    failure_causes: tuple[str, ...] = ()
    programme: str = ""
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    scene: str = ""
    objects: tuple[str, ...] = ()
    least_s: float | None = None
    most_s: float | None = None
    target: int | None = None
    annotations: tuple[str, ...] = ()
    contact: Contact = Contact.NONE
    quality: QualitySettings = field(default=NO_SETTINGS, hash=False)
    registry: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def text(self) -> str:
        """YAML of ``registry``, stored in episodes; empty: the task is of no file."""
        if not self.registry:
            return ""
        return yaml.dump(
            dict(self.registry), Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=100
        )


@dataclass(frozen=True)
class TaskRegistry:
    """All tasks and programmes of a floor, by id."""

    tasks: dict[str, Task]
    programmes: dict[str, Programme] = field(default_factory=dict)

    def find(self, task_id: str) -> Task:
        """Return a task by its id.

        Raises:
            ConfigError: the id is unknown; the message names the most similar ids.
        """
        task = self.tasks.get(task_id)
        if task is None:
            raise ConfigError(f"unknown task '{task_id}'; {did_you_mean(task_id, self.tasks)}")
        return task

    def of(self, programme: str) -> list[Task]:
        """Return the tasks of a programme, in the order of the file.

        Raises:
            ConfigError: the programme is unknown; the message names the most similar ids.
        """
        if programme not in self.programmes:
            hint = did_you_mean(programme, self.programmes)
            raise ConfigError(f"unknown programme '{programme}'; {hint}")
        return [task for task in self.tasks.values() if task.programme == programme]


@lru_cache(maxsize=8)  # the nodes of a process read the same one; so do labels of many episodes
def parse_tasks(text: str, source: str = "task_yaml") -> TaskRegistry:
    """Parse a task registry.

    Args:
        text: the YAML.
        source: its file name, for error messages.

    Raises:
        ConfigError: the registry is invalid; the message names file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(("programmes", "tasks"))
    entries = top.map("programmes").items() if "programmes" in top else ()
    programmes = {id: _parse_programme(id, entry) for id, entry in entries}
    tasks = {id: _parse_task(id, entry, programmes) for id, entry in top.map("tasks").items()}
    return TaskRegistry(tasks, programmes)


def _parse_programme(id: str, entry: YamlMap) -> Programme:
    if not is_name(id):
        entry.fail(f"programme id '{id}' must be letters, digits and _ and start with a letter")
    entry.allow(_PROGRAMME_KEYS)
    description = " ".join(entry.text("description", "").split())
    if problem := text_problem("instruction", description, "it"):
        entry.fail_at("description", problem)
    return Programme(id, _sentence(entry, "title"), description, _names(entry, "scenes"))


def _parse_task(id: str, entry: YamlMap, programmes: dict[str, Programme]) -> Task:
    if not is_name(id):
        entry.fail(f"task id '{id}' must be letters, digits and _; it is part of file names")
    if problem := text_problem("task", id):
        entry.fail(problem)
    entry.allow(_TASK_KEYS)
    programme = entry.choice("programme", programmes) if "programme" in entry else ""
    least_s, most_s = _expected_s(entry)
    task = Task(
        id=id,
        instruction=_sentence(entry, "instruction"),
        failure_causes=_names(entry, "failure_causes"),
        programme=programme,
        variants=_variants(entry),
        scene=_scene(entry, programmes.get(programme)),
        objects=_names(entry, "objects"),
        least_s=least_s,
        most_s=most_s,
        target=_target(entry),
        annotations=_names(entry, "annotations"),
        contact=Contact(entry.choice("contact", [c.value for c in Contact], Contact.NONE.value)),
        quality=parse_quality(entry),
    )
    return replace(task, registry=_alone(task, entry, programmes.get(programme)))


def _sentence(entry: YamlMap, key: str) -> str:
    """Parse a text that must not be empty, and join its lines."""
    sentence = " ".join(entry.text(key).split())
    if not sentence:
        entry.fail_at(key, "is empty; write a sentence")
    if problem := text_problem("instruction", sentence, "it"):
        entry.fail_at(key, problem)
    return sentence


def _names(entry: YamlMap, key: str) -> tuple[str, ...]:
    """Parse a list of unique names."""
    names = entry.texts(key)
    for number, name in enumerate(names):
        if not is_name(name):
            entry.fail_at(key, f"'{name}' must be letters, digits and _ and start with a letter")
        if problem := text_problem("name", name, f"'{name}'"):
            entry.fail_at(key, problem)
        if name in names[:number]:
            entry.fail_at(key, f"'{name}' is listed twice; remove one")
    return names


def _variants(entry: YamlMap) -> dict[str, tuple[str, ...]]:
    """Parse other sentences for an instruction, by language tag."""
    if "variants" not in entry:
        return {}
    by_language = entry.map("variants")
    variants: dict[str, tuple[str, ...]] = {}
    for tag in by_language:
        if not _LANGUAGE.match(tag):
            by_language.fail_at(tag, "is not a language tag such as en, de or zh-CN")
        variants[tag] = tuple(" ".join(sentence.split()) for sentence in by_language.texts(tag))
        if not all(variants[tag]):
            by_language.fail_at(tag, "a sentence is empty; write one, or remove it")
        for sentence in variants[tag]:
            if problem := text_problem("instruction", sentence, "a sentence"):
                by_language.fail_at(tag, problem)
    return variants


def _scene(entry: YamlMap, programme: Programme | None) -> str:
    if "scene" not in entry:
        return ""
    if programme is not None and programme.scenes:
        return entry.choice("scene", programme.scenes)
    scene = entry.text("scene")
    if not is_name(scene):
        entry.fail_at("scene", f"'{scene}' must be letters, digits and _ and start with a letter")
    return scene


def _expected_s(entry: YamlMap) -> tuple[float | None, float | None]:
    if "expected_s" not in entry:
        return None, None
    value = entry.value("expected_s")
    numbers = isinstance(value, list) and all(type(v) in (int, float) for v in value)
    if not numbers or len(value) != 2 or not 0 < value[0] < value[1] < float("inf"):
        entry.fail_at("expected_s", f"expected two rising positive numbers, in s, got {value!r}")
    return float(value[0]), float(value[1])


def _target(entry: YamlMap) -> int | None:
    if "target" not in entry:
        return None
    value = entry.value("target")
    if type(value) is not int or value < 1:
        entry.fail_at("target", f"expected a positive whole number of episodes, got {value!r}")
    return value


def _alone(task: Task, entry: YamlMap, programme: Programme | None) -> dict[str, Any]:
    """Return ``Task.registry``, with every key of the file, so that none is lost in the episode."""
    plain = {key: entry.value(key) for key in entry}
    plain["instruction"] = task.instruction
    if task.variants:  # YAML would read a tag like "no" as a boolean
        plain["variants"] = {tag: list(said) for tag, said in task.variants.items()}
    registry: dict[str, Any] = {"tasks": {task.id: plain}}
    if programme is not None:
        about = {
            "title": programme.title,
            "description": programme.description,
            "scenes": list(programme.scenes),
        }
        registry = {"programmes": {programme.id: about}, **registry}
    return registry
