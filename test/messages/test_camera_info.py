"""CameraInfo messages, as bytes."""

from __future__ import annotations

import pytest
from support.dataset_takes import camera_info
from support.samples import T0

from robot_recorder.messages.camera_info import CameraInfo, read_camera_info
from robot_recorder.model.errors import DecodeError


def test_a_calibration_is_read() -> None:
    found = read_camera_info(camera_info(T0, 640, 480))
    wanted = (80.0, 80.0, 319.5, 239.5)
    assert found == CameraInfo(640, 480, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0), wanted)


def test_it_is_what_ros_reads() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import CameraInfo as RosCameraInfo

    message = RosCameraInfo(
        width=32, height=24, distortion_model="equidistant", d=[1.0, 2.0, 3.0, 4.0]
    )
    message.k = [5.0, 0.0, 7.0, 0.0, 6.0, 8.0, 0.0, 0.0, 1.0]
    found = read_camera_info(serialization.serialize_message(message))
    assert found == CameraInfo(32, 24, "equidistant", (1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0))
    message.k = [0.0] * 9
    assert read_camera_info(serialization.serialize_message(message)).intrinsics is None


def test_a_truncated_message_is_refused() -> None:
    data = camera_info(T0, 640, 480)
    for end in (3, 20, 60, 140):
        with pytest.raises(DecodeError):
            read_camera_info(data[:end])
