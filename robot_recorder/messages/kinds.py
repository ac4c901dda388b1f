"""The table ``KINDS`` of known message types; ``decoders.py`` decodes them.

A row says how a message is decoded, aligned, drawn and checked. Messages of other types are recorded
and aligned by timestamp, without values. Installed packages can add rows by entry points
(docs/extending.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from robot_recorder.messages.decoders import (
    Decoded,
    JointStates,
    decode_imu,
    decode_joint_state,
    decode_pose,
    decode_tactile,
    decode_transform_stamped,
    decode_wrench,
)
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.video_messages import FFMPEG, VIDEO
from robot_recorder.model.extensions import KINDS_GROUP, extensions
from robot_recorder.model.streams import Policy, StreamConfig


class Sort(Enum):
    """How the content of a message is drawn."""

    JOINTS = "joints"
    WRENCH = "wrench"
    TACTILE = "tactile"
    IMU = "IMU"
    POSE = "pose"
    IMAGE = "pictures"
    NUMBERS = "numbers"  # an unknown type, read field by field
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True)
class Kind:
    """The properties of one message type.

    Attributes:
        label: its name for people.
        sort: how it is drawn.
        default_policy: alignment policy of observations of this type.
        decode: converts bytes to numbers; None: it has none (images).
        has_header: whether the first field is a std_msgs/Header, or a timestamp at the same bytes.
        quaternions: indexes in ``values`` at which unit quaternions (x, y, z, w) begin.
        by_name: whether messages may name different joints, which are then matched by name.
        checks: names of the quality checks of an observation's values.
    """

    label: str
    sort: Sort
    default_policy: Policy
    decode: Callable[[bytes], Decoded] | None
    has_header: bool = True
    quaternions: tuple[int, ...] = ()
    by_name: bool = False
    checks: tuple[str, ...] = ("not_a_number",)


JOINT_STATE = "sensor_msgs/msg/JointState"
WRENCH = "geometry_msgs/msg/WrenchStamped"
TACTILE = "robot_recorder/msg/TactileArray"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

_NEAREST, _LINEAR, _SLERP = Policy.NEAREST, Policy.LINEAR, Policy.SLERP
_JOINT_CHECKS = ("not_a_number", "frozen", "joint_jump", "joint_limits", "joint_frozen",
                 "tracking_lag", "tracking_error")  # fmt: skip
_WRENCH_CHECKS = ("not_a_number", "frozen", "wrench_bias", "wrench_clipping", "wrench_spikes")
_TACTILE_CHECKS = ("not_a_number", "frozen", "taxels_dead", "taxels_stuck", "taxels_saturated")
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
    "sensor_msgs/msg/Imu": Kind("IMU", Sort.IMU, _SLERP, decode_imu, quaternions=(0,),
                                checks=("not_a_number", "frozen")),
    "geometry_msgs/msg/PoseStamped": Kind("pose", Sort.POSE, _SLERP, decode_pose, quaternions=(3,)),
    "geometry_msgs/msg/TransformStamped": Kind(
        "transform", Sort.POSE, _SLERP, decode_transform_stamped, quaternions=(3,)),
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


def sort_of(type_name: str) -> Sort:
    """Return how a message type is drawn; NUMBERS: unknown type."""
    kind = KINDS.get(type_name)
    return kind.sort if kind is not None else Sort.NUMBERS


def stream_decoder(stream: StreamConfig) -> Callable[[bytes], Decoded] | None:
    """Return a stream's decoder, with names and units of its profile; None: it has no values."""
    if stream.type == JOINT_STATE:
        return JointStates(stream.joint_names, stream.units)
    kind = KINDS.get(stream.type)
    return kind.decode if kind else None
