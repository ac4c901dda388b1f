"""Publishes a load over real middleware and reports how much of it was sent.

Protocol on the pipes: prints ``ready`` once every topic has a subscriber; for every line with a
number of seconds, sends for that long and prints the number of messages sent per topic so far, as
JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import WrenchStamped
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Imu, JointState

from robot_recorder.msg import TactileArray

JOINTS = [f"left_shoulder_pitch_{i:02d}_joint" for i in range(43)]
# Deep enough that a burst after a pause of this process does not overrun DDS for a punctual reader.
_DEPTH = 500
_TICK_S = 0.002
_TICK_AT = 16  # bytes before the tick of a LowState


# Number of different messages of each kind before they repeat, so that checks see a moving robot.
_PHASES = 100
_PICTURES = 5


def joint_state(phase: int = 0) -> Any:
    """Return a 43-joint JointState, about 2.8 kB as CDR."""
    angle = 2 * math.pi * phase / _PHASES
    position = [0.3 * math.sin(angle + i) for i in range(43)]
    velocity = [0.3 * math.cos(angle + i) for i in range(43)]
    return JointState(name=JOINTS, position=position, velocity=velocity, effort=velocity)


@dataclass(frozen=True)
class Stream:
    """A topic of a load."""

    topic: str
    make: Callable[..., Any]
    rate_hz: float

    def stamp(self, data: bytearray, now_ns: int, number: int) -> None:
        """Write the time of sending into a message, or its tick of a steady clock."""
        if self.make is g1_lowstate:
            tick = round(number * 1000 / self.rate_hz) % 2**32
            data[_TICK_AT : _TICK_AT + 4] = tick.to_bytes(4, "little")
            return
        sec, nanosec = divmod(now_ns, 10**9)
        data[4:8], data[8:12] = sec.to_bytes(4, "little"), nanosec.to_bytes(4, "little")

    @property
    def numbered(self) -> bool:
        """Return whether messages carry their number instead of their last float, to find gaps."""
        return self.make is joint_state


def wrench(phase: int = 0) -> Any:
    """Return a changing force."""
    message = WrenchStamped()
    message.wrench.force.x = 5 * math.sin(2 * math.pi * phase / _PHASES)
    message.wrench.force.z = 0.05 * (phase * 37 % 11)
    return message


def tactile(phase: int = 0) -> Any:
    """Return a palm with 16 taxels."""
    return TactileArray(rows=4, cols=4, normal=[0.5 + 0.01 * ((phase + i) % 7) for i in range(16)])


def imu(phase: int = 0) -> Any:
    """Return a turning torso."""
    message = Imu()
    message.orientation.w, message.angular_velocity.z = 1.0, math.sin(2 * math.pi * phase / _PHASES)
    return message


@cache
def _jpeg(number: int) -> bytes:
    noise = np.random.default_rng(number).normal(128, 24, (480, 640, 3)).clip(0, 255)
    return bytes(cv2.imencode(".jpg", noise.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 72])[1])


def image(phase: int = 0) -> Any:
    """Return a JPEG of 640 x 480 pixels and 100 kB, the size of a textured scene."""
    return CompressedImage(format="jpeg", data=array("B", _jpeg(phase % _PICTURES)))


def g1_joints(phase: int = 0) -> Any:
    """Return the 29 joints of a G1 as a JointState."""
    angle = 2 * math.pi * phase / _PHASES
    position = [0.3 * math.sin(angle + i) for i in range(29)]
    velocity = [0.3 * math.cos(angle + i) for i in range(29)]
    return JointState(name=JOINTS[:29], position=position, velocity=velocity, effort=velocity)


def g1_lowstate(phase: int = 0) -> Any:
    """Return the same joints as a LowState, about 2 kB as CDR."""
    from support.robot_messages import message_class  # built when it is needed

    message = message_class("unitree_hg/msg/LowState")()
    joints = g1_joints(phase)
    for motor, q, dq in zip(message.motor_state, joints.position, joints.velocity):
        motor.q, motor.dq, motor.tau_est = q, dq, dq
    message.imu_state.quaternion[0] = 1.0
    return message


def joints_load(rate_hz: float, topics: int) -> list[Stream]:
    """Return ``rate_hz`` JointStates per second in total, spread over topics."""
    return [Stream(f"joints_{i:02d}", joint_state, rate_hz / topics) for i in range(topics)]


def humanoid_load() -> list[Stream]:
    """Return the load of a whole robot: 5,920 messages and 15 MB per second."""
    wrenches = [
        f"{side}_{part}/wrench" for side in ("left", "right") for part in ("wrist", "ankle")
    ]
    return [
        Stream("joint_states", joint_state, 500),
        Stream("joint_commands", joint_state, 500),
        *(Stream(topic, wrench, 1000) for topic in wrenches),
        Stream("left_palm/tactile", tactile, 200),
        Stream("right_palm/tactile", tactile, 200),
        Stream("imu", imu, 400),
        *(Stream(f"camera_{i}/image/compressed", image, 30) for i in range(4)),
    ]


def load(name: str) -> list[Stream]:
    """Return the load ``humanoid``, ``g1_joints``, ``g1_lowstate``, or JointStates per second."""
    if name in ("g1_joints", "g1_lowstate"):
        return [Stream("body", globals()[name], 500)]
    return humanoid_load() if name == "humanoid" else joints_load(float(name), 20)


class Sender:
    """A publisher of streams at their rates, which stamps each message."""

    def __init__(self, node: Any, streams: list[Stream]) -> None:
        self.streams = streams
        self.publishers = [
            node.create_publisher(type(s.make(0)), s.topic, QoSProfile(depth=_DEPTH))
            for s in streams
        ]
        self._bytes = [
            [bytearray(serialize_message(s.make(phase))) for phase in range(_PHASES)]
            for s in streams
        ]
        self.sent = [0] * len(streams)

    def ready(self) -> bool:
        """Return whether every topic has a subscriber."""
        return all(p.get_subscription_count() for p in self.publishers)

    def send_for(self, seconds: float) -> None:
        """Publish due messages every 2 ms for some seconds."""
        begin = time.monotonic()
        first = list(self.sent)
        while (elapsed := time.monotonic() - begin) < seconds:
            for index, stream in enumerate(self.streams):
                due = int(elapsed * stream.rate_hz) + first[index]
                while self.sent[index] < due:
                    self._send(index)
            time.sleep(max(0.0, _TICK_S - (time.monotonic() - begin - elapsed)))

    def _send(self, index: int) -> None:
        data = self._bytes[index][self.sent[index] % _PHASES]
        self.streams[index].stamp(data, time.time_ns(), self.sent[index])
        if self.streams[index].numbered:
            data[-8:] = self.sent[index].to_bytes(8, "little")
        self.publishers[index].publish(bytes(data))
        self.sent[index] += 1


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load")
    options = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node("load", enable_rosout=False, start_parameter_services=False)
    sender = Sender(node, load(options.load))
    while not sender.ready():
        time.sleep(0.05)
    time.sleep(0.5)  # discovery of the other direction
    print("ready", flush=True)
    for line in sys.stdin:
        sender.send_for(float(line))
        sent = {node.resolve_topic_name(s.topic): n for s, n in zip(sender.streams, sender.sent)}
        print(json.dumps(sent), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # how it is ended
        main()
