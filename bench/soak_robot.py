"""A light robot for the soak: moving joints, forces, touch and two small cameras, 900 messages and 1 MB a second.

    python bench/soak_robot.py START

It publishes until it is ended. The last 8 bytes of a joint state are a number: START in the upper half, the
message's own number in the lower one, so that every gap in a recording shows.
"""

from __future__ import annotations

import argparse
import math
import signal
import threading
from array import array
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
import yaml
from load import Sender, Stream, imu, joint_state, wrench
from processes import TYPES
from sensor_msgs.msg import CompressedImage

from robot_recorder.msg import TactileArray

NUMBERED = ("joint_states", "joint_commands")
BOOT = 1 << 32  # messages of one start are numbered below this
_PICTURES = 20
_STEP_S = 1.0


@cache
def _jpeg(number: int) -> bytes:
    """Return a JPEG of 320x240 and about 12 kB in which a bar moves."""
    rows, columns = np.mgrid[0:240, 0:320]
    grey = (rows + columns // 2) % 200 + np.random.default_rng(number).integers(0, 24, (240, 320))
    picture = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    picture[:, 14 * number : 14 * number + 24] = (40, 180, 250)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1].tobytes())


def image(phase: int = 0) -> Any:
    """Return a picture."""
    return CompressedImage(format="jpeg", data=array("B", _jpeg(phase % _PICTURES)))


def tactile(phase: int = 0) -> Any:
    """Return a palm with 16 taxels that touches something half of the time."""
    pressure = max(0.0, 6000 * math.sin(2 * math.pi * phase / 100))
    normal = [pressure + 2.0 * ((phase + i) % 7) for i in range(16)]
    return TactileArray(rows=4, cols=4, normal=normal)


def streams() -> list[Stream]:
    """Return the streams of the light robot."""
    return [
        Stream("joint_states", joint_state, 100),
        Stream("joint_commands", joint_state, 100),
        Stream("left_wrist/wrench", wrench, 200),
        Stream("right_wrist/wrench", wrench, 200),
        Stream("left_palm/tactile", tactile, 50),
        Stream("right_palm/tactile", tactile, 50),
        Stream("imu", imu, 200),
        Stream("head_camera/compressed", image, 10),
        Stream("wrist_camera/compressed", image, 10),
    ]


def write_profile(path: Path) -> Path:
    """Write the robot's profile; rates are a little lower than what it sends, for a busy machine."""
    found = {
        stream.topic.replace("/", "_"): {
            "topic": stream.topic,
            "type": TYPES[stream.make.__name__],
            "role": "action" if stream.topic == "joint_commands" else "observation",
            "rate_hz": stream.rate_hz * 0.95,
        }
        for stream in streams()
    }
    plain = {"robot": "soak", "frame_rate_hz": 10, "deadline_ms": 300, "streams": found}
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return path


def main() -> None:
    """Publish until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("start", type=int, help="how often it was started before")
    start = parser.parse_args().start
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node("soak_robot", enable_rosout=False, start_parameter_services=False)
    sender = Sender(node, streams())
    sender.sent = [start * BOOT] * len(sender.streams)
    while not ended.is_set():
        sender.send_for(_STEP_S)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
