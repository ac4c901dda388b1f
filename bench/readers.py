"""Baselines: a reader that discards everything, and a typical node that writes an MCAP file.

Run as ``readers.py floor|typed LOAD FOLDER``; on SIGTERM prints the number of messages received.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import rclpy
from load import load
from mcap.writer import CompressionType, Writer
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message

_QOS = QoSProfile(depth=2000)


class Ending:
    """An event set by SIGTERM."""

    def __init__(self) -> None:
        self.now = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: Any) -> None:
        self.now = True


def floor(node: Any, load_name: str, ending: Ending) -> int:
    """Read raw with one wait set and discard everything: the least cost possible in Python."""
    readers = [
        (type(s.make()), node.create_subscription(type(s.make()), s.topic, _ignore, _QOS, raw=True))
        for s in load(load_name)
    ]
    wait_set = _rclpy.WaitSet(len(readers), 0, 0, 0, 0, 0, node.context.handle)
    received = 0
    with wait_set:
        while not ending.now:
            wait_set.clear_entities()
            for _, subscription in readers:
                wait_set.add_subscription(subscription.handle)
            wait_set.wait(100_000_000)
            for kind, subscription in readers:
                take = subscription.handle.take_message
                while take(kind, True) is not None:
                    received += 1
            time.sleep(0.002)  # let messages accumulate
    return received


def _ignore(_: Any) -> None:
    pass


def typed(node: Any, load_name: str, ending: Ending, folder: Path) -> int:
    """Read with the default executor and typed callbacks; write each message to an MCAP file."""
    received = 0
    with open(folder / "typed.mcap", "wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start("ros2", "typed")
        for stream in load(load_name):
            kind = type(stream.make())
            schema = writer.register_schema(kind.__name__, "ros2msg", b"")
            channel = writer.register_channel(stream.topic, "cdr", schema)

            def write(message: Any, channel: int = channel) -> None:
                nonlocal received
                received += 1
                now = time.time_ns()
                writer.add_message(channel, now, serialize_message(message), now)

            node.create_subscription(kind, stream.topic, write, _QOS)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not ending.now:
            executor.spin_once(timeout_sec=0.1)
        writer.finish()
    return received


def main() -> None:
    """Run as a process."""
    kind, load_name, folder = sys.argv[1:4]
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    ending = Ending()
    node = rclpy.create_node("reader", enable_rosout=False, start_parameter_services=False)
    if kind == "floor":
        received = floor(node, load_name, ending)
    else:
        received = typed(node, load_name, ending, Path(folder))
    print(received, flush=True)


if __name__ == "__main__":
    main()
