"""A camera, as its stream is tallied and certified."""

from __future__ import annotations

from robot_recorder.model.streams import Policy, Role, StreamConfig

MS = 1_000_000
CAMERA = StreamConfig(
    "camera",
    "camera",
    "x/msg/Y",
    Role.OBSERVATION,
    30.0,
    policy=Policy.NEAREST,
    tolerance_ns=50 * MS,
)
