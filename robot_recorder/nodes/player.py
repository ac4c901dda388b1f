"""The player node: publishes the messages of a bag as they were recorded."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from concurrent.futures import TimeoutError as AnswerTimeout
from functools import partial
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from robot_recorder.cli.terminal import say_error, say_while_read
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.nodes.checked_services import serve
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.player_publishers import Publishers
from robot_recorder.nodes.player_terminal import HELP, Keyboard, Progress
from robot_recorder.nodes.runtime import STEADY, parameter, run
from robot_recorder.playback.play_loop import Action, Performance
from robot_recorder.playback.playhead import checked_rate
from robot_recorder.playback.selection import Selection, choose
from robot_recorder.playback.timeline import ReadAhead, messages_from

_CLOCK = "/clock"
_CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # rclcpp's ClockQoS
_PROGRESS_S = 0.2
_BACK_S = 5.0
_ANSWER_S = 2.0
_LATE_MS = 100.0  # longer delays are reported
# s; short, so that the reading thread does not hold the interpreter while messages are due.
_SWITCH_S = 0.0005


class PlayerNode(Node):
    """Plays one episode, then ends the process.

    Attributes:
        failed: whether playing ended with an error.
    """

    def __init__(self) -> None:
        """Open the episode and start to play.

        Raises:
            BagError: the episode cannot be read.
            ConfigError: a parameter is invalid, or nothing can be played.
        """
        super().__init__("player")
        path = Path(parameter(self, "episode", "", "bag directory to play")).expanduser()
        if path == Path():
            raise ConfigError("no episode given: --ros-args -p episode:=PATH")
        rate = checked_rate(parameter(self, "rate", 1.0, "1.0: as recorded; 2.0: twice as fast"))
        start_s = parameter(self, "start", 0.0, "s from the first message")
        loop = parameter(self, "loop", False, "start again at the end")
        paused = parameter(self, "paused", False, "start paused")
        clock_hz = parameter(self, "clock_hz", 100.0, "rate of /clock, Hz; 0: not published")
        keyboard = parameter(
            self, "keyboard", True, "control playing with keys, if there is a terminal"
        )
        self._wait_s = parameter(self, "wait_s", 1.0, "s to wait for subscribers before playing")
        self.failed = False
        self._episode = Episode.open(path)
        choice = choose(self._episode, self._chosen_topics(), start_s)
        self._bag_publishers = Publishers(self, choice, frozenset({_CLOCK} if clock_hz else ()))
        self._say_what_is_played(choice)
        self._duration_s, self._loop = choice.duration_s, loop
        self._performance = Performance(
            self._read, self._bag_publishers.publish, choice.span_ns, rate, paused, loop
        )
        self._performance.on_gap = lambda seconds: say_while_read(
            f"skipping {seconds:.0f} s without messages: is a receive time wrong?"
        )
        self._clock_publisher: Any = None
        if clock_hz:
            self._clock_publisher = self.create_publisher(Clock, _CLOCK, _CLOCK_QOS)
            self._performance.on_tick(self._publish_clock, clock_hz)
        serve(self, Trigger, "player/toggle_paused", self._toggle_paused)
        serve(self, Trigger, "player/play_next", self._play_next)
        self._closing = threading.Event()
        self._progress = Progress()
        self.create_timer(_PROGRESS_S, self._show_progress, clock=STEADY)
        self._keyboard: Keyboard | None = None
        self._thread = threading.Thread(target=self._play, name="player", daemon=True)
        self._thread.start()
        if keyboard and Keyboard.usable():
            say_while_read(HELP)
            self._keyboard = Keyboard(self._on_key)

    def go_on(self) -> None:
        """Continue after the process was stopped, such as by Ctrl-Z."""
        if self._keyboard is not None and Keyboard.usable():
            self._keyboard.take()
        self._performance.ask(self._performance.go_on)

    def close(self) -> None:
        """Stop playing, restore the terminal and print a summary."""
        self._closing.set()
        self._performance.ask(self._performance.end)
        self._thread.join()
        if self._keyboard is not None:
            self._keyboard.close()
        self._progress.clear()
        played, refused = self._performance, self._bag_publishers.refused
        say_while_read(f"{played.published - refused.total():,} messages, {played.errors}")
        for name, count in refused.items():
            say_while_read(
                f"not played: {name}: {count} messages do not fit the installed version of their type"
            )
        if played.errors.max_ms > _LATE_MS:
            say_while_read(
                f"messages were up to {played.errors.max_ms / 1000:.1f} s late: this machine was too slow, "
                "or was suspended. None were skipped."
            )
        if played.problem:
            self.failed = True
            say_error(f"error: {played.problem}")

    def _chosen_topics(self) -> list[str]:
        text = "topics to play: a list, or text with spaces; empty for all"
        descriptor = ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)
        value: Any = self.declare_parameter("topics", "", descriptor).value
        names = value.split() if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"parameter 'topics' must be a list of topic names, not {value!r}")
        return names

    def _say_what_is_played(self, choice: Selection) -> None:
        playing = self._bag_publishers.topics
        for name, reason in sorted(self._bag_publishers.problems.items()):
            say_while_read(f"not played: {name}: {reason}")
        for name, reason in sorted(self._bag_publishers.doubts.items()):
            say_while_read(f"played, but perhaps unreadable: {name}: {reason}")
        if not playing:
            raise ConfigError(
                f"no topic of {self._episode.path} can be played: see the reasons above"
            )
        count = sum(n for topic, n in choice.topics.items() if topic.name in playing)
        where = f"from {choice.start_s:.1f} s on" if choice.start_s else f"{count:,} messages"
        topics = "one topic" if len(playing) == 1 else f"{len(playing)} topics"
        say_while_read(f"playing {self._episode.id}: {choice.duration_s:.1f} s, {where}, {topics}")

    def _read(self, from_ns: int) -> ReadAhead:
        publishers = self._bag_publishers
        return ReadAhead(
            messages_from(self._episode.path, publishers.topics, publishers.latched, from_ns)
        )

    def _play(self) -> None:
        try:
            self._bag_publishers.wait_for_readers(self._wait_s, self._closing.is_set)
            shared = self._bag_publishers.shared()
            if self._clock_publisher is not None and self.count_publishers(_CLOCK) > 1:
                shared.append(_CLOCK)
            if shared:
                NodeLog(self).warning(
                    f"{', '.join(shared)} have other publishers, perhaps a robot: subscribers receive both. "
                    "Play in another ROS_DOMAIN_ID, or remap the topics"
                )
            self._performance.run()
            self._bag_publishers.finish()
        except Exception:  # a failure must end the process
            self.failed = True
            NodeLog(self).fatal("playing failed, ending the process")
        os.kill(os.getpid(), signal.SIGTERM)

    def _publish_clock(self, at_ns: int) -> None:
        now = Clock()
        now.clock.sec, now.clock.nanosec = divmod(at_ns, NS_PER_S)
        self._clock_publisher.publish(now)

    def _on_key(self, key: str) -> None:
        performance = self._performance
        actions: dict[str, Action] = {
            "pause": performance.toggle_paused,
            "next": performance.play_next,
            "back": partial(performance.back, _BACK_S),
            "faster": performance.faster,
            "slower": performance.slower,
            "end": performance.end,
        }
        performance.ask(actions[key])

    def _toggle_paused(self, _: Any, response: Any) -> Any:
        return self._answer(self._performance.toggle_paused, response)

    def _play_next(self, _: Any, response: Any) -> Any:
        return self._answer(self._performance.play_next, response)

    def _answer(self, action: Action, response: Any) -> Any:
        asked = self._performance.ask(action)
        try:
            answer = asked.result(_ANSWER_S)
        except AnswerTimeout:
            asked.cancel()
            answer = Answer(False, "the player has not started yet, or has just ended: try again")
        response.success, response.message = answer.ok, answer.reason
        return response

    def _show_progress(self) -> None:
        playing = self._performance
        words = [
            f"{playing.position_s:6.1f} / {self._duration_s:.1f} s",
            f"x{playing.rate:.2f}",
            "paused" if playing.paused else "playing",
            *(["looping"] if self._loop else []),
            f"{playing.published:,} messages",
        ]
        if playing.errors.count:
            words.append(f"timing error p95 {playing.errors.percentile_ms(0.95):.2f} ms")
        self._progress.show("  ".join(words))


def main() -> int:
    """Run ``ros2 run robot_recorder player``; return the exit code."""
    sys.setswitchinterval(_SWITCH_S)

    def build() -> tuple[list[Node], list[Any]]:
        # Closing the terminal ends the player as Ctrl-C does, except under nohup.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        gc.freeze()  # keeps the garbage collector off all imported objects while playing
        player = PlayerNode()
        signal.signal(signal.SIGCONT, lambda *_: player.go_on())
        return [player], [player]

    return run(build)


if __name__ == "__main__":
    raise SystemExit(main())
