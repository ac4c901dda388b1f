"""What of an episode rviz shows, and rviz's layout made to fit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from robot_recorder.bags.metadata import dump_yaml
from robot_recorder.bags.reader import read_messages
from robot_recorder.content.contents import descriptions
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import CdrReader, header_frame_id
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.kinds import JOINT_STATE, decode_joint_state
from robot_recorder.messages.urdf import RobotModel, parse_urdf
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import RobotProfile, Role, StreamConfig
from robot_recorder.model.value_names import joint_of
from robot_recorder.offline.plan import Plan, make_plan
from robot_recorder.rviz.placement import FRAME
from robot_recorder.rviz.scene import SensorStream, sensors

_TF = "tf2_msgs/msg/TFMessage"
_TF_MESSAGES = 50  # looked at for who moves the robot
_IMAGE_DISPLAY, _GRID_DISPLAY, _ROBOT_DISPLAY = (
    f"rviz_default_plugins/{name}" for name in ("Image", "Grid", "RobotModel")
)
_SPARE_DOCK = "camera_"  # begins the names of places the template has for further cameras


@dataclass(frozen=True)
class Camera:
    """A stream of pictures; ``topic`` fully qualified."""

    name: str
    topic: str


@dataclass(frozen=True)
class RvizContent:
    """What of an episode, or a robot, can be shown.

    Attributes:
        namespace: it was recorded in, or is in, with a slash before, without one behind; empty: the root.
        description: URDF; empty: there is none.
        frame: that everything can be drawn in.
        joint_states: topic that says how the robot's joints are; empty: none does.
        sensors: wrench and tactile streams, with their topics fully qualified.
        cameras: in the profile's order.
        moved: its own transforms move the robot's links, nobody else needs to.
        own_tf: transforms are on ``tf`` in the namespace, not on ``/tf``.
        frames: topic of the aligned frames; empty: the bag has none.
        problem: why streams are unknown; empty when they are known.
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


def look_at(episode: Episode, description: str = "") -> RvizContent:
    """Look at what a bag has.

    Args:
        description: URDF to use instead of the bag's.

    Raises:
        BagError: the bag can not be read.
        DecodeError: ``description`` is no URDF, or describes no links.
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
    )


def _recorded_description(episode: Episode, types: dict[str, str]) -> tuple[str, RobotModel | None]:
    for text in descriptions(episode.path, types):
        try:
            return text, parse_urdf(text)
        except DecodeError:
            continue  # some other text, or nothing that can be shown
    return "", None


def resolved_sensors(profile: RobotProfile, topics: Mapping[str, str]) -> Iterator[SensorStream]:
    """The streams that have shapes; arguments as of ``cameras``."""
    for stream in sensors(profile):
        yield SensorStream(stream.name, topics[stream.name], stream.type)


def cameras(profile: RobotProfile, topics: Mapping[str, str]) -> Iterator[Camera]:
    """The streams that rviz can show as pictures.

    Args:
        topics: fully qualified, by the streams' names.
    """
    for stream in profile.streams:
        topic = topics[stream.name]
        # rviz takes the transport from the topic's last part; what is compressed must be called so.
        if stream.type == RAW or (
            stream.type == COMPRESSED and topic.endswith(("/compressed", "/compressedDepth"))
        ):
            yield Camera(stream.name, topic)


def observed_joints(profile: RobotProfile) -> list[StreamConfig]:
    """The joint states that are no commands."""
    return [s for s in profile.streams if s.type == JOINT_STATE and s.role is not Role.ACTION]


def _joint_states(episode: Episode, plan: Plan | None, robot: RobotModel | None) -> str:
    """The observed topic that has the most joints of the description."""
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
    """Who is whose child among the bag's first moving transforms."""
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
    """The frame of some sensor: then at least that one can be drawn."""
    topics = {s.topic for s in found}
    for message in read_messages(episode.path, topics) if topics else ():
        name = header_frame_id(message.data)
        if name:
            return name
    return FRAME


def layout_for(shown: RvizContent, template: str, description_file: Path | None = None) -> str:
    """rviz's layout for an episode.

    Args:
        template: text of ``config/episode.rviz``.
        description_file: a URDF that is shown instead of what is published.

    Returns:
        YAML; of the simulated G1 the same as the template.
    """
    layout: dict[str, Any] = yaml.safe_load(template)
    manager = layout["Visualization Manager"]
    another = manager["Global Options"]["Fixed Frame"] != shown.frame
    manager["Global Options"]["Fixed Frame"] = shown.frame
    images = [d for d in manager["Displays"] if d["Class"] == _IMAGE_DISPLAY]
    others = [d for d in manager["Displays"] if d["Class"] != _IMAGE_DISPLAY]
    window = layout["Window Geometry"]
    docks = [d["Name"] for d in images] + sorted(k for k in window if k.startswith(_SPARE_DOCK))
    _rename_docks(window, docks, [camera.name for camera in shown.cameras][: len(docks)])
    manager["Displays"] = others + [
        # Further pictures than there are docks for are switched on by whoever wants them.
        _image_display(images[0], camera, shown.namespace, enabled=place < len(docks))
        for place, camera in enumerate(shown.cameras)
    ]
    for display in others:
        if another and display["Class"] == _GRID_DISPLAY:
            display["Offset"]["Z"] = 0  # how high another robot stands nobody says
        if description_file is not None and display["Class"] == _ROBOT_DISPLAY:
            display["Description Source"] = "File"
            display["Description File"] = str(description_file)
    return dump_yaml(layout)


def _image_display(
    like: dict[str, Any], camera: Camera, namespace: str, enabled: bool
) -> dict[str, Any]:
    display = deepcopy(like)
    display["Name"] = camera.name
    display["Topic"]["Value"] = _relative(camera.topic, namespace)
    display["Enabled"] = display["Value"] = enabled
    return display


def _rename_docks(window: dict[str, Any], docks: list[str], cameras: list[str]) -> None:
    """A dock is known by its display's name, also in the window's saved state."""
    spare = docks[len(cameras) :]
    names = cameras + [f"{dock}_" if dock in cameras else dock for dock in spare]
    state, settings = window["QMainWindow State"], [window.pop(dock) for dock in docks]
    # By way of names that nobody has: one's new name may be another's old one.
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
    """As Qt writes it into a state, in hex: its length in bytes, then UTF-16."""
    data = text.encode("utf-16-be")
    return len(data).to_bytes(4, "big").hex() + data.hex()
