"""A driver that publishes raw pictures until it is ended: ``python raw_camera.py TOPIC``."""

from __future__ import annotations

import sys
import time
from array import array
from contextlib import suppress

import rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

PIXELS = 640 * 480 * 3  # bytes of an rgb8 picture: 921,600


def main() -> None:
    """Publish reliably, as most drivers of raw cameras do, at 30 Hz."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # they end what is published with
    node = rclpy.create_node("raw_camera", enable_rosout=False, start_parameter_services=False)
    publisher = node.create_publisher(Image, sys.argv[1], QoSProfile(depth=5))
    picture = Image(
        height=480, width=640, encoding="rgb8", step=1920, data=array("B", bytes(PIXELS))
    )
    while True:
        now_ns = time.time_ns()
        picture.header.stamp.sec, picture.header.stamp.nanosec = divmod(now_ns, 10**9)
        publisher.publish(serialize_message(picture))
        time.sleep(1 / 30)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # how it is ended
        main()
