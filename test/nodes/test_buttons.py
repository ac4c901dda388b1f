"""Buttons over real middleware: joysticks, topics, pedals, and the four recipes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, Empty

from robot_recorder.configuration.buttons import Bindings, parse_buttons
from robot_recorder.configuration.find import load_buttons
from robot_recorder.nodes.buttons import Buttons
from robot_recorder.nodes.input_device import EV_KEY, EVENT

pytestmark = pytest.mark.ros

PAD = """
joys:
  joy:
    buttons:
      0: {press: step}
      1: {press: success, long: failure}
      2: {press: next, double: discard}
    axes:
      0: {above: {press: undo}, below: {press: retry}}
"""
HELD_S = 1.3  # a long press is 0.8 s


class Desk:
    """Buttons that are heard, and publishers of them, in a namespace of their own.

    Attributes:
        said: the commands so far, with their causes behind a colon.
    """

    def __init__(self, bindings: Bindings, namespace: str) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("desk", namespace=namespace, context=self.context)
        self.pad = Node("pad", namespace=namespace, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        for node in (self.node, self.pad):
            self.executor.add_node(node)
        self.said: list[str] = []
        self.buttons = Buttons(
            self.node,
            bindings,
            lambda one, _: self.said.append(f"{one.command}{':' * bool(one.cause)}{one.cause}"),
        )

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left_s)

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, f"waited 20 s for {what}; said: {self.said}"
            self.executor.spin_once(timeout_sec=0.05)

    def publisher(self, kind: Any, topic: str, qos: Any = 10) -> Any:
        made = self.pad.create_publisher(kind, topic, qos)
        self.until("the subscription", lambda: made.get_subscription_count() > 0)
        self.until("the publisher", lambda: self.node.count_publishers(made.topic) > 0)
        return made

    def hears(self, *commands: str) -> None:
        """Wait until exactly these commands were said, and nothing more follows."""
        self.until(f"{commands}", lambda: len(self.said) >= len(commands))
        self.spin(0.4)
        assert self.said == list(commands)
        self.said.clear()


@contextmanager
def desk(bindings: Bindings | str) -> Iterator[Desk]:
    made = Desk(
        parse_buttons(bindings) if isinstance(bindings, str) else bindings,
        f"desk_{time.monotonic_ns()}",
    )
    try:
        yield made
    finally:
        made.buttons.close()
        made.executor.shutdown()
        for node in (made.node, made.pad):
            node.destroy_node()
        made.context.try_shutdown()


class Pad:
    """A controller whose driver publishes on change, and repeats 20 times a second."""

    def __init__(
        self, at: Desk, topic: str, buttons: int, axes: int = 0, repeats: bool = True, qos: Any = 10
    ) -> None:
        self.desk, self.repeats = at, repeats
        self.state = Joy(buttons=[0] * buttons, axes=[0.0] * axes)
        self.publisher = at.publisher(Joy, topic, qos)
        self.rest()

    def send(self) -> None:
        self.publisher.publish(self.state)
        self.desk.spin(0.001)

    def rest(self, seconds: float = 0.12) -> None:
        end = time.monotonic() + seconds
        self.send()
        while (left_s := end - time.monotonic()) > 0:
            self.desk.spin(min(left_s, 0.05))
            if self.repeats:
                self.send()

    def press(self, button: int, seconds: float = 0.12) -> None:
        self.state.buttons[button] = 1
        self.rest(seconds)
        self.state.buttons[button] = 0
        self.rest()

    def move(self, axis: int, *readings: float) -> None:
        for reading in readings:
            self.state.axes[axis] = reading
            self.rest(0.06)


def test_a_joystick_presses_holds_and_presses_twice() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2)
        pad.press(0)
        at.hears("step")
        pad.press(0, HELD_S)
        at.hears("step")
        pad.press(1)
        at.hears("success")
        pad.state.buttons[1] = 1
        pad.rest(HELD_S)
        assert at.said == ["failure"], "while it is still held"
        pad.state.buttons[1] = 0
        pad.rest()
        at.hears("failure")
        pad.press(2)
        at.hears("next")
        pad.press(2, 0.08)
        pad.press(2, 0.08)
        at.hears("discard")


def test_a_bouncing_joystick_presses_once() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2)
        for number in range(9):
            pad.state.buttons[0] = 1 - number % 2
            pad.send()
            at.spin(0.004)
        pad.rest()
        pad.state.buttons[0] = 0
        pad.rest()
        at.hears("step")


def test_an_axis_is_a_button_at_each_of_its_ends() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2)
        pad.move(0, 0.3, 0.49, 0.52, 0.45, 0.52, 0.43, 0.9, 0.0)
        at.hears("undo")
        pad.move(0, -0.6, -1.0, float("nan"), -0.7, 0.0)
        at.hears("retry")


def test_a_button_that_is_held_when_it_is_first_heard_says_nothing() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2, repeats=True)
        pad.state = Joy(buttons=[1, 1, 1, 0], axes=[0.9, 0.0])
        said: list[str] = []
        late = Buttons(at.node, parse_buttons(PAD), lambda one, _: said.append(one.command))
        at.until("both", lambda: pad.publisher.get_subscription_count() == 2)
        pad.rest(HELD_S)
        assert said == []
        pad.state = Joy(buttons=[0] * 4, axes=[0.0, 0.0])
        pad.rest()
        pad.press(0)
        late.close()
        assert said == ["step"]


def test_a_pad_that_vanishes_while_a_button_is_down_says_nothing_more() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2)
        pad.state.buttons[1] = 1
        pad.rest(0.2)
        at.pad.destroy_publisher(pad.publisher)
        at.spin(HELD_S)
        assert at.said == []
        back = Pad(at, "joy", buttons=4, axes=2)
        back.rest(0.3)
        assert at.said == []
        back.press(1)
        at.hears("success")


def test_a_pad_that_does_not_repeat_is_held_until_it_says_otherwise() -> None:
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2, repeats=False)
        pad.press(1, HELD_S)
        at.hears("failure")
        pad.press(1)
        at.hears("success")


def test_a_joystick_with_too_few_buttons_is_reported_once_by_name(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with desk("joys: {joy: {layout: game_controller, buttons: {cross: {press: step}, r1: {press: undo}}}}") as at:  # fmt: skip
        pad = Pad(at, "joy", buttons=4)
        pad.press(0)
        at.hears("step")
    told = capfd.readouterr().err
    assert told.count("joy has 4 buttons, so number 10 ('r1')") == 1


@pytest.mark.parametrize("qos", [10, qos_profile_sensor_data], ids=["reliable", "best effort"])
def test_topics_are_buttons_of_any_publisher(qos: Any) -> None:
    text = """
topics:
  pedal: {type: std_msgs/msg/Bool, press: step, long: {failure: drop}}
  bell: {type: std_msgs/msg/Empty, press: undo}
"""
    with desk(text) as at:
        pedal, bell = at.publisher(Bool, "pedal", qos), at.publisher(Empty, "bell", qos)
        at.spin(1.2)  # now a first message can only be a change
        for down, seconds in ((True, 0.2), (False, 0.2)):
            pedal.publish(Bool(data=down))
            at.spin(seconds)
        at.hears("step")
        for down in (*[True] * 13, False):
            pedal.publish(Bool(data=down))
            at.spin(0.1)
        at.hears("failure:drop")
        bell.publish(Empty())
        bell.publish(Empty())
        at.spin(0.3)
        bell.publish(Empty())
        at.hears("undo", "undo")


def test_keys_of_any_thread_are_buttons() -> None:
    with desk("keys: {b: {press: step, long: failure}}") as at:
        for name, down in (("b", True), ("x", True), ("b", False)):
            at.buttons.key(name, down, time.monotonic())
            at.spin(0.1)
        at.hears("step")
        at.buttons.key("b", True, time.monotonic())
        at.hears("failure")
        for state in (False, True, None):
            at.buttons.key("b", state, time.monotonic())
        at.spin(1.0)
        assert at.said == []


def test_a_press_is_as_long_as_it_was_however_late_it_is_heard() -> None:
    """A node that is busy hears press and release at once: a failure must not become a success."""
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2, repeats=False)
        for down, seconds in ((1, HELD_S), (0, 0.2)):
            pad.state.buttons[1] = down
            pad.publisher.publish(pad.state)
            time.sleep(seconds)
        at.hears("failure")
        for down, seconds in ((1, 0.1), (0, HELD_S)):
            pad.state.buttons[1] = down
            pad.publisher.publish(pad.state)
            time.sleep(seconds)
        at.hears("success")


def test_a_timer_that_is_late_lets_what_waits_be_heard_first() -> None:
    """The second of two presses came in time, and the release of a key before it became a long press."""
    with desk(PAD) as at:
        pad = Pad(at, "joy", buttons=4, axes=2, repeats=False)
        pad.press(2, 0.08)
        for down in (1, 0):
            pad.state.buttons[2] = down
            pad.publisher.publish(pad.state)
            time.sleep(0.1)
        time.sleep(1.0)
        at.hears("discard")
    keys = "joys: {joy: {buttons: {0: {press: undo}}}}\nkeys: {b: {press: step, long: failure}}"
    with desk(keys) as at:
        pad = Pad(at, "joy", buttons=1, repeats=False)
        for _ in range(3):
            at.buttons.key("b", True, time.monotonic())
            at.spin(0.1)
            released_s = time.monotonic()
            pad.publisher.publish(pad.state)  # what others say does not shorten the waiting
            time.sleep(1.0)
            at.spin(0.02)  # the timer is due long since, and the release has not been read yet
            at.buttons.key("b", False, released_s)
            at.hears("step")


# -- the recipes


def test_recipe_of_a_playstation_pad() -> None:
    """As game_controller_node publishes it: reliable, 20 Hz, 21 buttons and 6 axes."""
    with desk(load_buttons("playstation")) as at:
        pad = Pad(at, "joy", buttons=21, axes=6)
        cross, circle, square, triangle, options = 0, 1, 2, 3, 6
        for button in (cross, circle, square, triangle, options):
            pad.press(button)
        at.hears("step", "failure", "retry", "undo")
        for button in (cross, circle, options):
            pad.press(button, HELD_S)
        at.hears("pause", "discard", "end")


def test_recipe_of_a_quest() -> None:
    """As a bridge publishes it: best effort, 72 Hz, in the order of WebXR."""
    with desk(load_buttons("quest")) as at:
        qos = qos_profile_sensor_data
        right = Pad(at, "vr/right_buttons", buttons=6, axes=4, qos=qos)
        left = Pad(at, "vr/left_buttons", buttons=6, axes=4, qos=qos)
        trigger, grip, lower, upper = 0, 1, 4, 5
        for button in (trigger, grip, lower, upper):
            right.press(button)
        at.hears("step", "retry")
        left.press(lower)
        left.press(upper)
        at.hears("undo", "discard")
        right.press(lower, HELD_S)
        at.hears("failure")


def test_recipe_of_foxglove() -> None:
    """Its Publish panel sends one Empty a click."""
    with desk(load_buttons("foxglove")) as at:
        for command in ("step", "failure", "undo"):
            at.publisher(Empty, f"buttons/{command}").publish(Empty())
            at.hears(command)


def test_recipe_of_a_pedal(tmp_path: Path) -> None:
    """The real file, with the pedal's events in a pipe in the place of /dev/input."""
    text = (Path(__file__).parents[2] / "config" / "buttons" / "pedal.yaml").read_text()
    text = text.replace("/dev/input/by-id", str(tmp_path))
    pipe = tmp_path / "usb-PCsensor_FootSwitch-event-kbd"
    os.mkfifo(pipe)
    file = os.open(pipe, os.O_RDWR)
    try:
        with desk(text) as at:

            def press(code: int, seconds: float) -> None:
                for value in (1, 0):
                    os.write(
                        file, EVENT.pack(0, 0, EV_KEY, code, value) + EVENT.pack(0, 0, 0, 0, 0)
                    )
                    at.spin(seconds)

            at.spin(0.3)
            press(48, 0.15)
            at.hears("step")
            press(48, HELD_S)
            at.hears("failure")
            press(48, 0.1)
            press(48, 0.1)
            at.hears("discard")
            press(30, 0.1)
            at.hears("undo")
    finally:
        os.close(file)
