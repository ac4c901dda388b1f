"""The default thresholds of all checks, the most important check first.

Profiles and tasks can change them; docs/quality.md describes the checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from robot_recorder.model.check_result import Threshold
from robot_recorder.model.extensions import CHECKS_GROUP, extensions

THRESHOLDS: dict[str, Threshold] = {
    "nothing_recorded": Threshold(warn=0, fail=0, unit="episodes"),
    "stream_missing": Threshold(warn=0, fail=0, unit="streams"),
    "never_moved": Threshold(warn=0.1, fail=0.1, below=True, unit="s"),
    "incomplete": Threshold(warn=0, fail=0.5, unit="of what was to be recorded"),
    "too_few_frames": Threshold(warn=0, fail=0.02, unit="of the frames"),
    "unreadable": Threshold(warn=0, fail=0, unit="messages"),
    "camera_black": Threshold(warn=0, fail=0.5, unit="s"),
    "camera_frozen": Threshold(warn=0.4, fail=1.0, unit="s"),
    "camera_undecodable": Threshold(warn=0, fail=0.5, unit="s"),
    "gap": Threshold(warn=0.1, fail=0.3, unit="s"),
    "frozen": Threshold(warn=0.3, fail=0.8, unit="s"),
    "joint_frozen": Threshold(warn=0.3, fail=0.8, unit="s"),
    "not_a_number": Threshold(warn=0, fail=0, unit="samples"),
    "undecodable": Threshold(warn=0, fail=0.01, unit="of the messages"),
    "joint_names": Threshold(warn=0, unit="messages"),
    "no_values": Threshold(warn=0, unit="streams"),
    "joint_jump": Threshold(warn=0, fail=2, unit="jumps"),
    "joint_limits": Threshold(warn=0.05, fail=0.2, unit="rad"),
    "wrench_clipping": Threshold(warn=0.02, fail=0.1, unit="s"),
    "wrench_bias": Threshold(warn=3.0, fail=8.0, unit="N"),
    "wrench_spikes": Threshold(warn=0, fail=3, unit="spikes"),
    "never_touched": Threshold(warn=0, fail=0, unit="pads"),
    "taxels_dead": Threshold(warn=0, fail=1, unit="taxels"),
    "taxels_stuck": Threshold(warn=0, fail=1, unit="taxels"),
    "taxels_saturated": Threshold(warn=0.05, fail=0.3, unit="s"),
    "camera_size": Threshold(warn=0, fail=0, unit="pictures"),
    "camera_blurred": Threshold(warn=0.22, fail=0.17, below=True, unit="of the coarser structure"),
    "camera_overexposed": Threshold(warn=0.5, fail=2.0, unit="s"),
    "tracking_lag": Threshold(warn=0.2, fail=0.4, unit="s"),
    "tracking_error": Threshold(warn=0.25, fail=0.5, unit="rad"),
    "rate": Threshold(warn=0.05, fail=0.2, unit="of the declared rate"),
    "losses": Threshold(warn=0.0, fail=0.01, unit="of all messages"),
    "clock_future": Threshold(warn=5.0, fail=10.0, unit="ms"),
    "clock_delay": Threshold(warn=50.0, fail=250.0, unit="ms"),
    "repeated_stamps": Threshold(warn=0.02, fail=0.2, unit="of the messages"),
    "clock_jump": Threshold(warn=50.0, fail=500.0, unit="ms"),
    "clock_drift": Threshold(warn=100.0, unit="ppm"),
    "skew": Threshold(warn=0.02, fail=0.1, unit="of the frames"),
    "too_short": Threshold(warn=1.0, fail=0.5, below=True, unit="s"),
    "too_long": Threshold(unit="s"),
    "idle_head": Threshold(warn=4.0, unit="s"),
    "idle_tail": Threshold(warn=4.0, unit="s"),
}
_SHIPPED = frozenset(THRESHOLDS)


def thresholds() -> Mapping[str, Threshold]:
    """Return the thresholds of all checks, those of installed packages included."""
    extensions(CHECKS_GROUP)  # loading a check adds its threshold
    return THRESHOLDS


def add_threshold(check: str, threshold: Threshold) -> None:
    """Add the threshold of a check from another package.

    Raises:
        TypeError: this package has a check of that name.
    """
    if check in _SHIPPED:
        raise TypeError(f"robot_recorder has a check named {check!r}: choose another name")
    THRESHOLDS[check] = threshold
