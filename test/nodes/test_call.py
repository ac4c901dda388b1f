"""The command ``call``, run in a shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.robot import process

from robot_recorder.configuration.find import installed_program

pytest.importorskip("rclpy")


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(installed_program("call")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_exit_code_tells_success_failure_and_a_missing_service(tmp_path: Path) -> None:
    with process("record", "called", profile="minimal_arm", root=tmp_path):
        done = call("--namespace", "called", "set_task", "task=lift_box", "operator_name=007")
        assert (done.returncode, done.stdout.strip()) == (0, "next episodes: lift_box"), done
        refused = call("--namespace", "called", "start")
        assert refused.returncode == 1 and "joint_states is missing" in refused.stdout
        assert call("--namespace", "called", "start", "force=true").returncode == 0
        assert call("--namespace", "called", "mark_outcome", "outcome=1").returncode == 0
        assert call("--namespace", "called", "stop").returncode == 0
    nobody = call("--namespace", "nobody", "stop")
    assert nobody.returncode == 2 and "/nobody/recorder/stop_episode" in nobody.stderr


def test_wrong_fields_are_explained() -> None:
    wrong = call("start", "tsak=lift_box")
    assert wrong.returncode == 2 and "task, instruction" in wrong.stderr
    assert "mark_outcome" in call().stdout
