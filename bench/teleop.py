"""Measures how soon the simulated robot moves after a scripted headset does.

Run by ``make bench-teleop``. A hand goes to and fro by 8 cm, which is felt best at its turns: the delay is the shift
that lays the motion of the joints onto that of the hand. ``arrival to targets`` is what the node `teleop` measures.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from figures import RESULTS, write_results
from sensor_msgs.msg import JointState
from support.headset import FRAME_S, Headset
from support.robot import process

from robot_recorder.sim.model import JOINT_NAMES, build_model
from robot_recorder.sim.teleop import Drive

_WAY_M, _PERIOD_S = 0.04, 2.0
_GRID_S = 0.001
_MOST_DELAY_S = 0.4


class Watched(Headset):
    """A headset that notes when its hand was where, and when the joints were."""

    def __init__(self) -> None:
        super().__init__(jitter_s=0.0)
        self.hand: list[tuple[float, float]] = []
        self.heard: dict[str, list[tuple[float, JointState]]] = {"targets": [], "joints": []}
        for topic, name in (("joint_targets", "targets"), ("joint_states", "joints")):
            self.node.create_subscription(JointState, topic, self._noted(name), 50)

    def _noted(self, name: str) -> Any:
        def note(message: JointState, info: Any) -> None:
            # When the middleware had it: this process may be late to look.
            late_s = (time.time_ns() - info["received_timestamp"]) / 1e9
            self.heard[name].append((time.monotonic() - late_s, message))

        return note

    def sway(self, seconds: float) -> None:
        """Move the left hand up and down."""
        begun, home = self.due_s, self.hands["left"].copy()
        while self.due_s < begun + seconds:
            self.spin_until(self.due_s)
            now_s = time.monotonic()
            up_m = _WAY_M * float(np.sin(2 * np.pi * (now_s - begun) / _PERIOD_S))
            self.hands["left"] = home + (0, 0, up_m)
            self.hand.append((now_s, up_m))
            self.frame()


def delay_ms(hand: list[tuple[float, float]], palm: list[tuple[float, float]]) -> float:
    """Return by how much the palm comes after the hand, ms."""
    times, ups = np.array(hand).T
    later, heights = np.array(palm).T
    grid = np.arange(times[0] + 1.0, times[-1] - 1.0, _GRID_S)
    wanted = np.interp(grid, times, ups) - ups.mean()
    delays = np.arange(0, _MOST_DELAY_S, _GRID_S)
    errors = []
    for delay in delays:
        shifted = np.interp(grid + delay, later, heights)
        errors.append(float(np.std(shifted - wanted)))
    return float(delays[int(np.argmin(errors))] * 1e3)


def heights(model: Any, messages: list[tuple[float, JointState]]) -> list[tuple[float, float]]:
    """Return when the left palm was how high, s and m."""
    drive, found = Drive(model), []
    for now_s, message in messages:
        for name, angle in zip(message.name, message.position):
            drive.joints[JOINT_NAMES.index(name)] = angle
        found.append((now_s, float(drive.palms()["left"].position_m[2])))
    return found


def measure(seconds: float) -> dict[str, float]:
    """Return the figures, ms."""
    cache = Path(".cache/sim").absolute()
    with (
        Watched() as headset,
        process("sim_robot", cache=cache, cameras="none"),
        process("teleop", cache=cache),
    ):
        headset.wait("teleop", lambda: bool(headset.teleop.get("robot")), 90)
        headset.clutch()
        headset.wear(0.5)
        for heard in (headset.hand, *headset.heard.values()):
            heard.clear()
        headset.sway(seconds)
        told = headset.teleop["latency_ms"]
        model = build_model(cache)
        palms = {name: heights(model, heard) for name, heard in headset.heard.items()}
    gaps_ms = np.diff([now_s for now_s, _ in headset.heard["targets"]]) * 1e3
    return {
        "arrival_to_targets_p50_ms": told["p50"],
        "arrival_to_targets_p95_ms": told["p95"],
        "hand_to_targets_ms": delay_ms(headset.hand, palms["targets"]),
        "hand_to_joints_ms": delay_ms(headset.hand, palms["joints"]),
        "targets_hz": round(1e3 / float(np.mean(gaps_ms)), 1),
        "headset_hz": round(1 / FRAME_S, 1),
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    figures = measure(options.seconds)
    for name, value in figures.items():
        print(f"{name:28} {value:8.1f}")
    write_results(RESULTS / "teleop.json", "make bench-teleop", figures)


if __name__ == "__main__":
    main()
