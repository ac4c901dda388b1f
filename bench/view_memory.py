"""Measures how soon `robot-recorder view` shows a picture, and the memory taken by 2 GB.

Measured are the command and the real viewer without a window, which needs a Vulkan driver (Mesa's,
package mesa-vulkan-drivers, draws on the CPU).
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from bags import NS, T0
from rclpy.serialization import serialize_message
from rerun.experimental import ViewerClient
from sensor_msgs.msg import CompressedImage, JointState

from robot_recorder.bags.writer import writer_factory
from robot_recorder.content.contents import Contents
from robot_recorder.messages.installed_types import message_definition, type_hash
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.view.log import stream_entity
from robot_recorder.view.viewer import MEMORY

_BYTES = 2_000_000_000
_CAMERAS = ("head_camera/image/compressed", "wrist_camera/image/compressed")
_CAMERA_HZ, _JOINT_HZ, _JOINTS = 30, 500, 43
_SIZE = (720, 1280)
_PICTURES = 40  # different pictures before they repeat
_TYPES = {
    CompressedImage: "sensor_msgs/msg/CompressedImage",
    JointState: "sensor_msgs/msg/JointState",
}
_COMMAND = (
    sys.executable, "-c", "from robot_recorder.cli.main import main; raise SystemExit(main())",
)  # fmt: skip
_PATIENCE_S = 120.0


def measure(folder: Path) -> dict[str, float]:
    """Return peak memory in MB, and wall time in s, of showing 2 GB.

    Args:
        folder: for the bag and the output; both are deleted afterwards.
    """
    bag, saved = folder / "long_bag", folder / "long_bag.rrd"
    try:
        seconds = write_bag(bag)
        began = time.monotonic()
        status, rss_mb = _run("view", "--save", str(saved), str(bag))
        took = time.monotonic() - began
        assert status == 0, f"view --save ended with {status}"
        began = time.monotonic()
        status, show_mb = _run("show", str(bag), "--out", str(saved.with_suffix(".html")))
        shown = time.monotonic() - began
        assert status == 0, f"show ended with {status}"
        figures = {
            "show_rss_mb_2gb": show_mb,
            "show_s_2gb": shown,
            "view_rss_mb_2gb": rss_mb,
            "view_save_s_2gb": took,
            "view_saved_mb_2gb": saved.stat().st_size / 1e6,
            "view_bag_s_2gb": seconds,
        }
        with viewer() as (url, process):
            client = connected(url, process)
            status, rss_mb = _run("view", "--connect", url, str(bag))
            assert status == 0, f"view --connect ended with {status}"
            client.get_state()  # answered by the thread that receives the data
            peak_mb = _peak_mb(process.pid)
        return figures | {"view_live_rss_mb_2gb": rss_mb, "viewer_rss_mb_2gb": peak_mb}
    finally:
        shutil.rmtree(bag, ignore_errors=True)
        saved.unlink(missing_ok=True)
        saved.with_suffix(".html").unlink(missing_ok=True)


def first_picture_s(episode: Path) -> float:
    """Return the time from the command until a new viewer has pictures of every camera."""
    topics = Contents.open(episode).topics
    cameras = [stream_entity(t.stream) for t in topics if t.sort is Sort.IMAGE]
    assert cameras, f"{episode} has no pictures"
    began = time.monotonic()
    with viewer() as (url, process):
        command = subprocess.Popen([*_COMMAND, "view", "--connect", url, str(episode)])
        client = connected(url, process)
        while not all(_has_picture(client, camera) for camera in cameras):
            assert time.monotonic() < began + _PATIENCE_S, "no picture reached the viewer"
            time.sleep(0.02)
        took = time.monotonic() - began
        assert command.wait(_PATIENCE_S) == 0
    return took


def write_bag(path: Path) -> float:
    """Write 2 GB of two cameras of 1280 x 720 and a humanoid's joint states; return the seconds."""
    shutil.rmtree(path, ignore_errors=True)
    rng = np.random.default_rng(0)
    pictures = [_picture(rng) for _ in range(_PICTURES)]
    writer = writer_factory("mcap")()
    writer.open(path, {})
    kinds = {"joint_states": JointState, **dict.fromkeys(_CAMERAS, CompressedImage)}
    channels = {}
    for name, kind in kinds.items():
        known = _TYPES[kind]
        topic = BagTopic(
            f"/{name}", known, (OfferedQos(),), type_hash(known), message_definition(known)
        )
        channels[name] = Channel(topic)
        writer.add_topic(channels[name])
    joints = _joint_state()
    written, tick = 0, 0
    steps = _JOINT_HZ // _CAMERA_HZ
    while written < _BYTES:
        batch = []
        for step in range(steps):
            at = T0 + round((tick + step / steps) * NS / _CAMERA_HZ)
            batch.append(_sample(channels["joint_states"], _moved(joints, at), at))
        for camera in _CAMERAS:
            data = pictures[tick % _PICTURES]
            at = T0 + round((tick + 1) * NS / _CAMERA_HZ)
            batch.append(_sample(channels[camera], data, at))
        writer.write(batch)
        written += sum(len(sample.data) for sample in batch)
        tick += 1
    writer.close()
    return tick / _CAMERA_HZ


@contextmanager
def viewer() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a real viewer without a window; yield its address and process."""
    import rerun_cli

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = Path(rerun_cli.__file__).with_name("rerun")  # the viewer itself, not its launcher
    process = subprocess.Popen(
        [str(binary), "--headless", "--port", str(port), "--window-size", "1920x1080",
         "--memory-limit", MEMORY],
        env={**os.environ, "RUST_LOG": "error"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"rerun+http://127.0.0.1:{port}/proxy", process
    finally:
        process.terminate()
        process.wait()


def connected(url: str, process: subprocess.Popen[bytes]) -> ViewerClient:
    """Wait until the viewer answers, and return a client."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, "the viewer does not run: is mesa-vulkan-drivers installed?"
        try:
            client = ViewerClient.connect(url)
            client.get_state()
            return client
        except ConnectionError:
            time.sleep(0.05)
    raise TimeoutError("the viewer does not answer")


def _has_picture(client: ViewerClient, entity: str) -> bool:
    try:
        entities = client.get_recording_schema(entity_path=entity).entities
    except ConnectionError:  # the viewer does not run yet, or has no such entity
        return False
    return any(c.component == "EncodedImage:blob" for e in entities for c in e.components)


def _run(*arguments: str) -> tuple[int, float]:
    """Run a command; return its exit code and peak memory, MB."""
    process = subprocess.Popen([*_COMMAND, *arguments])
    most = 0.0
    # Poll, because the peak that the system reports at the end includes that of the parent process.
    while process.poll() is None:
        most = max(most, _peak_mb(process.pid))
        time.sleep(0.02)
    return process.returncode, most


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return next(found, 0) / 1000  # 0: the process has just ended


def _picture(rng: np.random.Generator) -> bytes:
    """Return a message with a textured picture of realistic size."""
    coarse = rng.integers(0, 255, (_SIZE[0] // 4, _SIZE[1] // 4, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, _SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    message = CompressedImage(format="jpeg", data=data.tobytes())
    return bytes(serialize_message(message))


def _joint_state() -> bytes:
    values = np.linspace(-1, 1, _JOINTS).tolist()
    names = [f"joint_{i}" for i in range(_JOINTS)]
    message = JointState(name=names, position=values, velocity=values, effort=values)
    return bytes(serialize_message(message))


def _moved(joints: bytes, at_ns: int) -> bytes:
    """Return the message with other efforts, which are its last numbers."""
    values = np.sin(np.arange(_JOINTS) + (at_ns - T0) / NS).astype("<f8").tobytes()
    return joints[: -len(values)] + values


def _sample(channel: Channel, data: bytes, at_ns: int) -> Sample:
    stamped = bytearray(data)
    struct.pack_into("<iI", stamped, 4, *divmod(at_ns, NS))
    return Sample(channel, bytes(stamped), at_ns + 500_000, at_ns + 400_000)
