"""The table ``KINDS`` of known message types, and the kind of a stream.

A row says how a message is decoded, aligned, drawn and checked. A profile can map any other message
to one of these kinds; without a mapping, every number of an unknown type is read, named by its
field. Installed packages can add rows by entry points (docs/extending.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

from robot_recorder.messages.audio import AudioDecoder
from robot_recorder.messages.decoders import (
    NO_NUMBERS,
    NO_VALUES,
    Decoded,
    JointStates,
    decode_imu,
    decode_joint_state,
    decode_pose,
    decode_tactile,
    decode_transform_stamped,
    decode_wrench,
)
from robot_recorder.messages.definition import (
    begins_with_header,
    carried_bytes,
    parse_definition,
    short_name,
)
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.mapped import MappedDecoder
from robot_recorder.messages.point_cloud import decode_point_cloud
from robot_recorder.messages.video_messages import FFMPEG, VIDEO
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import KINDS_GROUP, extensions
from robot_recorder.model.mapping import (
    FieldPath,
    Meaning,
    StampRule,
    StampSource,
    StreamMapping,
    parse_path,
)
from robot_recorder.model.streams import Policy, Role, StreamConfig


class Sort(Enum):
    """How the content of a message is drawn."""

    JOINTS = "joints"
    WRENCH = "wrench"
    TACTILE = "tactile"
    IMU = "IMU"
    POSE = "pose"
    IMAGE = "pictures"
    NUMBERS = "numbers"  # an unknown type, read field by field
    POINTS = "points"
    AUDIO = "sound"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True)
class Kind:
    """The properties of one message type.

    Attributes:
        label: its name for people.
        sort: how it is drawn.
        default_policy: alignment policy of observations of this type.
        decode: converts bytes to numbers; None: it has none (images), or ``mapping`` says how.
        has_header: whether the first field is a std_msgs/Header, or a timestamp at the same bytes.
        by_name: whether messages may name different joints or bodies, which are then matched by
            name.
        checks: names of the quality checks of an observation's values.
        mapping: fields that are read by the definition of the type; None: ``decode`` reads it.
        stamp: where its stamps are, if not in a header at the beginning; None: nowhere else.
        drives: whether the robot may move without its joints, as a velocity of its base says.
    """

    label: str
    sort: Sort
    default_policy: Policy
    decode: Callable[[bytes], Decoded] | None
    has_header: bool = True
    by_name: bool = False
    checks: tuple[str, ...] = ("not_a_number",)
    mapping: StreamMapping | None = None
    drives: bool = False
    stamp: StampRule | None = None


JOINT_STATE = "sensor_msgs/msg/JointState"
WRENCH = "geometry_msgs/msg/WrenchStamped"
TACTILE = "robot_recorder/msg/TactileArray"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

_NEAREST, _LINEAR, _SLERP = Policy.NEAREST, Policy.LINEAR, Policy.SLERP
_JOINT_CHECKS = ("not_a_number", "frozen", "joint_jump", "joint_limits", "joint_frozen",
                 "tracking_lag", "tracking_error")  # fmt: skip
_WRENCH_CHECKS = ("not_a_number", "frozen", "wrench_bias", "wrench_clipping", "wrench_spikes")
_TACTILE_CHECKS = ("not_a_number", "frozen", "taxels_dead", "taxels_stuck", "taxels_saturated")
_IMU_CHECKS = ("not_a_number", "frozen")
_SHIPPED: dict[str, Kind] = {
    JOINT_STATE: Kind("joint state", Sort.JOINTS, _LINEAR, decode_joint_state, by_name=True,
                      checks=_JOINT_CHECKS),
    WRENCH: Kind("wrench", Sort.WRENCH, _LINEAR, decode_wrench, checks=_WRENCH_CHECKS),
    TACTILE: Kind("tactile", Sort.TACTILE, _NEAREST, decode_tactile, checks=_TACTILE_CHECKS),
    RAW: Kind("image", Sort.IMAGE, _NEAREST, None),
    COMPRESSED: Kind("compressed image", Sort.IMAGE, _NEAREST, None),
    VIDEO: Kind("video", Sort.IMAGE, _NEAREST, None),
    FFMPEG: Kind("video packet", Sort.IMAGE, _NEAREST, None),
    CAMERA_INFO: Kind("camera info", Sort.OTHER, _NEAREST, None),
    "sensor_msgs/msg/Imu": Kind("IMU", Sort.IMU, _SLERP, decode_imu, checks=_IMU_CHECKS),
    "geometry_msgs/msg/PoseStamped": Kind("pose", Sort.POSE, _SLERP, decode_pose),
    "geometry_msgs/msg/TransformStamped": Kind(
        "transform", Sort.POSE, _SLERP, decode_transform_stamped),
    "sensor_msgs/msg/PointCloud2": Kind("point cloud", Sort.POINTS, _NEAREST, decode_point_cloud),
    # Read by the definition, because packages of the same name differ.
    **{f"audio_common_msgs/msg/{name}": Kind("sound", Sort.AUDIO, _NEAREST, None, has_header=stamped)
       for name, stamped in (("AudioData", False), ("Audio", False), ("AudioDataStamped", True),
                             ("AudioStamped", True))},
}  # fmt: skip


def _paths(**fields: str) -> dict[str, tuple[FieldPath, ...]]:
    return {name: (parse_path(text),) for name, text in fields.items()}


def _mapped(label: str, header: bool, mapping: StreamMapping, **changes: Any) -> Kind:
    """Return the row of a type that is read by its definition."""
    kind = KIND_OF_MEANING[mapping.meaning]
    return replace(kind, label=label, has_header=header, mapping=mapping, **changes)


KIND_OF_MEANING: dict[Meaning, Kind] = {
    Meaning.JOINT_STATE: Kind("joint state", Sort.JOINTS, _LINEAR, None, by_name=True,
                              checks=_JOINT_CHECKS),
    Meaning.IMU: Kind("IMU", Sort.IMU, _SLERP, None, checks=_IMU_CHECKS),
    Meaning.WRENCH: Kind("wrench", Sort.WRENCH, _LINEAR, None, checks=_WRENCH_CHECKS),
    Meaning.POSE: Kind("pose", Sort.POSE, _SLERP, None, by_name=True),
    Meaning.POSES: Kind("poses", Sort.POSE, _SLERP, None, by_name=True),
    Meaning.TWIST: Kind("twist", Sort.NUMBERS, _LINEAR, None, drives=True),
    Meaning.TACTILE: Kind("tactile", Sort.TACTILE, _NEAREST, None, by_name=True,
                          checks=_TACTILE_CHECKS),
    Meaning.NUMBERS: Kind("numbers", Sort.NUMBERS, _NEAREST, None),
}  # fmt: skip
"""What a mapped stream is, whatever its message type."""

UNKNOWN_KIND = Kind("numbers", Sort.NUMBERS, _NEAREST, None, has_header=False)
"""A type that neither the table nor a mapping describes."""

_JOINTS, _POSES = Meaning.JOINT_STATE, Meaning.POSES
_NUMBERS, _TWIST = Meaning.NUMBERS, Meaning.TWIST


def _trajectory(names: str, at: str) -> StreamMapping:
    fields = _paths(position=f"{at}.positions", velocity=f"{at}.velocities", effort=f"{at}.effort")
    return StreamMapping(_JOINTS, fields, name_paths=(parse_path(names),))


def _numbers(unit: str = "", **fields: str) -> StreamMapping:
    return StreamMapping(_NUMBERS, _paths(**fields), unit=unit)


def _named_poses(pose: str, names: str = "", each: str = "") -> StreamMapping:
    return StreamMapping(
        _POSES, _paths(pose=pose), name_paths=(parse_path(names),) if names else (),
        each=parse_path(each) if each else None,
    )  # fmt: skip


_SHIPPED |= {
    # The point that is due first: leader arms send trajectories of one point.
    "trajectory_msgs/msg/JointTrajectory": _mapped(
        "joint trajectory", True, _trajectory("joint_names", "points[0]")),
    "control_msgs/msg/JointTrajectoryControllerState": _mapped(
        "controller state", True, _trajectory("joint_names", "feedback")),
    "control_msgs/msg/GripperCommand": _mapped(
        "gripper command", False, _numbers(position="position", max_effort="max_effort"),
        default_policy=_LINEAR),
    "sensor_msgs/msg/MultiDOFJointState": _mapped(
        "poses", True, _named_poses("transforms", "joint_names")),
    "geometry_msgs/msg/PoseArray": _mapped("poses", True, _named_poses("poses")),
    "tf2_msgs/msg/TFMessage": _mapped(
        "transforms", False, _named_poses("transform", "child_frame_id", "transforms"),
        stamp=StampRule(StampSource.FIELD, parse_path("transforms[0].header.stamp"))),
    "geometry_msgs/msg/Pose": _mapped(
        "pose", False,
        StreamMapping(Meaning.POSE, _paths(position="position", orientation="orientation"))),
    "nav_msgs/msg/Odometry": _mapped(
        "odometry", True, StreamMapping(Meaning.POSE, _paths(
            pose="pose.pose", linear="twist.twist.linear", angular="twist.twist.angular"))),
    "geometry_msgs/msg/Wrench": _mapped(
        "wrench", False, StreamMapping(Meaning.WRENCH, _paths(force="force", torque="torque"))),
    "geometry_msgs/msg/Twist": _mapped(
        "twist", False, StreamMapping(_TWIST, _paths(linear="linear", angular="angular"))),
    "geometry_msgs/msg/TwistStamped": _mapped(
        "twist", True, StreamMapping(_TWIST, _paths(twist="twist"))),
    "geometry_msgs/msg/PointStamped": _mapped(
        "point", True, _numbers("m", position="point"), default_policy=_LINEAR),
    "sensor_msgs/msg/Joy": _mapped(
        "joystick", True, _numbers("1", axes="axes", buttons="buttons")),
    "sensor_msgs/msg/Range": _mapped("range", True, _numbers("m", range="range")),
    **{f"std_msgs/msg/{name}": _mapped("number", False, _numbers(data="data"))
       for name in ("Float64", "Float32", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16",
                    "UInt32", "UInt64", "Bool", "Float64MultiArray", "Float32MultiArray",
                    "Int32MultiArray", "Int16MultiArray", "UInt16MultiArray")},
}  # fmt: skip


class _Kinds(Mapping[str, Kind]):
    """The shipped rows and those of installed packages, which are loaded on first use."""

    def __getitem__(self, type_name: str) -> Kind:
        shipped = _SHIPPED.get(type_name)
        return shipped if shipped is not None else _added()[type_name]

    def __iter__(self) -> Iterator[str]:
        return iter({**_added(), **_SHIPPED})

    def __len__(self) -> int:
        return sum(1 for _ in self)


@cache
def _added() -> dict[str, Kind]:
    """Load the rows of installed packages, by message type."""
    rows: dict[str, Kind] = {}
    for name, mapping in extensions(KINDS_GROUP).found.items():
        whole = isinstance(mapping, Mapping) and all(isinstance(k, Kind) for k in mapping.values())
        if whole:
            rows |= mapping
        else:
            text = "%s: '%s' is ignored: it must be a mapping of message types to Kind"
            logging.getLogger(__name__).warning(text, KINDS_GROUP, name)
    return rows


KINDS: Mapping[str, Kind] = _Kinds()
"""The known message types."""


def kind_of(stream: StreamConfig) -> Kind:
    """Return the kind of a stream: by its mapping, else by its message type."""
    if stream.mapping is None:
        return KINDS.get(stream.type, UNKNOWN_KIND)
    known = KINDS.get(stream.type, UNKNOWN_KIND)
    return replace(
        KIND_OF_MEANING[stream.mapping.meaning],
        has_header=known.has_header,
        mapping=stream.mapping,
    )


def sort_of(type_name: str) -> Sort:
    """Return how a message type is drawn; NUMBERS: unknown type."""
    return KINDS.get(type_name, UNKNOWN_KIND).sort


def has_header(type_name: str, definition: str) -> bool:
    """Return whether messages of a type begin with a std_msgs/Header, or a timestamp like it.

    Args:
        type_name: package/msg/Name.
        definition: of a type that is not known; in ros2msg format or IDL.
    """
    known = KINDS.get(type_name)
    return known.has_header if known else begins_with_header(type_name, definition)


def needs_definition(stream: StreamConfig) -> bool:
    """Return whether a stream's values are read by the definition of its message type."""
    kind = kind_of(stream)
    return kind.decode is None and kind.sort is not Sort.IMAGE and stream.type != CAMERA_INFO


def values_problem(stream: StreamConfig, definition: str) -> str:
    """Return why a stream of an unknown type has no values; empty: it has, or is mapped.

    Args:
        stream: its entry in the profile.
        definition: of its message type; empty: unknown.
    """
    if not definition:
        return f"{NO_VALUES}{stream.type} is not understood, and is not defined readably"
    kind = kind_of(stream)
    if kind.mapping is not None:
        return ""
    try:
        types = parse_definition(stream.type, definition)
        if kind.sort is Sort.AUDIO:
            AudioDecoder(stream.type, types)
            return ""
        problem = types.problem(short_name(stream.type))
    except ConfigError as error:
        return f"{NO_VALUES}{error}"
    if problem:
        return f"{NO_VALUES}{problem}"
    name = carried_bytes(stream.type, types)
    return f"{NO_VALUES}{stream.type} carries bytes ({name})" if name else ""


_MEDIA = re.compile(r"image|picture|video|audio|sound|cloud|string|text|compressed|packet", re.I)


def lacks_values(stream: StreamConfig, why: str) -> bool:
    """Return whether a stream ought to have values and has none.

    That is a required observation or action, unless its type says that it carries pictures, sound
    or text, or that there are no numbers in it.

    Args:
        stream: its entry in the profile.
        why: why it has no values, as ``values_problem`` or its decoder says; empty: it has.
    """
    wanted = (
        stream.required and stream.role is not Role.CONTEXT and stream.policy is not Policy.NONE
    )
    told = why.startswith(NO_VALUES) and why != NO_NUMBERS
    return wanted and told and not _MEDIA.search(stream.type.rpartition("/")[2])


MAP_IT = (
    "map its fields with 'as' and 'map' in the profile; robot-recorder profile guess proposes how"
)
"""What to do about a stream that lacks values."""


def decoder_of(
    stream: StreamConfig, decoders: Mapping[str, Callable[[bytes], Decoded]]
) -> Callable[[bytes], Decoded] | None:
    """Return the decoder of a stream: its own, if it needs no definition; None: it has no values.

    Args:
        stream: its entry in the profile.
        decoders: by stream name, of streams that are read by a definition.
    """
    decode = decoders.get(stream.name)
    if decode is None and not needs_definition(stream):
        decode = stream_decoder(stream)
    return decode


def stream_decoder(stream: StreamConfig, definition: str = "") -> Callable[[bytes], Decoded] | None:
    """Return a stream's decoder, with names and units of its profile; None: it has no values.

    Args:
        stream: its entry in the profile.
        definition: of its message type, where ``needs_definition``; empty: unknown.

    Raises:
        ConfigError: the definition cannot be read, or has no field that the mapping names.
    """
    kind = kind_of(stream)
    if not needs_definition(stream):
        named = stream.type == JOINT_STATE and stream.mapping is None
        return JointStates(stream.joint_names, stream.units) if named else kind.decode
    if not definition:
        raise ConfigError(f"{stream.type} is not defined, so its values cannot be read")
    mapping = kind.mapping
    if mapping is not None and stream.joint_names:
        mapping = replace(mapping, names=stream.joint_names)
    types = parse_definition(stream.type, definition)
    if kind.sort is Sort.AUDIO:
        return AudioDecoder(stream.type, types)
    return MappedDecoder(stream.type, types, mapping, stream.units)
