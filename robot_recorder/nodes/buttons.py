"""Hears the buttons of an operator: topics and input devices."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, Empty

from robot_recorder.configuration.buttons import (
    Bindings,
    ButtonCommand,
    ButtonType,
    JoyControl,
    JoyTopic,
)
from robot_recorder.nodes.input_device import InputDevices
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import STEADY
from robot_recorder.recorder.presses import Presses

# Best effort hears every publisher. The depth holds a burst, so that no release is pushed out.
_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.BEST_EFFORT
)
_IDLE_S = 3600.0  # period of the timer while it is cancelled
# A publisher that repeats its state would have done so by now.
_SETTLED_S = 1.0
# A message waits for a node that is busy, and what was pressed is told by when it came, not by when it is handled. One
# that seems to have waited for longer says that the clock was set.
_LONGEST_WAIT_S = 5.0
_LATE_S = 0.02  # a timer that is later lets what waits be heard first ...
_CATCH_UP_S = 0.05  # ... for so long
_Say = Callable[[ButtonCommand, float], None]


class ButtonSource:
    """The buttons of one topic, and whether somebody publishes it.

    What a button was before the first message is unknown: it may be held for another purpose. But if
    a publisher has been there for a while and sent nothing, it sends only changes, and its first message is
    one.
    """

    def __init__(self, buttons: list[Presses]) -> None:
        """Create a source that nobody publishes yet."""
        self._buttons = buttons
        self._since_s: float | None = None  # when the last publisher was found; None: none is there
        self._heard = False

    def on_publishers(self, current: int, change: int) -> None:
        """Note that publishers came or went.

        Args:
            current: number of publishers now.
            change: difference to before.
        """
        if current == 0:  # whoever held a button cannot tell any more that it was released
            for button in self._buttons:
                button.forget()
        if current == 0 or change > 0:
            self._since_s, self._heard = (None if current == 0 else time.monotonic()), False

    def on_message(self, now_s: float) -> None:
        """Note a message, before its states are looked at."""
        if not self._heard and self._since_s is not None and now_s > self._since_s + _SETTLED_S:
            for button in self._buttons:
                button.assume_up()
        self._heard = True


class Buttons:
    """Calls back with what the operator's buttons say, in the thread of the node's executor."""

    def __init__(self, node: Node, bindings: Bindings, press: _Say) -> None:
        """Subscribe to the topics and open the input devices.

        Args:
            node: whose namespace the topics are in.
            bindings: what each button says.
            press: called with each command, and when it was given, s of the monotonic clock.
        """
        self._node, self._press, self._log = node, press, NodeLog(node)
        self._every: list[Presses] = []
        self._told: set[tuple[str, str]] = set()
        self._subscriptions: list[Any] = []
        for joy in bindings.joys:
            self._hear_joy(joy)
        for topic in bindings.topics:
            button = self._button(Presses(topic.gestures, topic.type is ButtonType.EMPTY))
            if topic.type is ButtonType.EMPTY:
                self._subscribe(Empty, topic.topic, [], partial(self._on_empty, button))
            else:
                self._subscribe(Bool, topic.topic, [button], partial(self._on_bool, button))
        self._timer = node.create_timer(_IDLE_S, self._pass_time, clock=STEADY)
        self._timer.cancel()
        self._listens_until_s = -math.inf
        self._waited_for_s: float | None = None
        self._keys = {
            name: self._button(Presses(gestures, reliable=True))
            for name, gestures in bindings.keys.items()
        }
        self._typed: deque[tuple[str, bool | None, float]] = deque()
        self._wake = node.create_guard_condition(self._on_keys)
        self._devices: InputDevices | None = None
        if bindings.devices:
            self._devices = InputDevices(bindings.devices, self._keys, self.key, self._log)

    def key(self, name: str, down: bool | None, at_s: float) -> None:
        """Hear of a key; any thread may call it.

        Args:
            name: of the key, one of ``BROWSER_KEYS``; others are ignored.
            down: whether it is down; None: unknown, its device is gone.
            at_s: when that began, s of the monotonic clock.
        """
        self._typed.append((name, down, at_s))
        self._wake.trigger()

    def close(self) -> None:
        """Close the input devices and unsubscribe."""
        if self._devices is not None:
            self._devices.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_timer(self._timer)
        self._node.destroy_guard_condition(self._wake)

    def _button(self, button: Presses) -> Presses:
        self._every.append(button)
        return button

    def _subscribe(
        self, kind: Any, topic: str, buttons: list[Presses], heard: Callable[[Any, float], None]
    ) -> None:
        source = ButtonSource(buttons)

        def on_message_of(message: Any, info: Any) -> None:
            at_s = _came_s(info["received_timestamp"])
            source.on_message(at_s)
            heard(message, at_s)

        def on_message(message: Any) -> None:
            on_message_of(message, {"received_timestamp": 0})

        def on_matched(info: Any) -> None:
            source.on_publishers(info.current_count, info.current_count_change)

        events = SubscriptionEventCallbacks(matched=on_matched) if _HAS_MATCHED else None
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                on_message_of if _HAS_INFO else on_message,
                _QOS,
                event_callbacks=events,
            )
        )

    def _hear_joy(self, joy: JoyTopic) -> None:
        controls = [(control, self._button(Presses(control.gestures))) for control in joy.controls]
        states: dict[JoyControl, bool | None] = dict.fromkeys(joy.controls)

        def on_joy(message: Joy, now_s: float) -> None:
            found: list[ButtonCommand] = []
            for control, button in controls:
                readings = message.axes if control.threshold else message.buttons
                if control.number >= len(readings):
                    self._tell_lacking(joy.topic, control, len(readings))
                    continue
                if control.threshold is None:
                    down: bool | None = readings[control.number] != 0
                else:
                    reading = float(readings[control.number])
                    down = control.threshold.pressed(reading, states[control])
                states[control] = down
                if down is not None:
                    found += button.see(down, now_s)
            self._say(found, now_s)

        self._subscribe(Joy, joy.topic, [button for _, button in controls], on_joy)

    def _tell_lacking(self, topic: str, control: JoyControl, count: int) -> None:
        """Report once that a message has no such button."""
        if (topic, control.name) in self._told:
            return
        self._told.add((topic, control.name))
        what = "axes" if control.threshold else "buttons"
        self._log.warning(
            f"{topic} has {count} {what}, so number {control.number} ('{control.name}'), which says "
            f"something in the button file, does not exist: see `ros2 topic echo {topic}` for the number "
            "of each, and correct layout or number"
        )

    def _on_bool(self, button: Presses, message: Bool, now_s: float) -> None:
        self._say(button.see(message.data, now_s), now_s)

    def _on_empty(self, button: Presses, _: Empty, now_s: float) -> None:
        self._say(button.tap(now_s), now_s)

    def _on_keys(self) -> None:
        while self._typed:
            name, down, at_s = self._typed.popleft()
            button = self._keys.get(name)
            if button is not None and down is None:
                button.forget()
                self._say([], at_s)
            elif button is not None and down is not None:
                self._say(button.see(down, at_s), at_s)

    def _pass_time(self) -> None:
        now_s, due_s = time.monotonic(), min(self._due(), default=math.inf)
        if now_s > due_s + _LATE_S and due_s != self._waited_for_s:
            # The node was busy: a release may wait to be heard.
            self._waited_for_s, self._listens_until_s = due_s, now_s + _CATCH_UP_S
        if now_s < self._listens_until_s:
            self._call_after(self._listens_until_s - now_s)
            return
        self._say([said for button in self._every for said in button.pass_time(now_s)], now_s)

    def _say(self, found: list[ButtonCommand], at_s: float) -> None:
        """Pass commands on, and set the timer to when time alone may say something."""
        due_s = min(self._due(), default=None)
        if due_s is None:
            self._timer.cancel()
        else:
            self._call_after(max(due_s, self._listens_until_s) - time.monotonic())
        for command in found:
            self._press(command, at_s)

    def _call_after(self, wait_s: float) -> None:
        self._timer.timer_period_ns = round(max(wait_s, 0.001) * 1e9)
        self._timer.reset()

    def _due(self) -> Iterator[float]:
        for button in self._every:
            if (due_s := button.due_s()) is not None:
                yield due_s


def _came_s(received_ns: int) -> float:
    """Return when a message came, s of the monotonic clock.

    Args:
        received_ns: when the middleware received it, ns since the epoch; 0: it does not say, and it is now.
    """
    now_s, waited_s = time.monotonic(), (time.time_ns() - received_ns) / 1e9
    return now_s - waited_s if 0 < waited_s < _LONGEST_WAIT_S else now_s


_HAS_INFO = hasattr(Subscription, "CallbackType")  # not before Iron
# Humble's rclpy does not tell of publishers: there the rules of Presses alone decide.
_HAS_MATCHED = "matched" in SubscriptionEventCallbacks.__init__.__annotations__
