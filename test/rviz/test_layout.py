"""RViz's layout fits our episodes, foreign bags, and robots with other cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.bags import PROFILE as SMALL
from support.bags import small_robot
from support.described import URDF, described_robot
from support.full_robot import full_robot
from support.two_arms import two_arms

from robot_recorder.configuration.find import config_directory
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import DecodeError
from robot_recorder.rviz.layout import Camera, RvizContent, layout_for, look_at

TEMPLATE = (config_directory() / "episode.rviz").read_text()
HEAD = Camera("head_camera", "/head_camera/image/compressed")
WRIST = Camera("left_wrist_camera", "/left_wrist_camera/image/compressed")
PLACE = frozenset({"/sim/scene", "/sim/objects"})
G1 = RvizContent(
    "", "", "pelvis", "/joint_states", (), (HEAD, WRIST), False, False, "", markers=PLACE
)


def at(path: Path) -> RvizContent:
    return look_at(Episode.open(path))


def displays(layout: str, kind: str) -> list[dict]:
    found = yaml.safe_load(layout)["Visualization Manager"]["Displays"]
    return [d for d in found if d["Class"] == f"rviz_default_plugins/{kind}"]


def docks(layout: str) -> list[str]:
    """Return the dock names in the window's saved state.

    After a dock's marker come the length and the name in UTF-16.
    """
    state = bytes.fromhex(yaml.safe_load(layout)["Window Geometry"]["QMainWindow State"])
    found, place = [], 0
    while (place := state.find(b"\xfb\x00\x00\x00", place)) >= 0:
        length = int.from_bytes(state[place + 1 : place + 5], "big")
        found.append(state[place + 5 : place + 5 + length].decode("utf-16-be"))
        place += 5 + length
    return found


def test_all_streams_of_our_own_episode_are_shown(tmp_path: Path) -> None:
    shown = at(described_robot(tmp_path / "own"))
    assert shown.description == URDF and shown.frame == "base"
    assert shown.joint_states == "/joint_states", "the observed topic, not the commands"
    assert [(s.name, s.topic) for s in shown.sensors] == [
        ("wrench", "/wrist/wrench"), ("palm", "/palm/tactile")
    ]  # fmt: skip
    assert shown.cameras == (Camera("camera", "/camera/image/compressed"),)
    assert not (shown.moved or shown.own_tf or shown.namespace or shown.problem)


def test_a_foreign_bag_is_shown_as_far_as_possible(tmp_path: Path) -> None:
    shown = at(described_robot(tmp_path / "strange", own=False))
    assert shown.description == URDF and shown.frame == "base"
    assert {s.topic for s in shown.sensors} == {"/wrist/wrench", "/palm/tactile"}
    assert [c.topic for c in shown.cameras] == ["/camera/image/compressed"]
    nothing = at(full_robot(tmp_path / "bare"))
    assert nothing.description == "" and nothing.frame == "base_link"


def test_an_episode_of_a_namespace_is_shown_in_it(tmp_path: Path) -> None:
    path = small_robot(
        tmp_path / "bag", 1.0, prefix="/robot_07/", namespace="/robot_07", profile_yaml=SMALL
    )
    shown = at(path)
    assert shown.namespace == "/robot_07" and shown.joint_states == "/robot_07/joint_states"
    assert shown.cameras == (Camera("camera", "/robot_07/camera/image/compressed"),)
    (image,) = displays(layout_for(shown, TEMPLATE), "Image")
    assert image["Topic"]["Value"] == "camera/image/compressed", "RViz runs in the namespace"
    other = replace(shown, namespace="/robot_0")
    (image,) = displays(layout_for(other, TEMPLATE), "Image")
    assert image["Topic"]["Value"] == "/robot_07/camera/image/compressed"


def test_a_given_description_replaces_the_bags_and_an_invalid_one_is_an_error(
    tmp_path: Path,
) -> None:
    path = described_robot(tmp_path / "own")
    other = '<robot name="x"><link name="trunk"/></robot>'
    assert look_at(Episode.open(path), other).frame == "trunk"
    for nothing in ("<robot", "<robot name='empty'/>"):
        with pytest.raises(DecodeError):
            look_at(Episode.open(path), nothing)


def test_the_simulated_robots_layout_is_the_template() -> None:
    assert yaml.safe_load(layout_for(G1, TEMPLATE)) == yaml.safe_load(TEMPLATE)


def test_a_place_is_shown_where_it_is_published() -> None:
    for topics, wanted in (((), ["Scene"]), (("/robot_07/sim/objects",), ["Objects", "Scene"])):
        shown = replace(G1, namespace="/robot_07", markers=frozenset(topics))
        found = displays(layout_for(shown, TEMPLATE), "MarkerArray")
        assert [display["Name"] for display in found] == wanted
    assert {"Displays", "Views", "Time", HEAD.name, WRIST.name} <= set(docks(TEMPLATE))


_TOPIC = (
    "Topic/Depth Topic/Durability_Policy Topic/History_Policy Topic/Reliability_Policy Topic/Value"
)
_SHOWN = "Class Enabled Name Value"
# What the sources of rviz 14.1.22 (Jazzy), 15.0.13 (Kilted) and 15.2.4 (Lyrical) read alike, by class, of
# what a layout here needs; a name that rviz does not know it ignores in silence.
READ = {
    "Grid": f"{_SHOWN} Alpha Cell_Size Color Line_Style/Line_Width Line_Style/Value Normal_Cell_Count "
            "Offset/X Offset/Y Offset/Z Plane Plane_Cell_Count Reference_Frame",
    "RobotModel": f"{_SHOWN} Alpha Collision_Enabled Description_File Description_Source TF_Prefix "
                  f"Update_Interval Visual_Enabled {_TOPIC.replace('Topic/', 'Description_Topic/')}",
    "TF": f"{_SHOWN} Filter_(blacklist) Filter_(whitelist) Frame_Timeout Frames/All_Enabled "
          "Marker_Scale Show_Arrows Show_Axes Show_Names Update_Interval",
    "MarkerArray": f"{_SHOWN} {_TOPIC} " + " ".join(
        f"Namespaces/{kind}" for kind in ("episode", "force", "operator", "torque", "touch")
    ),
    "Image": f"{_SHOWN} Max_Value Median_window Min_Value Normalize_Range {_TOPIC}",
    "MoveCamera": "Class", "Select": "Class", "FocusCamera": "Class",
    "Interact": "Class Hide_Inactive_Objects",
    "Measure": "Class Line_color",
    "Orbit": "Class Distance Focal_Point/X Focal_Point/Y Focal_Point/Z Focal_Shape_Fixed_Size "
             "Focal_Shape_Size Invert_Z_Axis Name Near_Clip_Distance Pitch Target_Frame Value Yaw "
             + " ".join(f"Enable_Stereo_Rendering/{name}" for name in (
                 "Stereo_Eye_Separation", "Stereo_Focal_Distance", "Swap_Stereo_Eyes", "Value")),
}  # fmt: skip
CHOICES = {
    "Durability Policy": {"Volatile", "Transient Local"}, "History Policy": {"Keep Last"},
    "Reliability Policy": {"Reliable", "Best Effort"}, "Description Source": {"Topic", "File"},
    "Plane": {"XY"},
}  # fmt: skip


def leaves(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings by their path."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}/")
        else:
            yield above + name, value


def test_every_setting_is_one_that_rviz_reads(tmp_path: Path) -> None:
    cameras = tuple(Camera(name, f"/{name}") for name in "abcde")
    for text in (TEMPLATE, layout_for(replace(G1, cameras=cameras), TEMPLATE, tmp_path / "a.urdf")):
        manager = yaml.safe_load(text)["Visualization Manager"]
        parts = [*manager["Displays"], *manager["Tools"], manager["Views"]["Current"]]
        for part in parts:
            kind = part["Class"].removeprefix("rviz_default_plugins/")
            known = {name.replace("_", " ") for name in READ[kind].split()}
            for name, value in leaves(part):
                assert name in known, f"{kind}: {name}"
                assert value in CHOICES.get(name.rpartition("/")[2], {value}), f"{kind}: {name}"
        assert manager["Transformation"]["Current"]["Class"] == "rviz_default_plugins/TF"
        assert manager["Global Options"].keys() == {"Background Color", "Fixed Frame", "Frame Rate"}


@pytest.mark.parametrize(
    "names",
    [(), ("front",), ("left_wrist_camera", "kamera_hände"), ("left_wrist_camera", "head_camera"),
     ("camera_3", "b", "c", "camera_4", "e")],
)  # fmt: skip
def test_other_cameras_take_the_docks_of_the_template(names: tuple[str, ...]) -> None:
    cameras = tuple(Camera(name, f"/camera_{n}/compressed") for n, name in enumerate(names))
    layout = layout_for(replace(G1, cameras=cameras), TEMPLATE)
    images = displays(layout, "Image")
    assert [(d["Name"], d["Topic"]["Value"]) for d in images] == [
        (c.name, c.topic[1:]) for c in cameras
    ]
    assert [d["Enabled"] for d in images] == [n < 4 for n in range(len(names))]
    assert len(docks(layout)) == len(set(docks(layout))) == len(docks(TEMPLATE))
    assert set(names[:4]) <= set(docks(layout))
    window = yaml.safe_load(layout)["Window Geometry"]
    assert all(window[name] == {"collapsed": False} for name in names[:4])


def test_the_grid_of_another_robot_is_in_its_own_frame(tmp_path: Path) -> None:
    layout = layout_for(replace(G1, frame="base_link"), TEMPLATE, tmp_path / "arm.urdf")
    manager = yaml.safe_load(layout)["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "base_link"
    assert displays(layout, "Grid")[0]["Offset"]["Z"] == 0
    (robot,) = displays(layout, "RobotModel")
    assert robot["Description Source"] == "File"
    assert robot["Description File"] == os.fspath(tmp_path / "arm.urdf")


def test_forces_and_touch_without_a_frame_are_named_and_not_drawn(tmp_path: Path) -> None:
    shown = look_at(Episode.open(two_arms(tmp_path / "bag")))
    assert shown.sensors == () and shown.without_place == ("touch",)
    assert shown.notes == ["not drawn, because the messages name no frame: touch"]
