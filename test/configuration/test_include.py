"""A station is a robot and its devices: included profiles keep their streams apart by a prefix."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_recorder.configuration.find import load_profile
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.errors import ConfigError

HAND = """robot: hand
frame_rate_hz: 90
streams:
  state: {topic: hand/state, type: own_msgs/msg/Hand, role: observation, rate_hz: 50, as: joint_state,
          map: {names: [thumb, index], position: angles}}
  command: {topic: hand/command, type: own_msgs/msg/Command, role: action, rate_hz: 50, as: joint_state,
            of: state, map: {names: same_as state, position: angles}}
"""
STATION = """robot: station
frame_rate_hz: 30
include:
  left: {file: hand.yaml, prefix: left_}
  pads: {file: pads}
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}
"""
PADS = """robot: pads
streams:
  pad: {topic: pad, type: robot_recorder/msg/TactileArray, role: observation, rate_hz: 50}
"""


def station(folder: Path, text: str = STATION, hand: str = HAND) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "hand.yaml").write_text(hand)
    (folder / "pads.yaml").write_text(PADS)
    (folder / "station.yaml").write_text(text)
    return folder / "station.yaml"


def test_included_streams_get_the_prefix_wherever_they_are_named(tmp_path: Path) -> None:
    profile = load_profile(str(station(tmp_path)))
    assert profile.robot == "station" and profile.frame_clock.rate_hz == 30
    streams = {s.name: s for s in profile.streams}
    assert list(streams) == ["left_state", "left_command", "pad", "joints"]
    command = streams["left_command"]
    assert command.of == "left_state"
    assert command.mapping is not None and command.mapping.names == ("thumb", "index")


def test_an_episode_keeps_a_profile_that_includes_nothing(tmp_path: Path) -> None:
    profile = load_profile(str(station(tmp_path)))
    again = parse_profile(profile.text, "kept")
    assert again == profile and again.text == profile.text and "include:" not in profile.text


@pytest.mark.parametrize(
    ("text", "hand", "words"),
    [
        (STATION.replace("joints:", "left_state:"), HAND, "is in an included file too"),
        (STATION.replace("hand.yaml", "hands.yaml"), HAND, "hands.yaml cannot be read"),
        (STATION.replace("file: pads", "file: pad"), HAND, "no profile 'pad'.*there are.*pads"),
        (STATION, HAND.replace("as: joint_state", "as: joints", 1), "hand.yaml:4: .*joint_state"),
        (STATION, "include: {again: {file: station.yaml}}\n" + HAND, "files include each other"),
        (STATION.replace("prefix: left_", "prefix: 9"), HAND, "put it in quotes"),
        (STATION.replace("prefix: left_", "prefx: l"), HAND, "did you mean 'prefix'"),
    ],
)
def test_errors_name_the_file_and_the_line(
    tmp_path: Path, text: str, hand: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_profile(str(station(tmp_path, text, hand)))
    with pytest.raises(ConfigError, match="only a file can include others"):
        parse_profile(STATION, "text")
