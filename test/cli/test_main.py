"""The command line as a whole: errors, and a machine without ROS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from robot_recorder.cli.main import main
from robot_recorder.floor.store import open_store

NO_ROS = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rclpy", "rosbag2_py", "std_msgs", "builtin_interfaces", "ament_index_python") \\
                or name in ("robot_recorder.msg", "robot_recorder.srv"):
            raise ModuleNotFoundError(f"No module named {name!r} here", name=name)
sys.meta_path.insert(0, Refuse())
from robot_recorder.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_ros(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NO_ROS, *arguments], capture_output=True, text=True, cwd="/"
    )


def test_reading_listing_and_checking_need_no_ros(crashed_root: Path, tmp_path: Path) -> None:
    listed = run_without_ros("episodes", str(crashed_root))
    assert listed.returncode == 0, listed.stderr
    assert "arm_20260101T000000_000" in listed.stdout and "failure: slip" in listed.stdout
    assert "died.partial" in listed.stdout
    checked = run_without_ros("check", *map(str, open_store(crashed_root).paths()))
    assert checked.returncode == 0 and checked.stdout.count(": accept") == 2, checked
    shown = run_without_ros(
        "show", str(open_store(crashed_root).paths()[0]), "--out", str(tmp_path / "a.png")
    )
    assert shown.returncode == 0 and (tmp_path / "a.png").stat().st_size > 10_000, shown.stderr
    first = str(open_store(crashed_root).paths()[0])
    aligned = run_without_ros("align", first, "--rate", "50", "--out", str(tmp_path / "a.npz"))
    assert aligned.returncode == 0 and "at 50 Hz, 100.0% complete" in aligned.stdout, aligned.stderr
    profile = run_without_ros("profile", "check", "g1_sim")
    assert profile.returncode == 0 and "types not checked" in profile.stdout, profile.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "/nowhere"], "/nowhere does not exist: give a bag directory"),
        (["episodes", "/nowhere"], "/nowhere does not exist: give a bag directory"),
        (["show", "/"], "is not a bag"),
        (["profile", "check", "g2_sim"], "g1_sim"),
        (["profile", "check", "/nowhere.yaml"], "No such file"),
    ],
)
def test_errors_are_one_clear_line(arguments: list[str], words: str, capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1
