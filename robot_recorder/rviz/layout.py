"""Finds what RViz can show of an episode, and fits RViz's layout to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from robot_recorder.bags.metadata import dump_yaml
from robot_recorder.bags.reader import read_messages
from robot_recorder.content.contents import descriptions
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import CdrReader, header_frame_id
from robot_recorder.messages.decoders import decode_joint_state
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.kinds import JOINT_STATE
from robot_recorder.messages.markers import MARKER_ARRAY
from robot_recorder.messages.urdf import RobotModel, parse_urdf
from robot_recorder.messages.video_messages import FFMPEG
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import RobotProfile, Role, StreamConfig
from robot_recorder.model.value_names import joint_of
from robot_recorder.offline.plan import Plan, make_plan
from robot_recorder.rviz.placement import FRAME
from robot_recorder.rviz.scene import SensorStream, sensors, without_place

_TF = "tf2_msgs/msg/TFMessage"
_TF_MESSAGES = 50  # transforms that are read to find out which links they move
_IMAGE_DISPLAY, _GRID_DISPLAY, _ROBOT_DISPLAY, _MARKER_DISPLAY = (
    f"rviz_default_plugins/{name}" for name in ("Image", "Grid", "RobotModel", "MarkerArray")
)
_OWN_MARKERS = "scene/markers"  # of the scene node, which always runs
# RViz takes the transport from the topic's last part, so that must match the type.
_ENDS = {RAW: ("",), COMPRESSED: ("/compressed", "/compressedDepth"), FFMPEG: ("/ffmpeg",)}
_SPARE_DOCK = "camera_"  # prefix of the template's docks for further cameras


@dataclass(frozen=True)
class Camera:
    """A stream of pictures; ``topic`` is fully qualified."""

    name: str
    topic: str


@dataclass(frozen=True)
class RvizContent:
    """What can be shown of an episode or a robot.

    Attributes:
        namespace: of the recording or the robot, with a leading slash; empty: the root.
        description: URDF; empty: unknown.
        frame: a frame that everything can be drawn in.
        joint_states: topic of the robot's joint states; empty: none.
        sensors: wrench and tactile streams with fully qualified topics.
        cameras: in the profile's order.
        moved: whether its own transforms move the robot's links, so that no state publisher is
            needed.
        own_tf: whether transforms are on ``tf`` in the namespace instead of ``/tf``.
        frames: topic of the aligned frames; empty: none.
        problem: why streams are unknown; empty: they are known.
        without_place: streams of forces and touch whose messages name no frame, which are not
            drawn.
        markers: topics of marker arrays.
    """

    namespace: str
    description: str
    frame: str
    joint_states: str
    sensors: tuple[SensorStream, ...]
    cameras: tuple[Camera, ...]
    moved: bool
    own_tf: bool
    frames: str
    problem: str = field(default="", compare=False)
    without_place: tuple[str, ...] = ()
    markers: frozenset[str] = frozenset()

    @property
    def notes(self) -> list[str]:
        """Return which forces and touch are not drawn, and why, one sentence each."""
        if self.problem:
            return [f"forces and touch are not shown: {self.problem}"]
        if not self.without_place:
            return []
        names = ", ".join(self.without_place)
        return [f"not drawn, because the messages name no frame: {names}"]


def look_at(episode: Episode, description: str = "") -> RvizContent:
    """Find what can be shown of a bag.

    Args:
        episode: the bag.
        description: URDF to use instead of the bag's; empty: the bag's.

    Raises:
        BagError: the bag cannot be read.
        DecodeError: ``description`` is not a URDF, or describes no links.
    """
    types = {
        str(t["topic_metadata"]["name"]): str(t["topic_metadata"]["type"])
        for t in episode.metadata["topics_with_message_count"]
        if t["message_count"]
    }
    robot = parse_urdf(description) if description else None
    if robot is None:
        description, robot = _recorded_description(episode, types)
    plan, problem = None, ""
    try:
        plan = make_plan(episode)
    except ConfigError as error:
        problem = str(error)
    namespace = "/" + episode.facts.get("namespace", "").strip("/")
    namespace = "" if namespace == "/" else namespace
    found = tuple(resolved_sensors(plan.profile, plan.topics)) if plan else ()
    parents = _tf_parents(episode, types)
    tops = (parent for parent in parents.values() if parent not in parents)
    moving = {j.child for j in robot.joints if j.kind != "fixed"} if robot else set()
    return RvizContent(
        namespace,
        description,
        robot.roots[0] if robot else next(tops, "") or _first_frame(episode, found),
        _joint_states(episode, plan, robot),
        found,
        tuple(cameras(plan.profile, plan.topics)) if plan else (),
        bool(moving & set(parents)),
        bool(namespace) and f"{namespace}/tf" in types,
        next((t for t in types if t.endswith("/synchronizer/frames")), ""),
        problem,
        tuple(without_place(plan.profile)) if plan else (),
        frozenset(topic for topic, kind in types.items() if kind == MARKER_ARRAY),
    )


def _recorded_description(episode: Episode, types: dict[str, str]) -> tuple[str, RobotModel | None]:
    for text in descriptions(episode.path, types):
        try:
            return text, parse_urdf(text)
        except DecodeError:
            continue  # not a URDF, or one without links
    return "", None


def resolved_sensors(profile: RobotProfile, topics: Mapping[str, str]) -> Iterator[SensorStream]:
    """Yield the streams that are drawn as shapes.

    Args:
        profile: of the robot.
        topics: fully qualified, by name of the stream.
    """
    for stream in sensors(profile):
        yield replace(stream, topic=topics[stream.name])


def cameras(profile: RobotProfile, topics: Mapping[str, str]) -> Iterator[Camera]:
    """Yield the streams that RViz can show as pictures.

    Args:
        profile: of the robot.
        topics: fully qualified, by name of the stream.
    """
    for stream in profile.streams:
        topic = topics[stream.name]
        if topic.endswith(_ENDS.get(stream.type, ())):
            yield Camera(stream.name, topic)


def observed_joints(profile: RobotProfile) -> list[StreamConfig]:
    """Return the joint state streams that are not commands."""
    return [s for s in profile.streams if s.type == JOINT_STATE and s.role is not Role.ACTION]


def _joint_states(episode: Episode, plan: Plan | None, robot: RobotModel | None) -> str:
    """Return the observed topic with the most joints of the description."""
    if plan is None:
        return ""
    topics = {plan.topics[s.name] for s in observed_joints(plan.profile)}
    wanted = {j.name for j in robot.joints if j.kind != "fixed"} if robot else set()
    known: dict[str, int] = {}
    for message in read_messages(episode.path, topics) if topics else ():
        if message.topic not in known:
            try:
                names = decode_joint_state(message.data).names
            except DecodeError:
                names = ()
            known[message.topic] = len({joint_of(name) for name in names} & wanted)
        if len(known) == len(topics):
            break
    return max(sorted(known), key=lambda t: known[t], default="")


def _tf_parents(episode: Episode, types: dict[str, str]) -> dict[str, str]:
    """Return the parent of each child frame in the bag's first moving transforms."""
    topics = {t for t, kind in types.items() if kind == _TF and not t.endswith("tf_static")}
    parents: dict[str, str] = {}
    for number, message in enumerate(read_messages(episode.path, topics) if topics else ()):
        if number >= _TF_MESSAGES:
            break
        try:
            reader = CdrReader(message.data)
            for _ in range(reader.u32()):
                reader.stamp_ns()
                parent, child = reader.text(), reader.text()
                reader.doubles(7)
                parents[child] = parent
        except DecodeError:
            continue
    return parents


def _first_frame(episode: Episode, found: tuple[SensorStream, ...]) -> str:
    """Return the frame of some sensor, so that at least that one can be drawn."""
    topics = {s.topic for s in found}
    for message in read_messages(episode.path, topics) if topics else ():
        name = header_frame_id(message.data)
        if name:
            return name
    return FRAME


def layout_for(shown: RvizContent, template: str, description_file: Path | None = None) -> str:
    """Fit RViz's layout to an episode.

    Args:
        shown: what can be shown.
        template: text of ``config/episode.rviz``.
        description_file: a URDF that is shown instead of the published one.

    Returns:
        YAML; for the simulated G1 the same as the template.
    """
    layout: dict[str, Any] = yaml.safe_load(template)
    manager = layout["Visualization Manager"]
    another = manager["Global Options"]["Fixed Frame"] != shown.frame
    manager["Global Options"]["Fixed Frame"] = shown.frame
    images = [d for d in manager["Displays"] if d["Class"] == _IMAGE_DISPLAY]
    others = [
        d for d in manager["Displays"] if d["Class"] != _IMAGE_DISPLAY and _has_topic(d, shown)
    ]
    window = layout["Window Geometry"]
    docks = [d["Name"] for d in images] + sorted(k for k in window if k.startswith(_SPARE_DOCK))
    _rename_docks(window, docks, [camera.name for camera in shown.cameras][: len(docks)])
    manager["Displays"] = others + [
        # Cameras without a dock are disabled; the user may enable them.
        _image_display(images[0], camera, shown.namespace, enabled=place < len(docks))
        for place, camera in enumerate(shown.cameras)
    ]
    for display in others:
        if another and display["Class"] == _GRID_DISPLAY:
            display["Offset"]["Z"] = (
                0  # the height of another robot's frame above the floor is unknown
            )
        if description_file is not None and display["Class"] == _ROBOT_DISPLAY:
            display["Description Source"] = "File"
            display["Description File"] = str(description_file)
    return dump_yaml(layout)


def _has_topic(display: dict[str, Any], shown: RvizContent) -> bool:
    """Return whether somebody publishes what a display of markers shows; of others True."""
    if display["Class"] != _MARKER_DISPLAY:
        return True
    topic = display["Topic"]["Value"]
    return topic == _OWN_MARKERS or f"{shown.namespace}/{topic}" in shown.markers


def _image_display(
    like: dict[str, Any], camera: Camera, namespace: str, enabled: bool
) -> dict[str, Any]:
    display = deepcopy(like)
    display["Name"] = camera.name
    display["Topic"]["Value"] = _relative(camera.topic, namespace)
    display["Enabled"] = display["Value"] = enabled
    return display


def _rename_docks(window: dict[str, Any], docks: list[str], cameras: list[str]) -> None:
    """Rename docks to the cameras shown, also in the window's saved state.

    A dock has the name of its display.
    """
    spare = docks[len(cameras) :]
    names = cameras + [f"{dock}_" if dock in cameras else dock for dock in spare]
    state, settings = window["QMainWindow State"], [window.pop(dock) for dock in docks]
    # Use temporary names first, because a new name may be the old name of another dock.
    for number, dock in enumerate(docks):
        state = state.replace(_qt_string(dock), _qt_string(f"\0{number}"))
    for number, name in enumerate(names):
        state = state.replace(_qt_string(f"\0{number}"), _qt_string(name))
    window["QMainWindow State"] = state
    window.update(zip(names, settings))


def _relative(topic: str, namespace: str) -> str:
    inside = f"{namespace}/"
    return topic.removeprefix(inside) if topic.startswith(inside) else topic


def _qt_string(text: str) -> str:
    """Return a string as in a saved Qt state: length in bytes, then UTF-16, as hexadecimal."""
    data = text.encode("utf-16-be")
    return len(data).to_bytes(4, "big").hex() + data.hex()
