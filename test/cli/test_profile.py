"""``profile check`` and ``profile guess``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bags import small_robot

from robot_recorder.cli.main import main
from robot_recorder.configuration.profile import parse_profile


def test_profile_check_names_a_type_that_is_not_installed(tmp_path: Path, capsys) -> None:
    pytest.importorskip("std_msgs")
    path = tmp_path / "p.yaml"
    path.write_text(
        "robot: a\nstreams:\n  odd: {topic: odd, type: vendor_msgs/msg/Odd, role: context}\n"
    )
    assert main(["profile", "check", str(path)]) == 2
    assert "stream 'odd'" in (error := capsys.readouterr().err) and "vendor_msgs" in error


def test_the_shipped_configuration_is_valid() -> None:
    from robot_recorder.configuration.find import config_directory, load_profile, load_tasks
    from robot_recorder.sim.scenarios import TASKS

    profiles = list((config_directory() / "robots").glob("*.yaml"))
    assert len(profiles) >= 2
    for path in profiles:
        load_profile(str(path))
    assert set(TASKS) <= set(load_tasks().tasks)


def test_a_bag_without_a_profile_is_aligned_by_a_guess(tmp_path: Path, capsys) -> None:
    bare = small_robot(tmp_path / "bare", 2)
    assert main(["align", str(bare)]) == 0
    assert "guessed one" in capsys.readouterr().out
    assert (tmp_path / "bare.npz").exists(), "beside the bag"
    assert main(["profile", "guess", str(bare)]) == 0
    text = capsys.readouterr().out
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace("rate_hz: 20\n", "rate_hz: 20\n    latency_ms: 5\n"))
    assert parse_profile(profile.read_text(), "x").robot == "bare"
    assert main(["align", str(bare), "--profile", str(profile)]) == 0
    assert "guessed" not in capsys.readouterr().out
