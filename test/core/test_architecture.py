"""The rules of docs/architecture.md that can be read off the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "robot_recorder"
ROS = {"rclpy", "rosbag2_py", "std_msgs", "sensor_msgs", "geometry_msgs", "builtin_interfaces",
       "diagnostic_msgs", "std_srvs", "rcl_interfaces", "rosgraph_msgs", "visualization_msgs"}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def files(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("core"), ids=lambda p: p.name)
def test_core_is_pure(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "yaml", "robot_recorder"}
    for name in imported(path):
        assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
        assert not name.startswith("robot_recorder.") or name.startswith("robot_recorder.core")
        assert name not in ("os", "pathlib", "shutil"), f"{path.name} touches the disk: {name}"


@pytest.mark.parametrize(
    "folder", ["storage", "report", "cli", "alignment", "quality", "playback", "view"]
)
def test_offline_parts_need_no_ros(folder: str) -> None:
    for path in files(folder):
        found = {n for n in imported(path) if n.split(".")[0] in ROS or n in
                 ("robot_recorder.msg", "robot_recorder.srv")}  # fmt: skip
        if path.name in ("rosbag2_writer.py", "read_back.py"):
            found.discard("rosbag2_py")
        assert not found, f"{path.name} imports {found}"


def test_nobody_imports_the_nodes_but_nodes() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name not in ("nodes", "sim") and path.name != "demo.py":
            assert not any(n.startswith("robot_recorder.nodes") for n in imported(path)), path


def test_nodes_load_nothing_but_ros_and_numpy() -> None:
    """On a robot only ROS 2 is sure to be there; the rest is for the command line and the simulator."""
    pytest.importorskip("rclpy")
    code = (
        "import sys, robot_recorder.nodes.record; "
        "print(sorted({'mcap', 'rosbags', 'rich', 'matplotlib', 'cv2', 'scipy', 'mujoco'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "[]", done


def test_package_init_stays_empty() -> None:
    # The messages' generator writes an empty one over it.
    assert (PACKAGE / "__init__.py").read_text() == ""
