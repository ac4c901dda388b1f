"""A terminal as buttons: typed on a pty, answered by a real node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from hypothesis import given
from hypothesis import strategies as st
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from support.robot import LATCHED
from support.terminal import Typist, typing

from robot_recorder.configuration.buttons import BROWSER_KEYS
from robot_recorder.configuration.find import load_buttons
from robot_recorder.msg import Said, ShiftStatus
from robot_recorder.nodes.keys import TERMINAL_KEYS, help_text, status_line, terminal_commands
from robot_recorder.nodes.player_terminal import pressed
from robot_recorder.srv import ShiftCommand

pytestmark = pytest.mark.ros

KEYS = "from robot_recorder.nodes.keys import main; raise SystemExit(main())"


class Operator:
    """A node in the place of the operator node.

    Attributes:
        asked: the requests so far.
    """

    def __init__(self, namespace: str) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("operator", namespace=namespace, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.asked: list[ShiftCommand.Request] = []
        self.status = self.node.create_publisher(ShiftStatus, "shift/status", LATCHED)
        self.said = self.node.create_publisher(Said, "shift/said", 10)
        self.node.create_service(ShiftCommand, "shift/command", self._answer)

    def _answer(self, request: Any, response: Any) -> Any:
        self.asked.append(request)
        response.success = request.command != "undo"
        response.message = "done" if response.success else "there is nothing to take back"
        return response

    def until(self, what: str, condition: Callable[[], bool], typist: Typist) -> None:
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, f"waited 30 s for {what}; shown: {typist.shown[-2000:]}"
            self.executor.spin_once(timeout_sec=0.02)
            typist._read()

    def show(self, typist: Typist, text: str) -> None:
        self.until(text, lambda: text in typist.shown, typist)


@pytest.fixture
def operator() -> Iterator[Operator]:
    made = Operator(f"keys_{time.monotonic_ns()}")
    yield made
    made.executor.shutdown()
    made.node.destroy_node()
    made.context.try_shutdown()


def arguments(operator: Operator, *more: str) -> list[str]:
    parameters = [x for one in more for x in ("-p", one)]
    return ["--ros-args", "-r", f"__ns:={operator.node.get_namespace()}", *parameters]


def test_keys_of_a_terminal_work_a_shift(operator: Operator) -> None:
    with typing(*arguments(operator, "by:=ann"), program=KEYS) as typist:
        operator.show(typist, "space: step")
        operator.show(typist, "nothing is heard on")
        ready = ShiftStatus(state=ShiftStatus.STATE_READY, recorder=True, task="lift_box")
        ready.target, ready.counted, ready.remaining_s = 200, 3, float("nan")
        operator.status.publish(ready)
        operator.show(typist, "ready  lift_box  3 of 200 counted")
        typist.press(" ")
        operator.show(typist, "step: done")
        typist.press("f")
        operator.show(typist, "failure: done")
        typist.press("u")
        operator.show(typist, "not done: undo: there is nothing to take back")
        assert [(one.command, one.by) for one in operator.asked] == [
            ("step", "ann"), ("failure", "ann"), ("undo", "ann"),
        ]  # fmt: skip
        assert len({one.key for one in operator.asked}) == 3 and all(o.key for o in operator.asked)
        operator.said.publish(Said(event="lost", text="Head camera is lost.\x1b[2J"))
        operator.show(typist, '"Head camera is lost.\\x1b[2J"')
        typist.press("q")
        assert typist.ended() == 0


def test_a_key_that_is_held_is_one_press(operator: Operator) -> None:
    with typing(*arguments(operator), program=KEYS) as typist:
        operator.status.publish(ShiftStatus(remaining_s=float("nan")))
        operator.show(typist, "no shift")  # so it has found the operator node
        typist.press(" ")
        time.sleep(0.4)
        for _ in range(30):  # as a terminal repeats it, for longer than two presses may be apart
            typist.press(" ")
            time.sleep(0.03)
        typist.press("p")
        operator.show(typist, "pause: done")
        assert [one.command for one in operator.asked] == ["step", "pause"]


def test_without_an_operator_node_a_press_says_what_is_missing() -> None:
    namespace = f"nobody_{time.monotonic_ns()}"
    with typing("--ros-args", "-r", f"__ns:=/{namespace}", program=KEYS) as typist:
        typist.until("space: step")
        typist.press("s")
        typist.until(f"success: no node offers /{namespace}/shift/command: is the operator node")
        typist.press("\x03")
        assert typist.ended() == 0


def test_other_button_files_can_be_named_and_mistakes_end_the_program(operator: Operator) -> None:
    with typing(*arguments(operator, "buttons:=pedal"), program=KEYS) as typist:
        operator.show(typist, "b: step  a: undo")
        typist.press("\x1b[5~")
        operator.show(typist, "undo: ")
    with typing(*arguments(operator, "buttons:=quest"), program=KEYS) as typist:
        typist.until("bind no key")
        assert typist.ended() == 2


@given(st.lists(st.sampled_from(sorted(TERMINAL_KEYS))), st.integers(1, 5))
def test_keys_are_found_in_parts_of_any_size(keys: list[bytes], size: int) -> None:
    sent, found, rest = b"".join(keys), [], b""
    for at in range(0, len(sent), size):
        some, rest = pressed(rest + sent[at : at + size], TERMINAL_KEYS)
        found += some
    assert found == [TERMINAL_KEYS[key] for key in keys] and rest == b""


def test_only_keys_that_a_terminal_sends_are_offered() -> None:
    assert set(TERMINAL_KEYS.values()) <= set(BROWSER_KEYS)
    commands = terminal_commands(load_buttons("keyboard").keys)
    assert "e" not in commands, "its command needs a long press"
    assert help_text(commands).endswith("q: quit")


def test_a_status_is_one_line() -> None:
    status = ShiftStatus(
        state=ShiftStatus.STATE_RESET, remaining_s=4.2, counted=7, verdict_sentence="accept"
    )
    assert status_line(status) == (
        "set up the scene  4 s  7 counted  THE RECORDER IS NOT HEARD  accept"
    )
