"""The launch file for playback agrees with the code, and runs if ``launch`` is installed."""

from __future__ import annotations

import ast
import importlib
from dataclasses import fields
from pathlib import Path

import pytest
from support.described import described_robot

from robot_recorder.rviz.stage import LaunchArguments, Program, Stage

FILE = Path(__file__).parents[2] / "launch/playback.launch.py"
TREE = ast.parse(FILE.read_text())


def test_the_declared_arguments_are_those_that_are_used() -> None:
    assigned = {
        target.id: node.value
        for node in TREE.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    arguments = assigned["ARGUMENTS"]
    assert isinstance(arguments, ast.Dict)
    defaults = {
        ast.literal_eval(key): ast.literal_eval(value.elts[0])
        for key, value in zip(arguments.keys, arguments.values)
        if key is not None and isinstance(value, ast.Tuple)
    }
    used: set[str] = set()

    class Noting(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            used.add(name)
            return super().__getitem__(name)

    wish = LaunchArguments.from_texts(Noting(defaults, episode="somewhere"))
    assert used == set(defaults)
    assert wish == LaunchArguments(wish.episode), "both must have the same defaults"


def test_it_uses_existing_names_of_the_package() -> None:
    imports = [n for n in ast.walk(TREE) if isinstance(n, ast.ImportFrom)]
    for node in imports:
        if (node.module or "").startswith("robot_recorder"):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names)
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    for name, kind in (("program", Program), ("stage", Stage)):
        has = {field.name for field in fields(kind)}
        assert {attribute for owner, attribute in used if owner == name} == has


def test_it_plays_an_episode(tmp_path: Path) -> None:
    launch = pytest.importorskip("launch")
    pytest.importorskip("launch_ros")
    pytest.importorskip("rclpy")
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    bag = described_robot(tmp_path / "007")
    service = launch.LaunchService()
    arguments = [("episode", str(bag)), ("rate", "4.0"), ("rviz", "false")]
    source = PythonLaunchDescriptionSource(str(FILE))
    included = IncludeLaunchDescription(source, launch_arguments=arguments)
    service.include_launch_description(launch.LaunchDescription([included]))
    assert service.run() == 0
