"""Configuration files and programs are found where the package is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robot_recorder.configuration.find import (
    ament_prefixes,
    config_directory,
    installed_program,
    load_profile,
    load_tasks,
)
from robot_recorder.model.errors import ConfigError


def test_the_first_prefix_with_a_config_folder_is_taken(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "b" / "share/robot_recorder/config").mkdir(parents=True)
    prefixes = [str(tmp_path / "a"), "", str(tmp_path / "b")]
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(prefixes))
    assert ament_prefixes() == [prefixes[0], prefixes[2]]
    assert config_directory() == tmp_path / "b" / "share/robot_recorder/config"


def test_a_program_is_found_below_a_prefix_or_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    program = tmp_path / "lib/robot_recorder/record"
    program.parent.mkdir(parents=True)
    program.touch()
    assert installed_program("record") == program
    with pytest.raises(ConfigError, match="play is not installed in any of .*source its setup"):
        installed_program("play")


def test_a_profile_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    shipped = load_profile("g1_sim")
    copy = tmp_path / "own.yaml"
    copy.write_text((config_directory() / "robots" / "g1_sim.yaml").read_text())
    assert load_profile(str(copy)).text == shipped.text
    with pytest.raises(ConfigError, match=r"no profile 'g2' in .*; there are .*g1_sim.*; or give"):
        load_profile("g2")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    for load in (load_profile, load_tasks):
        with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file"):
            load(str(tmp_path / "none.yaml"))
        with pytest.raises(ConfigError, match=r"binary\.yaml is not UTF-8 text"):
            load(str(binary))
