"""Real nodes in real processes, and a robot that publishes streams and calls services."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import String

from robot_recorder.cli.processes import ended, node_command
from robot_recorder.msg import AlignedFrame, EpisodeStatus
from robot_recorder.srv import StartEpisode, StopEpisode

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

PROFILE = """
robot: bench
frame_rate_hz: 20
deadline_ms: 200
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 50}
  command: {topic: command, type: sensor_msgs/msg/JointState, role: action, rate_hz: 50}
  wrench: {topic: wrist/wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 50}
  camera: {topic: camera/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 50}
  description: {topic: robot_description, type: std_msgs/msg/String, role: context}
"""


class ShiftedClock:
    """A wall clock that can be set at any time, for processes started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        library = folder / "shifted_clock.so"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self._file = folder / "shift"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        """Set the clock ahead of the machine's by some seconds."""
        with open(self._file, "r+b", buffering=0) as file:
            file.write(struct.pack("<q", round(seconds * 1e9)))


@contextmanager
def process(
    name: str,
    namespace: str = "",
    environment: dict[str, str] | None = None,
    limit_file_bytes: int = 0,
    **parameters: object,
) -> Iterator[subprocess.Popen[str]]:
    """Run a node as a process, ended with SIGINT.

    Args:
        name: of the executable.
        namespace: of the node.
        environment: additional variables.
        limit_file_bytes: largest size of a file it writes, which acts like a full disk.
        parameters: of the node.
    """

    def limit() -> None:
        if limit_file_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))

    running = subprocess.Popen(
        node_command(name, parameters, namespace),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=limit,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    with ended(running):
        yield running
    assert running.returncode not in (-signal.SIGINT, -signal.SIGTERM), "it must take signals"


Client = TypeVar("Client", bound="RecorderClient")


class RecorderClient:
    """A node that calls the recorder's services and hears its status.

    Attributes:
        status: the recorder's EpisodeStatus, as soon as one came.
    """

    def __init__(self, name: str, namespace: str = "") -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node(name, namespace=namespace or None, context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.status: Any = None
        self.node.create_subscription(EpisodeStatus, "recorder/status", self._on_status, LATCHED)

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _on_status(self, status: EpisodeStatus) -> None:
        self.status = status

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Spin until a condition holds; fail the test after a timeout."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}; status: {self.status}"
            self.executor.spin_once(timeout_sec=0.05)

    def ready(self) -> bool:
        """Return whether the recorder receives every required stream."""
        return self.status is not None and all(
            s.health == 0 for s in self.status.streams if s.required
        )

    def call(self, kind: Any, service: str, /, **fields: Any) -> Any:
        """Call a service as `ros2 service call` would."""
        client: Any = self.node.create_client(kind, service)
        assert client.wait_for_service(20), f"service {service} does not exist"
        future = client.call_async(kind.Request(**fields))
        self.executor.spin_until_future_complete(future, timeout_sec=20)
        assert future.done(), f"service {service} did not answer"
        self.node.destroy_client(client)
        return future.result()

    def start(self, **fields: Any) -> Any:
        """Start an episode without pre-roll.

        Forced, because finding the service may take longer than a stream may be silent.
        """
        fields = {"force": True, "pre_roll_s": 0.0, **fields}
        started = self.call(StartEpisode, "recorder/start_episode", **fields)
        assert started.success, started.message
        return started

    def stop(self) -> Any:
        """Stop the episode."""
        return self.call(StopEpisode, "recorder/stop_episode")

    def stream(self, name: str) -> Any:
        """Return a stream's part of the status."""
        assert self.status is not None
        return next(s for s in self.status.streams if s.name == name)


class Bench(RecorderClient):
    """A publisher of PROFILE's streams with numbered messages, and a client of the services."""

    def __init__(self, namespace: str = "", listens: bool = True) -> None:
        """Create it; frames are held by the synchronizer unless it ``listens`` to them."""
        super().__init__("bench", namespace)
        self.prefix = f"/{namespace}" if namespace else ""
        self.frames: list[AlignedFrame] = []
        create = self.node.create_publisher
        self.publishers = {
            "/joint_states": (create(JointState, "joint_states", 100), self._joints),
            "/command": (create(JointState, "command", 100), self._joints),
            "/wrist/wrench": (create(WrenchStamped, "wrist/wrench", 100), lambda: WrenchStamped()),
            # like most camera drivers; a reliable subscription does not match it
            "/camera/image/compressed": (
                create(CompressedImage, "camera/image/compressed", qos_profile_sensor_data),
                lambda: CompressedImage(format="jpeg", data=bytes(3000)),
            ),
        }
        create(String, "robot_description", LATCHED).publish(String(data="<robot name='bench'/>"))
        if listens:
            hear = self.frames.append
            self.node.create_subscription(AlignedFrame, "synchronizer/frames", hear, 100)
        self.sent: dict[str, list[bytes]] = {name: [] for name in self.publishers}
        self._number = 0
        self.shift_s = 0.0  # of the drivers' wall clock against the machine's
        self.sim_ns: Callable[[], int] | None = None  # their simulated time

    @staticmethod
    def _joints() -> JointState:
        return JointState(
            name=["a", "b"], position=[0.1, 0.2], velocity=[0.0, 0.0], effort=[1.0, 2.0]
        )

    def publish(self) -> None:
        """Publish one message on every stream and keep its bytes in ``sent``."""
        self._number += 1
        now_ns = self.sim_ns() if self.sim_ns else time.time_ns() + round(self.shift_s * 1e9)
        for name, (publisher, make) in self.publishers.items():
            message = make()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
            message.header.frame_id = f"{name} {self._number}"
            data = bytes(serialize_message(message))
            self.sent[name].append(data)
            publisher.publish(data)

    def publish_message(self, publisher: Any, topic: str, message: Any) -> None:
        """Publish one message and keep its bytes in ``sent``."""
        data = bytes(serialize_message(message))
        self.sent[topic].append(data)
        publisher.publish(data)

    def publish_for(self, seconds: float, rate_hz: float = 50) -> None:
        """Publish at a rate and spin in between."""
        end = time.monotonic() + seconds
        due = time.monotonic()
        while time.monotonic() < end:
            self.publish()
            due += 1 / rate_hz
            while time.monotonic() < due:
                self.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))

    def publish_until(
        self, what: str, condition: Callable[[], bool], timeout_s: float = 20
    ) -> None:
        """Publish until a condition holds; fail the test after a timeout."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}; status: {self.status}"
            self.publish_for(0.1)

    def start(self, **fields: Any) -> Any:
        """Start an episode that contains exactly what is sent from here on."""
        started = super().start(**fields)
        self.forget()
        return started

    def settle(self) -> None:
        """Wait until everything sent has been written or counted as lost.

        Large messages can take the middleware seconds, and later messages wait for them. A loss is
        noticed with the next message.
        """

        def missing() -> list[Any]:
            streams = []
            for status in self.status.streams if self.status else []:
                sent = len(self.sent.get(status.topic.removeprefix(self.prefix), []))
                lost = (status.lost_dds, status.lost_ring, status.lost_queue, status.lost_writer)
                if status.written + sum(n for n in lost if n > 0) < sent:
                    streams.append(status)
            return streams

        for _ in range(5):
            end = time.monotonic() + 4.0
            while missing() and time.monotonic() < end:
                self.executor.spin_once(timeout_sec=0.05)
            if all(status.lost_dds < 0 for status in missing()):
                return  # nothing is missing, or it is unknown here whether it was lost
            self.publish()
        raise AssertionError(f"not all that was sent arrived; status: {self.status}")

    def forget(self) -> None:
        """Clear ``sent``."""
        for sent in self.sent.values():
            sent.clear()
