"""Read sensor_msgs/CameraInfo: the size of a camera's pictures and how it projects.

Source of the format: the comments in sensor_msgs/msg/CameraInfo.msg.
"""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.messages.cdr import CdrReader

_MOST_COEFFICIENTS = 32


@dataclass(frozen=True)
class CameraInfo:
    """The calibration of a camera.

    Attributes:
        width, height: of its pictures, pixels.
        model: of the distortion, such as ``plumb_bob``; empty: unknown.
        distortion: its coefficients.
        intrinsics: fx, fy, cx, cy, pixels; None: it is not calibrated.
    """

    width: int
    height: int
    model: str = ""
    distortion: tuple[float, ...] = ()
    intrinsics: tuple[float, float, float, float] | None = None


def camera_size(message: bytes) -> tuple[int, int]:
    """Return width and height of a camera's pictures, pixels.

    Raises:
        DecodeError: the message is truncated.
    """
    return _size(CdrReader(message))


def _size(reader: CdrReader) -> tuple[int, int]:
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    height, width = reader.u32(), reader.u32()
    return width, height


def read_camera_info(message: bytes) -> CameraInfo:
    """Return the calibration in a message.

    Raises:
        DecodeError: the message is truncated.
    """
    reader = CdrReader(message)
    width, height = _size(reader)
    model = reader.text()
    count = reader.u32()
    distortion = reader.doubles(count).tolist() if count <= _MOST_COEFFICIENTS else []
    if count > _MOST_COEFFICIENTS:
        return CameraInfo(width, height)
    fx, _, cx, _, fy, cy, *_ = reader.doubles(9).tolist()
    intrinsics = (fx, fy, cx, cy) if fx > 0 and fy > 0 else None
    return CameraInfo(width, height, model, tuple(distortion), intrinsics)
