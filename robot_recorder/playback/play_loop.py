"""Plays a bag in one thread, which publishes each message when it is due and handles requests."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from robot_recorder.model.answers import Answer
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.playback.playhead import Playhead, TimingErrors
from robot_recorder.playback.timeline import Message, ReadAhead

_FASTER = 1.1
_STOOD_STILL_NS = NS_PER_S
_NOT_READ_NS = 1_000_000  # wait before checking again whether a message has been read
_ABSURD_GAP_NS = 3600 * NS_PER_S  # longer gaps come from wrong times of receipt, such as 0
_LEAST_TICK_NS = 1_000_000
_LEAST_PASS_NS = NS_PER_S // 10  # keeps a bag of one message from being repeated without pause


Action = Callable[[int], Answer]  # takes the steady time, ns


class Request(NamedTuple):
    """A request to a performance, executed in its thread."""

    action: Action
    answer: Future[Answer]


class Pace(Protocol):
    """The steady clock, and the only place where a performance waits."""

    def now_ns(self) -> int:
        """Return the current time, ns."""

    def put(self, request: Request) -> None:
        """Interrupt the wait with a request; callable from any thread."""

    def wait(self, until_ns: int | None) -> Request | None:
        """Wait for a request until a time; None: without end."""


class SteadyPace:
    """The machine's monotonic clock."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.now_ns = time.monotonic_ns

    def put(self, request: Request) -> None:
        """Interrupt the wait with a request."""
        self._requests.put(request)

    def wait(self, until_ns: int | None) -> Request | None:
        """Wait for a request until a time; None: without end."""
        if until_ns is None:
            return self._requests.get()
        wait_ns = until_ns - self.now_ns()
        if wait_ns <= 0 and self._requests.empty():
            return None
        try:
            return self._requests.get(timeout=max(wait_ns, 0) / NS_PER_S)
        except queue.Empty:
            return None


class Performance:
    """One playback of a bag. Actions run through ``ask``; counters may be read from any thread.

    Attributes:
        published: messages published so far.
        errors: how late they were; messages published by ``play_next`` do not count.
        problem: why it ended early; empty: it did not.
        on_gap: called with the seconds of an absurdly long gap, which is skipped.
    """

    def __init__(
        self,
        read: Callable[[int], ReadAhead],
        publish: Callable[[Message], None],
        span_ns: tuple[int, int, int],
        rate: float = 1.0,
        paused: bool = False,
        loop: bool = False,
        pace: Pace | None = None,
    ) -> None:
        """Prepare a playback; ``run`` starts it.

        Args:
            read: returns the messages from a time of the bag on, ns.
            publish: called in the thread that plays.
            span_ns: beginning of the bag, start of playback, end of the bag; ns since the epoch.
            rate: bag seconds per second.
            paused: whether it starts paused.
            loop: whether it starts again at the end.
            pace: the clock; None: the machine's.
        """
        self._read, self._publish_message = read, publish
        self._first_ns, self._start_ns, self._end_ns = span_ns
        self._loop = loop
        self._pace = pace or SteadyPace()
        self._playhead = Playhead(self._start_ns, self._pace.now_ns(), rate, paused)
        self._tick: Callable[[int], None] | None = None
        self._tick_period_ns = self._next_tick_ns = 0
        self._stream = self._read_from(self._start_ns)
        # Where it continues as soon as messages have been read.
        self._beginning_ns: int | None = self._start_ns
        self._ending = False
        self._played_ns = self._start_ns  # time of the last message
        self.published = 0
        self.errors = TimingErrors()
        self.problem = ""
        self.on_gap: Callable[[float], None] = lambda seconds: None

    @property
    def rate(self) -> float:
        """Return the rate: bag seconds per second."""
        return self._playhead.rate

    @property
    def paused(self) -> bool:
        """Return whether it is paused."""
        return self._playhead.paused

    @property
    def position_s(self) -> float:
        """Return the position, s from the beginning of the bag."""
        at_ns = self._beginning_ns or self._playhead.position_ns(self._pace.now_ns())
        return (min(at_ns, self._end_ns) - self._first_ns) / NS_PER_S

    def on_tick(self, tick: Callable[[int], None], rate_hz: float) -> None:
        """Register a function to call with the bag time, also while paused. Call before ``run``."""
        self._tick = tick
        self._tick_period_ns = max(round(NS_PER_S / rate_hz), _LEAST_TICK_NS)

    def ask(self, action: Action) -> Future[Answer]:
        """Request one of the actions below; callable from any thread."""
        request = Request(action, Future())
        self._pace.put(request)
        return request.answer

    def run(self) -> None:
        """Play until the end, or until ``end`` is requested."""
        try:
            while not self._ending:
                now_ns = self._pace.now_ns()
                until_ns = self._play(now_ns)
                if self._tick is not None:
                    until_ns = self._tick_if_due(now_ns, until_ns)
                request = None if self._ending else self._wait(until_ns)
                # A cancelled request was reported as not done, so it must not be executed.
                if request is not None and request.answer.set_running_or_notify_cancel():
                    request.answer.set_result(request.action(self._pace.now_ns()))
        finally:
            self._stream.close()
            while (late := self._pace.wait(0)) is not None:
                if late.answer.set_running_or_notify_cancel():
                    late.answer.set_result(Answer(False, "it has ended"))

    def _wait(self, until_ns: int | None) -> Request | None:
        began_ns = self._pace.now_ns()
        request = self._pace.wait(until_ns)
        now_ns = self._pace.now_ns()
        if until_ns is not None and now_ns - max(began_ns, until_ns) > _STOOD_STILL_NS:
            self.go_on(now_ns)  # the process was stopped, or the machine slept
        return request

    # -- actions, executed in the thread that plays

    def toggle_paused(self, now_ns: int) -> Answer:
        """Pause or resume."""
        if self._playhead.paused:
            self._playhead.resume(now_ns)
            return Answer(True, f"playing from {self.position_s:.3f} s")
        self._playhead.pause(now_ns)
        return Answer(True, f"paused at {self.position_s:.3f} s")

    def play_next(self, now_ns: int) -> Answer:
        """Publish the next message while paused."""
        if not self._playhead.paused:
            return Answer(False, "it is playing: pause first")
        head = self._publish_latched()
        if head is None:
            return Answer(
                False,
                "no message follows" if self._stream.ended else "the next message is being read",
            )
        self._publish(head)
        self._playhead.step_to(head.at_ns)
        return Answer(True, f"{head.topic} at {self.position_s:.3f} s")

    def faster(self, now_ns: int) -> Answer:
        """Increase the rate by ten per cent."""
        return self._set_rate(self.rate * _FASTER, now_ns)

    def slower(self, now_ns: int) -> Answer:
        """Undo one ``faster``."""
        return self._set_rate(self.rate / _FASTER, now_ns)

    def back(self, seconds: float, now_ns: int) -> Answer:
        """Go back by some seconds of the bag."""
        position_ns = self._playhead.position_ns(now_ns)
        target_ns = max(position_ns - round(seconds * NS_PER_S), self._start_ns)
        self._begin(target_ns)
        self._playhead.seek(target_ns, now_ns)
        return Answer(True, f"back at {self.position_s:.3f} s")

    def go_on(self, now_ns: int) -> Answer:
        """Continue after the process stood still, such as with Ctrl-Z, as if no time had passed."""
        head, position_ns = self._stream.head(), self._playhead.position_ns(now_ns)
        if head is not None:
            self._playhead.seek(min(head.at_ns, position_ns), now_ns)
        return Answer(True, f"going on at {self.position_s:.3f} s")

    def end(self, now_ns: int) -> Answer:
        """End the playback now."""
        self._ending = True
        return Answer(True, "ended")

    def _set_rate(self, rate: float, now_ns: int) -> Answer:
        self._playhead.set_rate(rate, now_ns)
        return Answer(True, f"rate {self.rate:.2f}")

    # -- publishing

    def _begin(self, at_ns: int) -> None:
        self._stream.close()
        self._stream = self._read_from(at_ns)
        self._beginning_ns = at_ns

    def _read_from(self, at_ns: int) -> ReadAhead:
        """Read from a time on, or all messages if it is the first, even if the metadata is
        wrong."""
        return self._read(at_ns if at_ns > self._first_ns else 0)

    def _play(self, now_ns: int) -> int | None:
        """Publish a message if one is due; return the time until which there is nothing to do."""
        head = self._publish_latched()
        if self._beginning_ns is not None:  # do not count the time that reading takes
            self._playhead.seek(self._beginning_ns, now_ns)
            if head is not None and not self._beginning_ns <= head.at_ns <= self._end_ns:
                self._playhead.seek(head.at_ns, now_ns)  # the metadata is wrong
            if head is not None or self._stream.ended:
                self._beginning_ns = None
        if head is None:
            return self._at_end(now_ns) if self._stream.ended else now_ns + _NOT_READ_NS
        if self.published and head.at_ns - self._played_ns > _ABSURD_GAP_NS:
            self.on_gap((head.at_ns - self._played_ns) / NS_PER_S)
            self._playhead.seek(head.at_ns, now_ns)
            self._played_ns = head.at_ns
        due_ns = self._playhead.due_ns(head.at_ns)
        if due_ns is None or due_ns > now_ns:
            return due_ns
        self._publish(head)
        self.errors.add(self._pace.now_ns() - due_ns)
        return now_ns

    def _publish_latched(self) -> Message | None:
        """Publish earlier latched messages, also while paused; return the message after them."""
        while (head := self._stream.head()) is not None and head.latched:
            self._publish(head)
        return head

    def _publish(self, head: Message) -> None:
        self._publish_message(head)
        self._stream.pop()
        self._played_ns = head.at_ns
        self.published += 1

    def _at_end(self, now_ns: int) -> int | None:
        if self._stream.problem is not None:
            # Not the playhead, which on a busy machine is ahead of what was published.
            played_s = max(self._played_ns - self._first_ns, 0) / NS_PER_S
            self.problem = f"{self._stream.problem}; played up to {played_s:.1f} s"
        if self._playhead.paused:  # the user may inspect the last message, or go back
            return None
        if self.problem or not self._loop:
            self._ending = True
            return now_ns
        # A pass is as long as the bag, whichever topics are played, so wait until the bag's end.
        due_ns = self._playhead.due_ns(max(self._end_ns, self._start_ns + _LEAST_PASS_NS))
        if due_ns is not None and due_ns <= now_ns:
            self._begin(self._start_ns)
            return now_ns
        return due_ns

    def _tick_if_due(self, now_ns: int, until_ns: int | None) -> int | None:
        assert self._tick is not None
        head = self._stream.head()
        if head is None and not self._stream.ended:
            return until_ns  # the clock must not pass messages that are still to be published
        if now_ns >= self._next_tick_ns:
            last_ns = self._end_ns if head is None else head.at_ns
            self._tick(min(self._playhead.position_ns(now_ns), last_ns))
            self._next_tick_ns = max(self._next_tick_ns, now_ns - self._tick_period_ns)
            self._next_tick_ns += self._tick_period_ns
        return self._next_tick_ns if until_ns is None else min(until_ns, self._next_tick_ns)
