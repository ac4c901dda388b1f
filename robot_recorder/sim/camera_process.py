"""Renders and publishes the simulated cameras in a process of its own.

In the robot's process, rendering would disturb the 500 Hz streams.
"""

from __future__ import annotations

import array
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robot_recorder.model.streams import NS_PER_S
from robot_recorder.sim.delivery import Delivery, Timing


class Shot(NamedTuple):
    """A request for a picture.

    Attributes:
        camera: name of the camera.
        sampled_ns: time of the picture, robot clock.
        poses: of everything at that time, from `Robot.snapshot`.
        look: seed of light and surfaces.
    """

    camera: str
    sampled_ns: int
    poses: np.ndarray
    look: int


def run_cameras(
    orders: Connection, cache: Path, place: str, namespace: str, timings: dict[str, Timing]
) -> None:
    """Render and publish all requested pictures until the other end closes.

    Sends back the camera's name after each, so that the sender knows which cameras are behind.

    Args:
        orders: connection with requests.
        cache: directory of the prepared model.
        place: where the robot works.
        namespace: of the node.
        timings: of the cameras, by name.
    """
    import cv2
    import mujoco
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from robot_recorder.sim.cameras import CAMERAS, CameraRenderer, poses_of
    from robot_recorder.sim.looks import dress
    from robot_recorder.sim.model import build_model

    cv2.setNumThreads(1)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("sim_cameras", namespace=namespace)
    model = build_model(cache, place)
    renderer = CameraRenderer(model)
    delivery, began_ns = Delivery(seed=2), time.time_ns()
    outputs = {name: _Output(node, name, renderer) for name in CAMERAS}
    rest, look = poses_of(model, mujoco.MjData(model)), -1
    for name in timings.keys() & CAMERAS.keys():
        renderer.render(name, rest)  # the first picture of an OpenGL context takes long
    orders.send("ready")
    try:
        while True:
            if not orders.poll(0.002):
                delivery.run(time.time_ns())
                continue
            shot: Shot | None = orders.recv()
            if shot is None:
                break
            if shot.look != look:
                look = shot.look
                dress(model, look)
            image = renderer.render(shot.camera, shot.poses)
            _, jpeg = cv2.imencode(
                ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90]
            )
            timing = timings.get(shot.camera, Timing())
            stamp_ns = timing.stamp_ns(shot.sampled_ns, began_ns)
            for publish, data in outputs[shot.camera].messages(stamp_ns, jpeg.tobytes()):
                delivery.send(publish, data, shot.sampled_ns, timing)
            orders.send(shot.camera)
            delivery.run(time.time_ns())
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass
    renderer.close()
    node.destroy_node()
    rclpy.try_shutdown()


class _Output:
    """The publishers of one camera."""

    def __init__(self, node: Any, name: str, renderer: Any) -> None:
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CameraInfo, CompressedImage

        from robot_recorder.sim.cameras import CAMERAS

        spec = CAMERAS[name]
        fx, fy, cx, cy = renderer.intrinsics(name)
        self._image = CompressedImage(format="jpeg")
        self._info = CameraInfo(
            width=spec.width, height=spec.height, distortion_model="plumb_bob", d=[0.0] * 5,
            k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
            r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        )  # fmt: skip
        # The QoS of most camera drivers: best effort, a few messages deep.
        self._publishers = (
            node.create_publisher(
                CompressedImage, f"{name}/image/compressed", qos_profile_sensor_data
            ).publish,
            node.create_publisher(
                CameraInfo, f"{name}/camera_info", qos_profile_sensor_data
            ).publish,
        )
        for message in (self._image, self._info):
            message.header.frame_id = f"{name}_optical_frame"

    def messages(self, stamp_ns: int, jpeg: bytes) -> list[tuple[Any, bytes]]:
        """Return the messages of one picture with their publish functions."""
        from rclpy.serialization import serialize_message

        self._image.data = array.array("B", jpeg)
        for message in (self._image, self._info):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        serialized = [bytes(serialize_message(m)) for m in (self._image, self._info)]
        return list(zip(self._publishers, serialized, strict=True))
