"""Measures what it costs to decode, record and align messages of a robot's own types."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import rclpy
import yaml
from figures import SCRATCH
from load import JOINTS, g1_lowstate
from processes import MAPPED, TYPES
from rclpy.serialization import deserialize_message, serialize_message
from recorder import measure_recorder
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.robot_bags import write_take
from support.robot_messages import message_class
from support.robot_zoo import make_take, profile_of

from robot_recorder.alignment.stream_decoder import Decoder, StreamCounts
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.installed_types import message_definition
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.model.payloads import Messages
from robot_recorder.offline.align import frames_of

_LOWSTATE = TYPES["g1_lowstate"]
_MESSAGES, _REPEATS = 1000, 5
_G1 = "unitree_g1_29_inspire_ftp"
_ALIGNED_S = 60.0


def decoding() -> dict[str, float]:
    """Return the time to read 87 values of a LowState, us, and that of other readers."""
    data = [bytes(serialize_message(g1_lowstate(n % 100))) for n in range(_MESSAGES)]
    definition = message_definition(_LOWSTATE)
    stream = {"topic": "s", "type": _LOWSTATE, "role": "observation", "rate_hz": 500}
    text = yaml.safe_dump({"robot": "g1", "streams": {"body": {**stream, **MAPPED["g1_lowstate"]}}})
    decode = stream_decoder(parse_profile(text, "bench").streams[0], definition)
    assert decode is not None
    together = Decoder(decode, StreamCounts())
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(definition, _LOWSTATE))
    kind = message_class(_LOWSTATE)
    readers: dict[str, Callable[[], object]] = {
        "live": lambda: [decode(one) for one in data],
        "offline": lambda: together.all(Messages(data)),
        "rclpy": lambda: [deserialize_message(one, kind) for one in data],
        "rosbags": lambda: [store.deserialize_cdr(one, _LOWSTATE) for one in data],
    }
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(_REPEATS):  # in turn, so that a busy machine slows all of them
        for name, read in readers.items():
            began = time.perf_counter()
            read()
            times[name].append((time.perf_counter() - began) / _MESSAGES * 1e6)
    found = {name: statistics.median(all) for name, all in times.items()}
    return {
        "decode_us_per_message_lowstate_live": found["live"],
        "decode_us_per_message_lowstate_offline": found["offline"],
        "decode_us_per_message_lowstate_rclpy": found["rclpy"],
        "decode_us_per_message_lowstate_rosbags": found["rosbags"],
        "decode_rclpy_to_live": found["rclpy"] / found["live"],
        "decode_values": float(len(decode(data[0]).names)),
        "decode_joints": float(len(JOINTS[:29])),
    }


def recording(seconds: float, runs: int) -> dict[str, float]:
    """Return the recorder's CPU for LowState and for a JointState of the same joints, us a message.

    Args:
        seconds: of each episode.
        runs: of each load, in turn.
    """
    us: dict[str, list[float]] = {"g1_joints": [], "g1_lowstate": []}
    rclpy.init()
    for _ in range(runs):
        for load, found in us.items():
            found.append(measure_recorder(load, seconds, "record")["us"])
    rclpy.shutdown()
    ratios = [low / joints for low, joints in zip(us["g1_lowstate"], us["g1_joints"])]
    return {
        "recorder_cpu_us_jointstate": statistics.median(us["g1_joints"]),
        "recorder_cpu_us_mapped": statistics.median(us["g1_lowstate"]),
        "recorder_cpu_ratio_mapped_to_jointstate": statistics.median(ratios),
        "recorder_cpu_ratio_lowest": min(ratios),
        "recorder_cpu_ratio_highest": max(ratios),
    }


def aligning() -> dict[str, float]:
    """Return how much faster than real time a G1 with 1062 taxels a hand is aligned."""
    take = make_take(_G1, 1, _ALIGNED_S)
    shutil.rmtree(SCRATCH / "robot_cost", ignore_errors=True)
    path = write_take(take, SCRATCH / "robot_cost")
    profile = profile_of(_G1)
    spent: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        aligned = frames_of(Episode.open(path), profile=profile)
        spent.append(time.perf_counter() - began)
    widths: Sequence[int] = [len(names) for names in aligned.value_names]
    return {
        "align_x_real_time": _ALIGNED_S / float(np.median(spent)),
        "align_values_per_frame": float(sum(widths)),
    }
