"""The documentation lists exactly the parameters that nodes declare, with their defaults."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.bags import small_robot
from support.robot import Bench, process

pytest.importorskip("rclpy")

from rcl_interfaces.srv import GetParameters, ListParameters

DOCS = Path(__file__).parents[2] / "docs"
OF_ROS = ("start_type_description_service", "qos_overrides")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


def declared(bench: Bench, node: str) -> dict[str, Any]:
    """Return names and values of a node's parameters."""
    names = bench.call(ListParameters, f"{node}/list_parameters").result.names
    names = [name for name in names if not name.startswith(OF_ROS)]
    found = bench.call(GetParameters, f"{node}/get_parameters", names=names).values
    fields = {1: "bool_value", 2: "integer_value", 3: "double_value", 4: "string_value"}
    return {n: getattr(v, fields[v.type]) if v.type else None for n, v in zip(names, found)}


def documented(page: str, section: str = "") -> dict[str, str]:
    """Read names and defaults from a page: from a table, or from a sentence (without defaults)."""
    text = (DOCS / page).read_text()
    if section:
        text = re.split(r"^## ", text.partition(f"## {section}\n")[2], flags=re.M)[0]
    found: dict[str, str] = {}
    for table in re.findall(r"^\| parameter \| default \|.*\n\|[-|]+\n((?:\|.*\n?)+)", text, re.M):
        for row in table.splitlines():
            names, default = (cell.strip() for cell in row.split("|")[1:3])
            each = re.findall(r"`(\w+)`", names)
            values = default.split(", ") if len(each) > 1 else [default]
            found |= dict(zip(each, values, strict=True))
    for sentence in re.findall(r"^Parameters?: ([^.]*?)(?:: \[|\.)", text, re.M):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", sentence), "")
    return found


def compare(listed: dict[str, str], there: dict[str, Any], given: set[str]) -> None:
    """Compare names, and defaults where the page gives a number, a boolean or a word."""
    assert set(listed) | {"use_sim_time"} == set(there) | {"use_sim_time"}
    for name, text in listed.items():
        word = re.fullmatch(r"`(\w+)`|([\d.]+|true|false)", text)
        if word and name not in given:
            value = yaml.safe_load(word[1] or word[2])
            assert there[name] == value and type(there[name]) is type(value), name


def test_the_parameters_of_recorder_synchronizer_and_labeller_are_documented(
    bench: Bench, tmp_path: Path
) -> None:
    with process("record", root=tmp_path / "e"):
        listed = documented("interfaces.md", "recorder")
        assert len(listed) > 10
        compare(listed, declared(bench, "recorder"), {"root"})
        for name in ("synchronizer", "labeller"):
            listed = documented("interfaces.md", name)
            assert listed
            compare(listed, declared(bench, name), set())


def test_all_parameters_of_the_recorder_can_be_given_at_launch() -> None:
    """ROS ignores unknown launch arguments, so that a missing one would be no error."""
    tree = ast.parse((DOCS.parent / "launch/record.launch.py").read_text())
    assigned = {
        n.targets[0].id: n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    arguments, recorder = (ast.literal_eval(assigned[n]) for n in ("ARGUMENTS", "recorder"))
    types = assigned["TYPES"]
    assert isinstance(types, ast.Dict)
    typed = {ast.literal_eval(k): ast.unparse(v) for k, v in zip(types.keys, types.values) if k}
    listed = documented("interfaces.md", "recorder")
    assert set(listed) == set(recorder) and set(recorder) <= set(arguments)
    for name, text in listed.items():
        if re.fullmatch(r"`?\w+`?|[\d.]+", text):
            default = yaml.safe_load(text.strip("`"))
            assert yaml.safe_load(arguments[name][0]) == default, name
            assert typed.get(name, "str") == type(default).__name__, name


def test_the_parameters_of_the_player_are_documented(bench: Bench, tmp_path: Path) -> None:
    bag = small_robot(tmp_path / "bag", 2)
    with process("player", episode=bag, paused=True, keyboard=False):
        listed = documented("playback.md")
        assert len(listed) > 5
        compare(listed, declared(bench, "player"), {"episode", "paused", "keyboard"})


def test_the_parameters_of_the_scene_are_documented(bench: Bench) -> None:
    with process("scene"):
        listed = documented("rviz.md")
        assert set(listed) == set(documented("interfaces.md", "scene"))
        compare(listed, declared(bench, "scene"), set())
