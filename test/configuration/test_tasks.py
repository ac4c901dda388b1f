"""The task registry: valid files, errors of invalid ones, and the text stored in episodes."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import Contact, Programme, Task, parse_tasks
from robot_recorder.configuration.yaml_source import is_name
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.text import text_problem
from robot_recorder.sim.tasks import TASKS as SIMULATED

MINIMAL = "tasks:\n  lift_box:\n    instruction: Lift it.\n    failure_causes: [slip]\n"

FULL = """\
programmes:
  home:
    title: Smart home
    description: Work in a flat.
    scenes: [kitchen, hall]
tasks:
  wipe:
    instruction: Wipe the table.
    programme: home
    variants:
      en: [Clean the table.]
      de: [Wische den Tisch., "Putze den Tisch."]
      no: [Tørk av bordet.]
      zh-CN: [擦桌子。]
    scene: kitchen
    objects: [cloth, table]
    expected_s: [5, 60.5]
    target: 200
    annotations: [grasp, wipe]
    contact: any
    quality: {budget: {warn: 3}}
    failure_causes: [spot_left]
"""


def test_a_task_needs_only_an_instruction() -> None:
    task = parse_tasks(MINIMAL, "tasks.yaml").find("lift_box")
    assert task == Task("lift_box", "Lift it.", ("slip",))
    assert task.contact is Contact.NONE and task.target is None and task.least_s is None


def test_all_keys_of_a_task_are_read() -> None:
    registry = parse_tasks(FULL, "tasks.yaml")
    task = registry.find("wipe")
    assert registry.programmes == {
        "home": Programme("home", "Smart home", "Work in a flat.", ("kitchen", "hall"))
    }
    assert registry.of("home") == [task]
    assert task.variants["de"] == ("Wische den Tisch.", "Putze den Tisch.")
    assert set(task.variants) == {"en", "de", "no", "zh-CN"}
    assert (task.programme, task.scene, task.objects) == ("home", "kitchen", ("cloth", "table"))
    assert (task.least_s, task.most_s, task.target) == (5.0, 60.5, 200)
    assert (task.annotations, task.contact) == (("grasp", "wipe"), Contact.ANY)
    assert hash(task) == hash(parse_tasks(FULL).find("wipe"))


def test_the_lines_of_a_sentence_are_joined() -> None:
    text = "tasks:\n  a:\n    instruction: >\n      Lift\n      the box.\n"
    assert parse_tasks(text).find("a").instruction == "Lift the box."


def test_unknown_ids_are_refused_with_the_most_similar_ones() -> None:
    registry = parse_tasks(MINIMAL, "tasks.yaml")
    with pytest.raises(ConfigError, match="lift_boxes.*did you mean 'lift_box'"):
        registry.find("lift_boxes")
    with pytest.raises(ConfigError, match=r"unknown task 'fold_cloths'.*'fold_cloth' or "):
        load_tasks().find("fold_cloths")
    with pytest.raises(ConfigError, match=r"smart_hom'; did you mean 'smart_home'"):
        load_tasks().of("smart_hom")


@pytest.mark.parametrize(
    ("text", "word"),
    [("tasks:\n  a: {}\n", "instruction"), ("tasks:\n  a: {instruction: 3}\n", "text"),
     ("tasks:\n  a: {instruction: x, failure_causes: slip}\n", "list"), ("jobs: {}\n", "jobs"),
     ("tasks:\n  a: wipe it\n", "mapping"), ("tasks: [a]\n", "mapping")],
)  # fmt: skip
def test_an_invalid_registry_is_refused(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_tasks(text, "tasks.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("  wipe:", "  wipe-it:", 8, ["wipe-it", "letters"]),
        ("  home:", "  my home:", 3, ["programme id 'my home'"]),
        ("title: Smart home", "titel: Smart home", 3, ["'titel'", "did you mean 'title'"]),
        ("instruction: Wipe the table.", "instruction: ' '", 8, ["'instruction'", "is empty"]),
        ("programme: home", "programme: hom", 9, ["'hom'", "did you mean 'home'"]),
        ("de: [Wische", "deutsch: [Wische", 12, ["'deutsch'", "language tag"]),
        ("[Clean the table.]", "['']", 11, ["'en'", "empty"]),
        ("[Clean the table.]", "Clean the table.", 11, ["'en'", "list"]),
        ("scene: kitchen", "scene: kitchn", 15, ["did you mean 'kitchen'"]),
        ("[cloth, table]", "[cloth, cloth]", 16, ["'cloth' is listed twice"]),
        ("[5, 60.5]", "[60, 5]", 17, ["two rising positive numbers"]),
        ("[5, 60.5]", "[0, 5]", 17, ["two rising positive numbers"]),
        ("[5, 60.5]", "[5, .nan]", 17, ["two rising positive numbers"]),
        ("[5, 60.5]", "60", 17, ["two rising positive numbers"]),
        ("target: 200", "target: 0", 18, ["positive whole number"]),
        ("target: 200", "target: 1.5", 18, ["positive whole number"]),
        ("target: 200", "target: true", 18, ["positive whole number"]),
        ("[grasp, wipe]", "[grasp it]", 19, ["'grasp it'", "letters"]),
        ("contact: any", "contact: some", 20, ["'some'", "none"]),
        ("[spot_left]", "[spot left]", 22, ["'spot left'"]),
        ("failure_causes:", "failure_cause:", 22, ["did you mean 'failure_causes'"]),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_remedy(old: str, new: str, line: int, words: list[str]) -> None:
    assert old in FULL
    with pytest.raises(ConfigError) as caught:
        parse_tasks(FULL.replace(old, new, 1), "floor.yaml")
    message = str(caught.value)
    # an error in a mapping names the line of its first entry
    assert message.startswith((f"floor.yaml:{line}:", f"floor.yaml:{line + 1}:")), message
    for word in words:
        assert word in message, message


# -- the text stored in episodes

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)


def test_a_description_that_cannot_be_stored_is_refused_with_the_file() -> None:
    text = 'programmes: {p: {title: P, description: "a\\ud800b"}}\ntasks: {t: {instruction: T., programme: p}}\n'
    with pytest.raises(ConfigError, match=r"description.*U\+D800|description"):
        parse_tasks(text, "tasks.yaml")


sentences = st.text(min_size=1, max_size=20).filter(
    lambda text: text.split() and not text_problem("instruction", " ".join(text.split()))
)
some_names = st.lists(names, max_size=3, unique=True)
tasks = st.fixed_dictionaries(
    {"instruction": sentences},
    optional={
        "variants": st.dictionaries(
            st.sampled_from(["en", "de", "no", "zh", "zh-Hans", "pt-BR"]),
            st.lists(sentences, max_size=2),
        ),
        "scene": names,
        "objects": some_names,
        "expected_s": st.tuples(st.floats(0.1, 9), st.integers(10, 99)).map(list),
        "target": st.integers(1, 10**6),
        "annotations": some_names,
        "contact": st.sampled_from([c.value for c in Contact]),
        "failure_causes": some_names,
        "quality": st.builds(lambda warn: {"budget": {"warn": warn}}, st.integers(0, 9)),
    },
)


@given(st.dictionaries(names, tasks, min_size=1, max_size=3), names, sentences)
def test_a_tasks_text_is_a_complete_registry(
    plain: dict[str, dict], programme: str, title: str
) -> None:
    for task in plain.values():
        task["programme"] = programme
    # quoted, because YAML does not read `on` and `1e5` as text
    text = yaml.safe_dump({"programmes": {programme: {"title": title}}, "tasks": plain})
    registry = parse_tasks(text, "tasks.yaml")
    for id, known in registry.tasks.items():
        alone = parse_tasks(known.text, "episode")
        assert alone.find(id) == known and alone.programmes == registry.programmes
        assert list(alone.tasks) == [id]
        assert alone.find(id).text == known.text
        assert yaml.safe_load(known.text)["tasks"][id].get("quality") == plain[id].get("quality")


# -- the shipped registry


def test_the_shipped_registry_is_complete() -> None:
    registry = load_tasks()
    assert set(registry.programmes) == {"assembly_line", "smart_home", "eldercare"}
    assert {
        "carry_tray", "fold_clothes", "fetch_from_shelf", "sort_materials", "iron_clothes", "clean_table", *SIMULATED,
    } <= set(registry.tasks)  # fmt: skip
    for programme in registry.programmes.values():
        assert programme.description and programme.scenes
        assert len(registry.of(programme.id)) >= 4
    for task in registry.tasks.values():
        assert task.programme and task.scene and task.objects, task.id
        assert {"en", "de", "zh"} <= set(task.variants) and all(task.variants.values()), task.id
        assert task.instruction not in task.variants["en"]
        assert task.least_s and task.most_s and task.target and task.annotations, task.id
        assert task.failure_causes and all(map(is_name, task.failure_causes))
        assert parse_tasks(task.text).find(task.id) == task


def test_the_shipped_registry_fits_the_simulated_robot() -> None:
    """It has the failure causes of the simulation, and the phases that the demo annotates."""
    for task_id in SIMULATED:
        task = load_tasks().find(task_id)
        assert set(task.failure_causes) >= {"missed_grasp", "unfinished"}
        phases = {
            "reach", "grasp", "lift", "hold", "carry", "place", "release", "open", "wipe", "close", "pull",
            "pour",
        }  # fmt: skip
        assert set(task.annotations) <= phases, task_id
        assert task.least_s and task.most_s and task.least_s <= 20 and task.most_s >= 15
        two_hands = ("lift_box", "carry_tray", "serve_tray", "return_box", "bring_walker")
        assert (task.contact is Contact.ALL) == (task_id in two_hands), task_id
