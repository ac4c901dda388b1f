"""Checks of the whole episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from robot_recorder.messages.decoders import NO_VALUES
from robot_recorder.messages.kinds import MAP_IT
from robot_recorder.model.check_result import Result
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.check import Check, EpisodeSummary


class NothingRecorded(Check):
    """An episode in which no stream was recorded."""

    name = "nothing_recorded"
    remedy = "start the robot's drivers, or correct the topics in the profile"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report whether any stream was recorded."""
        if episode.certificate is None or not episode.certificate.streams:
            return
        counts = [stream.count for stream in episode.certificate.streams.values()]
        some = sum(count > 0 for count in counts)
        words = f"{some} of {len(counts)} streams were recorded"
        yield self.say(float(not some), words if some else "not one stream was recorded")


class Incomplete(Check):
    """An episode that was cut short or lost data."""

    name = "incomplete"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report why the recording is incomplete: 1 if data is lost, 0.5 if it was cut short."""
        lost = 1.0 if episode.data_lost else 0.5 * bool(episode.incomplete)
        yield self.say(lost, episode.incomplete or "ended as asked")


class TooFewFrames(Check):
    """An episode with fewer frames than its duration asks for, or with none."""

    name = "too_few_frames"
    remedy = (
        "check that the synchronizer runs with this profile; robot-recorder align makes new frames"
    )
    _CHANCE = 2  # frames forgiven: at the ends, and for the mean rate of a reference stream

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure the share of missing frames."""
        found = episode.certificate
        if found is None or found.expected is None or found.absent is None:
            return
        if not found.frames:
            yield self.say(1.0, "has no frames")
            return
        share = max(found.absent - self._CHANCE, 0) / max(found.expected, 1)
        yield self.say(share, f"{found.absent} of {found.expected} frames are missing")


class Unreadable(Check):
    """Messages on the recorder's own topics that cannot be read, or are not of this robot."""

    name = "unreadable"
    remedy = "check for other publishers, or a synchronizer of another version or profile"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the unreadable messages."""
        found = episode.certificate
        if found is not None and found.unreadable is not None:
            why = f" ({found.unreadable_why})" if found.unreadable_why else ""
            words = f"{found.unreadable} messages on the recorder's own topics cannot be used{why}"
            yield self.say(found.unreadable, words)


class NoValues(Check):
    """A required stream whose messages have numbers that nobody can read."""

    name = "no_values"
    remedy = MAP_IT

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report every stream without values, and why."""
        for stream, why in episode.lacking.items():
            words = f"has no values, only its timing is checked ({why.removeprefix(NO_VALUES)})"
            yield replace(self.say(1.0, words), stream=stream)


class NeverMoved(Check):
    """An episode in which no joint moved."""

    name = "never_moved"
    remedy = "was the robot enabled, and the operator connected?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long joints moved, unless a base may have moved instead."""
        if episode.motion.known and not episode.may_drive:
            seconds = episode.motion.moving_s(episode.from_ns, episode.stop_ns)
            yield self.say(seconds, f"the robot moved for {seconds:.1f} s")


class IdleHead(Check):
    """An episode in which the robot stands still at the beginning."""

    name = "idle_head"
    remedy = "start when the motion starts: the pre-roll keeps what came before"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure the time from the start to the first motion."""
        if episode.motion.span is not None:
            seconds = max(episode.motion.span[0] - episode.start_ns, 0) / NS_PER_S
            yield self.say(seconds, f"the robot stood still for the first {seconds:.1f} s")


class IdleTail(Check):
    """An episode in which the robot stands still at the end."""

    name = "idle_tail"
    remedy = "stop when the task is done"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure the time from the last motion to the stop."""
        if episode.motion.span is not None:
            seconds = max(episode.stop_ns - episode.motion.span[1], 0) / NS_PER_S
            yield self.say(seconds, f"the robot stood still for the last {seconds:.1f} s")


class TooShort(Check):
    """An episode shorter than its task allows."""

    name = "too_short"
    remedy = "was it stopped too early?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Compare the duration with the least one of the task."""
        least = episode.task.least_s if episode.task else None
        limits = self.threshold
        if least is not None:
            limits = replace(limits, warn=least, fail=least / 2)
        yield self.say(episode.duration_s, f"took {episode.duration_s:.1f} s", threshold=limits)


class TooLong(Check):
    """An episode longer than its task allows."""

    name = "too_long"
    remedy = "was it not stopped, or did the operator try again?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Compare the duration with the longest one of the task, if it has one."""
        most = episode.task.most_s if episode.task else None
        if most is not None:
            limits = replace(self.threshold, warn=most, fail=2 * most)
            yield self.say(episode.duration_s, f"took {episode.duration_s:.1f} s", threshold=limits)


WHOLE_CHECKS: tuple[type[Check], ...] = (
    NothingRecorded, Incomplete, TooFewFrames, Unreadable, NoValues, NeverMoved, TooShort, TooLong,
    IdleHead, IdleTail,
)  # fmt: skip
