"""ROS 1 bags, written with the rosbags library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
STEP = 10_000_000  # 100 Hz
NAMES = tuple(f"j{i}" for i in range(6))
JOINT_STATE = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
SENSORS = "kuavo_msgs/msg/sensorsData"
VENDOR = {
    SENSORS: "Header header\ntime sensor_time\nkuavo_msgs/jointData joint_data\nimuData imu_data\n",
    "kuavo_msgs/msg/jointData": "float64[] joint_q\nfloat64[] joint_v\nfloat64[] joint_torque\n",
    "kuavo_msgs/msg/imuData": "geometry_msgs/Vector3 gyro\ngeometry_msgs/Quaternion quat\n",
}
STORE = get_typestore(Stores.ROS1_NOETIC)
for _name, _text in VENDOR.items():
    STORE.register(get_types_from_msg(_text, _name))
TYPES = STORE.types

# topic, receive time in ns, message
Sent = tuple[str, int, Any]


def header(stamp_ns: int, seq: int = 0, frame_id: str = "base") -> Any:
    return TYPES["std_msgs/msg/Header"](seq, time(stamp_ns), frame_id)


def time(stamp_ns: int) -> Any:
    return TYPES["builtin_interfaces/msg/Time"](stamp_ns // NS, stamp_ns % NS)


def joint_state(number: int) -> Any:
    """Return sample ``number`` at 100 Hz, stamped 2 ms before its receipt."""
    positions = np.sin(np.arange(6) + number / 40)
    stamp_ns = T0 + number * STEP - 2_000_000
    return TYPES[JOINT_STATE](
        header(stamp_ns, number), list(NAMES), positions, np.zeros(6), positions
    )


def sensors(number: int) -> Any:
    """Return a message of Leju's Kuavo, cut down to some of its fields."""
    stamp_ns = T0 + number * STEP - 3_000_000
    positions = np.cos(np.arange(4) + number / 40)
    joints = TYPES["kuavo_msgs/msg/jointData"](positions, positions / 2, positions / 4)
    vector = TYPES["geometry_msgs/msg/Vector3"](number / 100, 0.0, 1.0)
    quaternion = TYPES["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    imu = TYPES["kuavo_msgs/msg/imuData"](vector, quaternion)
    return TYPES[SENSORS](header(stamp_ns, number), time(stamp_ns), joints, imu)


def image(number: int) -> Any:
    pixels = np.full((6, 8, 3), number % 256, np.uint8)
    stamp_ns = T0 + number * STEP
    return TYPES[IMAGE](header(stamp_ns), 6, 8, "rgb8", 0, 24, pixels.ravel())


def compressed(number: int) -> Any:
    pixels = np.full((48, 64, 3), number % 256, np.uint8)
    pixels[:24] = np.random.default_rng(number).integers(0, 256, (24, 64, 3))
    data = cv2.imencode(".jpg", pixels)[1].ravel()
    return TYPES[COMPRESSED](header(T0 + number * STEP), "jpeg", data)


KUAVO = {
    "/joint_states": JOINT_STATE,
    "/sensors_data_raw": SENSORS,
    "/camera/depth/image_raw": IMAGE,
    "/camera/color/image_raw/compressed": COMPRESSED,
}


def kuavo_messages(count: int = 300) -> list[Sent]:
    """Return ``count`` joint states and vendor messages at 100 Hz, and a third as many pictures."""
    found: list[Sent] = []
    for number in range(count):
        at_ns = T0 + number * STEP
        found.append(("/joint_states", at_ns, joint_state(number)))
        found.append(("/sensors_data_raw", at_ns + 1000, sensors(number)))
        if number % 3 == 0:
            found.append(("/camera/depth/image_raw", at_ns + 2000, image(number)))
            found.append(("/camera/color/image_raw/compressed", at_ns + 3000, compressed(number)))
    return found


def write_bag(
    path: Path,
    types: Mapping[str, str],
    sent: Iterable[Sent],
    compression: str = "none",
    chunk_bytes: int = 50_000,
    latched: Iterable[str] = (),
) -> Path:
    """Write a ROS 1 bag.

    Args:
        path: of the file.
        types: message type by topic.
        sent: messages in the order of the file; bytes are written as they are.
        compression: none, bz2 or lz4.
        chunk_bytes: size from which on a chunk is full.
        latched: topics whose publisher latches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(path)
    writer.chunk_threshold = chunk_bytes
    if compression != "none":
        writer.set_compression(Writer.CompressionFormat[compression.upper()])
    with writer:
        connections = {
            topic: writer.add_connection(
                topic, kind, typestore=STORE, callerid="/robot",
                latching=1 if topic in latched else None,
            )
            for topic, kind in types.items()
        }  # fmt: skip
        for topic, at_ns, message in sent:
            raw = isinstance(message, bytes)
            data = message if raw else STORE.serialize_ros1(message, types[topic])
            writer.write(connections[topic], at_ns, data)
    return path


def kuavo_bag(path: Path, compression: str = "none", count: int = 300) -> Path:
    """Write a bag as a Kuavo records it."""
    return write_bag(path, KUAVO, kuavo_messages(count), compression)


def without_index(path: Path) -> Path:
    """Make a bag one whose recording was never ended: no index, and no position of it."""
    data = bytearray(path.read_bytes())
    at = data.index(b"index_pos=") + len(b"index_pos=")
    index_at = int.from_bytes(data[at : at + 8], "little")
    data[at : at + 8] = bytes(8)
    path.write_bytes(data[:index_at])
    return path
