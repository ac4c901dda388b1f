"""Where publishers run, and a raw camera whose shared memory is too small is named at the start.

The DDS profile and the look at shared memory are tried with real publishers here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.robot import RecorderClient, process

from robot_recorder.cli.processes import ended
from robot_recorder.configuration.dds import dds_environment
from robot_recorder.nodes.endpoint_ids import machine_of, processes_on
from robot_recorder.srv import StartEpisode

OWN = bytes.fromhex("010f78fd6f5043370000000000001303")
PID = 0x506F
CAMERA = {"type": "sensor_msgs/msg/Image", "role": "observation", "rate_hz": 30}


@pytest.mark.parametrize("size", [16, 24])
def test_processes_on_this_machine_are_told_by_the_ids_of_fast_dds(size: int) -> None:
    ids = [id.ljust(size, b"\0") for id in (OWN, OWN[:4] + b"\x01\x02" + OWN[6:])]
    remote, cyclone = b"\x01\x0f\x00\x01" + ids[0][4:], b"\x01\x10" + ids[0][2:]
    machine = machine_of([cyclone, ids[1], ids[0]], 0x30000 + PID)
    assert machine == OWN[:4]
    assert processes_on(machine, [*ids, remote, cyclone]) == {PID, 0x0201}
    assert machine_of([remote[:4] + b"\0" * 12, cyclone, b""], PID) == b""
    assert machine_of([remote, ids[0]], PID) == b"", "one of them is another machine's"
    assert processes_on(b"", ids) == frozenset()


@contextmanager
def driver(topic: str, environment: dict[str, str]) -> Iterator[None]:
    """Run a camera."""
    script = Path(__file__).parents[1] / "support/raw_camera.py"
    running = subprocess.Popen(
        [sys.executable, str(script), topic], env=environment, stderr=subprocess.DEVNULL
    )
    with ended(running):
        yield


def test_a_real_camera_with_the_default_transport_is_named_and_one_with_the_profile_is_not(
    tmp_path: Path,
) -> None:
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("FASTDDS_", "FASTRTPS_"))}
    profile, (large, why) = tmp_path / "two.yaml", dds_environment("large_data", bare, tmp_path)
    assert large, why
    streams = "".join(f"  {n}: {{topic: {n}, **CAMERA}}\n" for n in ("bare", "roomy"))
    fields = ", ".join(f"{key}: {value}" for key, value in CAMERA.items())
    profile.write_text("robot: two\nstreams:\n" + streams.replace("**CAMERA", fields))
    with ExitStack() as stack:
        client = stack.enter_context(RecorderClient("client"))
        stack.enter_context(driver("bare", bare))
        stack.enter_context(driver("roomy", {**bare, **large}))
        stack.enter_context(process("recorder", profile=profile, root=tmp_path / "episodes"))

        client.wait(
            "both cameras", lambda: client.status and all(s.rate_hz for s in client.status.streams)
        )
        answer = client.call(StartEpisode, "recorder/start_episode", force=True)
        assert answer.success
        assert "shared memory segment too small for this image: a message on /bare has 0.92 MB" in (
            answer.message
        )
        assert f"{next(iter(large))}=/" in answer.message and "/roomy" not in answer.message
