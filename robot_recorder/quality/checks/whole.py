"""Checks of the whole episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from robot_recorder.model.quality_result import Result
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.check import Check, EpisodeSummary


class NothingRecorded(Check):
    """Not one stream was recorded: there is nothing to accept."""

    name = "nothing_recorded"
    remedy = "start the robot's drivers, or correct the topics in the profile"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if episode.certificate is None or not episode.certificate.streams:
            return
        counts = [facts.count for facts in episode.certificate.streams.values()]
        some = sum(count > 0 for count in counts)
        words = f"{some} of {len(counts)} streams were recorded"
        yield self.say(float(not some), words if some else "not one stream was recorded")


class Incomplete(Check):
    """It is not all that was to be recorded."""

    name = "incomplete"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        lost = 1.0 if episode.data_lost else 0.5 * bool(episode.incomplete)
        yield self.say(lost, episode.incomplete or "ended as asked")


class TooFewFrames(Check):
    """Frames that its duration asks for are not there, or nothing was aligned at all."""

    name = "too_few_frames"
    remedy = (
        "does the synchronizer run, and with this profile? robot-recorder align makes them again"
    )
    _CHANCE = 2  # at the ends, and of a reference stream's mean rate

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        found = episode.certificate
        if found is None or found.expected is None or found.absent is None:
            return
        if not found.frames:
            yield self.say(1.0, "has no frames")
            return
        share = max(found.absent - self._CHANCE, 0) / max(found.expected, 1)
        yield self.say(share, f"{found.absent} of {found.expected} frames are not there")


class Unreadable(Check):
    """Messages of the recorder's own topics that nobody can read."""

    name = "unreadable"
    remedy = "does another program publish there, or a synchronizer of another version or profile?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        found = episode.certificate
        if found is not None and found.unreadable is not None:
            why = f" ({found.unreadable_why})" if found.unreadable_why else ""
            words = f"{found.unreadable} messages of the recorder's own cannot be used{why}"
            yield self.say(found.unreadable, words)


class NeverMoved(Check):
    """No joint moved."""

    name = "never_moved"
    remedy = "was the robot enabled, and the operator connected?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if episode.motion.known and not episode.may_drive:
            seconds = episode.motion.moving_s(episode.from_ns, episode.stop_ns)
            yield self.say(seconds, f"the robot moved for {seconds:.1f} s")


class IdleHead(Check):
    """The robot stands still at the beginning."""

    name = "idle_head"
    remedy = "start when the motion starts: the pre-roll keeps what was before"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if episode.motion.span is not None:
            seconds = max(episode.motion.span[0] - episode.start_ns, 0) / NS_PER_S
            yield self.say(seconds, f"the robot stood still for the first {seconds:.1f} s")


class IdleTail(Check):
    """The robot stands still at the end."""

    name = "idle_tail"
    remedy = "stop when the task is done"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if episode.motion.span is not None:
            seconds = max(episode.stop_ns - episode.motion.span[1], 0) / NS_PER_S
            yield self.say(seconds, f"the robot stood still for the last {seconds:.1f} s")


class TooShort(Check):
    """Shorter than its task can take."""

    name = "too_short"
    remedy = "was it stopped too early?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        least = episode.task.least_s if episode.task else None
        limits = self.threshold
        if least is not None:
            limits = replace(limits, warn=least, fail=least / 2)
        yield self.say(episode.duration_s, f"took {episode.duration_s:.1f} s", threshold=limits)


class TooLong(Check):
    """Longer than its task should take."""

    name = "too_long"
    remedy = "was it not stopped, or did the operator try again?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        most = episode.task.most_s if episode.task else None
        if most is not None:
            limits = replace(self.threshold, warn=most, fail=2 * most)
            yield self.say(episode.duration_s, f"took {episode.duration_s:.1f} s", threshold=limits)


WHOLE_CHECKS: tuple[type[Check], ...] = (
    NothingRecorded, Incomplete, TooFewFrames, Unreadable, NeverMoved, TooShort, TooLong, IdleHead, IdleTail,
)  # fmt: skip
