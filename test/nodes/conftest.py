"""The profile and the root that a recorder of these tests is given, and a log to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.robot import PROFILE


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "bench.yaml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("episodes")


@pytest.fixture(scope="module")
def log() -> Iterator[Any]:
    """The NodeLog of a node that does nothing else."""
    import rclpy
    from rclpy.node import Node

    from robot_recorder.nodes.log import NodeLog

    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("log", context=context)
    yield NodeLog(node)
    node.destroy_node()
    context.try_shutdown()
