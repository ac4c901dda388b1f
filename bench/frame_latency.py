"""Measures the latency of the synchronizer's frames, for ``live`` of alignment.py."""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray

from robot_recorder.msg import AlignedFrame

rclpy.init()
node = rclpy.create_node("frame_latency")
late: list[tuple[float, bool]] = []
last: list[float] = []


def on_frame(frame: AlignedFrame) -> None:
    stamp = frame.header.stamp
    late.append((time.time() - stamp.sec - stamp.nanosec / 1e9, frame.complete))


def on_diagnostics(report: DiagnosticArray) -> None:
    for status in report.status:
        if status.name.endswith(": latency"):
            last.extend(
                float(v.value) for v in status.values if v.key == "last_sample_to_frame_ms_p95"
            )


node.create_subscription(AlignedFrame, "synchronizer/frames", on_frame, 100)
node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
deadline = time.monotonic() + 120
while not (late and late[-1][1]):  # until all streams have arrived
    assert time.monotonic() < deadline, "no complete frame within two minutes"
    rclpy.spin_once(node, timeout_sec=0.5)
settle = time.monotonic() + 5
while time.monotonic() < settle:
    rclpy.spin_once(node, timeout_sec=0.1)
late.clear()
last.clear()
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
times = 1e3 * np.array([t for t, _ in late])
complete = sum(c for _, c in late) / len(late)
print(f"{np.percentile(times, 95)} {np.median(last)} {len(late)} {complete}")
