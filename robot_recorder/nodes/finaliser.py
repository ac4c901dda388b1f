"""Finalise episodes in the background, so that the next one can start meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rclpy.task import Future

from robot_recorder.model.answers import Answer
from robot_recorder.recorder.recorder import Recorder
from robot_recorder.recorder.stop_reason import StopReason

if TYPE_CHECKING:
    from robot_recorder.recorder.recording import Recording


class Finaliser:
    """Runs one thread for each stopped episode until it is on disk."""

    def __init__(
        self,
        recorder: Recorder,
        flush: Callable[[], bool],
        say: Callable[[Answer], Answer],
        ended: Callable[[Recording], None],
        wake: Callable[[], None],
    ) -> None:
        """Create it without threads.

        Args:
            recorder: finalises the episodes.
            flush: passed to ``Recorder.finalise``.
            say: called in the thread with the answer.
            ended: called in the thread when the episode is finalised.
            wake: wakes the executor, so that callbacks waiting for the answer continue.
        """
        self._recorder = recorder
        self._flush = flush
        self._say = say
        self._ended = ended
        self._wake = wake
        self._threads: list[threading.Thread] = []
        self._pending: dict[str, Future[Answer]] = {}

    def finalise(self, recording: Recording) -> Any:
        """Start to finalise a recording; return a Future of the Answer."""
        future: Future[Answer] = Future()

        def work() -> None:
            try:
                answer = self._recorder.finalise(recording, self._flush)
                answer = replace(answer, reason=_saved(recording, answer))
            except Exception as error:  # the caller must get an answer in any case
                logging.getLogger(__name__).exception("finalising %s failed", recording.id)
                what = f"{type(error).__name__}: {error}"
                answer = Answer(False, f"finalising {recording.id} failed: {what}")
            try:
                self._say(answer)
                self._ended(recording)
            except Exception:  # such as during shutdown; the caller still gets an answer
                logging.getLogger(__name__).exception(
                    "publishing the result of %s failed", recording.id
                )
            finally:
                future.set_result(answer)
                self._wake()

        self._pending = {id: f for id, f in self._pending.items() if not f.done()}
        self._pending[recording.id] = future
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(threading.Thread(target=work, name="finalise"))
        self._threads[-1].start()
        return future

    async def pending(self, id: str) -> None:
        """Wait for an episode that is being finalised; return at once for any other."""
        future = self._pending.get(id)
        if future is not None and not future.done():
            await future

    def close(self) -> None:
        """Wait until all episodes are on disk."""
        for thread in self._threads:
            thread.join()


def _saved(recording: Recording, answer: Answer) -> str:
    """Return a sentence about the finished episode: length, messages, losses, verdict."""
    if not answer.ok:
        return answer.reason
    lost = recording.lost()
    seconds = (recording.stopped_at - recording.started_at) / 1e9
    reason = recording.stop_reason
    why = "" if reason is StopReason.REQUEST else f" ({reason.value.replace('_', ' ')})"
    warning = f"; warning: {answer.reason}" if answer.reason else ""
    return (
        f"saved {recording.id}{why}: {seconds:.1f} s, {recording.messages} messages, "
        f"{lost if lost else 'none'} {_known(recording)}lost{warning}; {recording.quality.sentence}"
    )


def _known(recording: Recording) -> str:
    unknown = recording.unknown_losses()
    return f"known to be ({', '.join(unknown)}: unknown) " if unknown else ""
