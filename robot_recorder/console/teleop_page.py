"""The page for a headset: its address, and the topics on which what it measures is published.

A browser's axes are x right, y up and z back; published is x ahead, y left and z up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy

from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.nodes.teleop_status import SIDES, TeleopStatus

FRAME = "operator"  # origin on the floor where the operator stood when the session began
BUTTONS = 3  # of a controller: dead-man (A or X), upper (B or Y), thumbstick
_MOST_M, _MOST_MS = 1e3, 1e12


def page_routes(static: Path) -> APIRouter:
    """Return the route of the page.

    Args:
        static: folder of its file.
    """
    router = APIRouter()

    @router.get("/teleop")
    async def teleop() -> FileResponse:
        return FileResponse(static / "teleop.html")

    return router


class HandsFeed:
    """Publishes what the headset of a page measures, and hears whether it is followed."""

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        """Create publishers and a subscription.

        Args:
            node: of the console.
            changed: called in the thread of the node when hands begin or end to be followed.
        """
        create = node.create_publisher
        self._poses = {
            part: create(PoseStamped, f"teleop/{topic}", qos_profile_sensor_data)
            for part, topic in (("head", "head"), *((side, f"{side}_hand") for side in SIDES))
        }
        self._buttons = {
            side: create(Joy, f"teleop/{side}_controller", qos_profile_sensor_data)
            for side in SIDES
        }
        self._teleop = TeleopStatus(node, changed)

    @property
    def status(self) -> dict[str, Any] | None:
        """Return what teleop does with each hand, and its latency; None: it is not heard."""
        return self._teleop.now

    def publish(self, message: dict[str, Any]) -> None:
        """Publish one frame of a page: ``{t, head, left, right}``.

        ``t`` is the page's own clock, ms. ``head`` is a pose, seven numbers x y z and a quaternion
        x y z w, or null. A hand is ``{pose, axes: [trigger, grip], buttons}``, or null.

        Raises:
            ValueError: it is not one.
            KeyError, TypeError: the same.
        """
        stamp_ns = round(_number(message["t"], 0.0, _MOST_MS) * NS_PER_MS)
        out: list[tuple[Any, Any]] = [(self._poses["head"], _pose(message["head"], stamp_ns))]
        for side in SIDES:
            hand = message[side]
            if hand is not None:
                out.append((self._poses[side], _pose(hand["pose"], stamp_ns)))
                out.append((self._buttons[side], _joy(hand, stamp_ns)))
        for publisher, found in out:
            if found is not None:
                publisher.publish(found)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"a number from {low:g} to {high:g} is needed, not {value!r}"[:200])
    return float(value)


def _numbers(values: Any, count: int, most: float) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"a list of {count} numbers is needed")
    return [_number(value, -most, most) for value in values]


def _stamped(message: Any, stamp_ns: int) -> Any:
    message.header.frame_id = FRAME
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
    return message


def _pose(numbers: Any, stamp_ns: int) -> PoseStamped | None:
    """Return the message of a pose; None: it is not tracked."""
    if numbers is None:
        return None
    x, y, z, qx, qy, qz, qw = _numbers(numbers, 7, _MOST_M)
    message = PoseStamped()
    at, turn = message.pose.position, message.pose.orientation
    at.x, at.y, at.z = -z, -x, y
    turn.x, turn.y, turn.z, turn.w = -qz, -qx, qy, qw
    return _stamped(message, stamp_ns)


def _joy(hand: Any, stamp_ns: int) -> Joy:
    buttons = hand["buttons"]
    if not isinstance(buttons, list) or len(buttons) != BUTTONS:
        raise ValueError(f"{BUTTONS} buttons are needed")
    return _stamped(
        Joy(axes=_numbers(hand["axes"], 2, 1.0), buttons=[int(bool(one)) for one in buttons]),
        stamp_ns,
    )
