"""Which DDS profile nodes are started with: that of whoever chose one, else the shipped one."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from robot_recorder.configuration.dds import dds_environment, large_data_profile
from robot_recorder.model.errors import ConfigError

FAST = {"FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"}


@pytest.mark.parametrize(
    "distribution, number", [("jazzy", 1), ("humble", 1), ("kilted", 0), ("lyrical", 0), ("", 0)]
)
def test_the_shipped_profile_is_set_where_each_fast_dds_looks(
    distribution: str, number: int, tmp_path: Path
) -> None:
    """In one variable only: Kilted reads both, and would load the file twice."""
    chosen, why = dds_environment("large_data", {"ROS_DISTRO": distribution}, tmp_path)
    assert chosen == {sorted(FAST)[number]: str(large_data_profile())} and not why
    assert large_data_profile().is_file()


@pytest.mark.parametrize("name", [*sorted(FAST), "FASTDDS_BUILTIN_TRANSPORTS"])
def test_whoever_set_a_profile_or_transports_keeps_them(name: str, tmp_path: Path) -> None:
    assert dds_environment("large_data", {name: "mine"}, tmp_path) == ({}, f"{name} is set")
    assert dds_environment("large_data", {name: ""}, tmp_path)[0]


def test_a_profile_that_lies_in_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "DEFAULT_FASTRTPS_PROFILES.xml").touch()
    assert not dds_environment("large_data", {}, tmp_path)[0]


def test_cyclone_dds_gets_its_own_file(tmp_path: Path) -> None:
    cyclone = {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    chosen, _ = dds_environment("large_data", cyclone, tmp_path)
    assert list(chosen) == ["CYCLONEDDS_URI"]
    assert Path(chosen["CYCLONEDDS_URI"].removeprefix("file://")).is_file()
    assert not dds_environment("large_data", {**cyclone, "CYCLONEDDS_URI": "x"}, tmp_path)[0]


def test_a_small_shared_memory_is_left_alone_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 60_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    chosen, why = dds_environment("large_data", {}, tmp_path)
    assert not chosen and "60 MB free" in why and "--shm-size" in why


def test_it_can_be_turned_off_and_replaced(tmp_path: Path) -> None:
    assert dds_environment("none", {}, tmp_path) == ({}, "")
    own = tmp_path / "own.xml"
    with pytest.raises(ConfigError, match="own.xml' is no file"):
        dds_environment(str(own), {}, tmp_path)
    own.touch()
    chosen, _ = dds_environment(str(own), {"FASTDDS_DEFAULT_PROFILES_FILE": "other"}, tmp_path)
    assert chosen == {"FASTDDS_DEFAULT_PROFILES_FILE": str(own)}, "what was asked for by name wins"


def test_the_segment_holds_a_second_of_a_raw_camera_and_remote_readers_are_served() -> None:
    tree = ElementTree.parse(large_data_profile())
    text = {e.tag.rpartition("}")[2]: e.text for e in tree.iter()}
    assert int(text["segment_size"] or 0) >= 30 * 921_600
    kinds = [e.text for e in tree.iter() if e.tag.endswith("}type")]
    assert kinds == ["SHM", "UDPv4"] and text["useBuiltinTransports"] == "false"
