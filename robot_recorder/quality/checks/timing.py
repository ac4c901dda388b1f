"""Checks of presence, timing and completeness of a stream, based on the sync certificate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from robot_recorder.alignment.certificate import StreamCertificate
from robot_recorder.model.check_result import Result, Threshold, at_most_warn
from robot_recorder.model.quality_rules import delay_ms, future_ms, rate_off
from robot_recorder.model.streams import NS_PER_MS, SourceClockKind, StreamConfig
from robot_recorder.quality.checks.check import Check, EpisodeSummary


class TimingCheck(Check):
    """A check of one stream's part of the sync certificate.

    Attributes:
        guessed: whether the profile was guessed; then a deviation is at most a warning.
    """

    guessed = False

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Judge the stream's part of the certificate, if there is one."""
        figures = episode.certificate.streams.get(self.stream) if episode.certificate else None
        if figures is not None:
            yield from self.look(figures, episode.streams[self.stream])

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Yield the results for the stream's part of the certificate."""
        raise NotImplementedError

    def say(
        self, figure: float, sentence: str, remedy: str = "", threshold: Threshold | None = None
    ) -> Result:
        """Build the result for a figure; with a guessed profile it is at most a warning."""
        if not self.guessed:
            return super().say(figure, sentence, remedy, threshold)
        least = at_most_warn(threshold or self.threshold)
        return super().say(figure, f"{sentence} (the profile is guessed)", remedy, least)


class StreamMissing(TimingCheck):
    """A required stream of which nothing was recorded."""

    name = "stream_missing"
    remedy = "start its driver, or correct its topic in the profile"

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Report whether a required stream is missing."""
        missing = figures.count == 0 and config.required
        words = (
            f"has no messages on {figures.topic}" if missing else f"has {figures.count} messages"
        )
        yield self.say(float(missing), words)


class Rate(TimingCheck):
    """A stream that is slower or faster than the profile declares."""

    name = "rate"
    remedy = "check its driver and the network, or correct rate_hz in the profile"

    _drivers: tuple[float, ...] = ()

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Note the share of each driver on the topic, then judge the rate."""
        counts = episode.drivers.get(self.stream, ())
        self._drivers = tuple(count / sum(counts) for count in counts)
        yield from super().finish(episode)

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Compare the measured rate with the declared one."""
        if config.rate_hz is None or not figures.count:
            return
        measured = figures.measured_hz or 0.0
        off = rate_off(measured, config.rate_hz, figures.count, self._drivers)
        several = len(self._drivers)
        of = f" of {several} drivers together" if several > 1 else ""
        yield self.say(off, f"came at {measured:.1f} Hz{of} instead of {config.rate_hz:g} Hz")


class Gap(TimingCheck):
    """A stream that was silent for too long."""

    name = "gap"
    remedy = "check its driver, cable and network"
    _WARN_PERIODS, _FAIL_PERIODS = 6.0, 10.0  # least limits, for slow streams

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the longest silence."""
        if config.rate_hz is None or not figures.count:
            return
        gap_s, period_s = figures.longest_gap_ms / 1000, 1 / config.rate_hz
        limits = replace(
            self.threshold,
            warn=_at_least(self.threshold.warn, self._WARN_PERIODS * period_s),
            fail=_at_least(self.threshold.fail, self._FAIL_PERIODS * period_s),
        )
        yield self.say(gap_s, f"was silent for {gap_s:.2f} s", threshold=limits)


def _at_least(limit: float | None, least: float) -> float | None:
    return None if limit is None else max(limit, least)


class Losses(TimingCheck):
    """Messages that were sent and are missing from the bag."""

    name = "losses"
    remedy = "the machine, the network or the disk is overloaded"

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the share of lost messages, or report that it is unknown."""
        if figures.lost_unknown:
            limits = at_most_warn(self.threshold)
            yield self.say(
                math.nan, f"may have lost messages: {figures.lost_unknown}", threshold=limits
            )
        if figures.lost is not None:
            share = figures.lost / max(figures.lost + figures.count, 1)
            yield self.say(share, f"lost {figures.lost} messages ({share:.2%})")


class ClockDelay(TimingCheck):
    """Stamps long before their receipt: a clock that is behind, or a very late sensor."""

    name = "clock_delay"
    remedy = "synchronise its clock (chrony, PTP), or set 'clock: device' in the profile"

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the least delay from stamp to receipt."""
        if figures.offset_ms is not None and config.clock is SourceClockKind.ROBOT:
            words = f"is stamped {figures.offset_ms:.0f} ms before its receipt at best"
            yield self.say(delay_ms(figures.offset_ms), words)


class ClockFuture(TimingCheck):
    """Stamps after their receipt, which no delay explains."""

    name = "clock_future"
    remedy = ClockDelay.remedy

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure how far stamps are in the future."""
        if figures.offset_ms is not None and config.clock is SourceClockKind.ROBOT:
            future = future_ms(figures.offset_ms)
            yield self.say(future, f"is stamped {future:.0f} ms after its receipt")


class ClockDrift(TimingCheck):
    """A source clock that runs faster or slower than the robot's."""

    name = "clock_drift"
    remedy = ClockDelay.remedy

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the drift that is certain: three standard errors less than estimated."""
        if figures.drift_ppm is not None and config.clock is SourceClockKind.ROBOT:
            surely = max(abs(figures.drift_ppm) - 3 * (figures.drift_pm_ppm or math.inf), 0.0)
            yield self.say(surely, f"has a clock that drifts by {figures.drift_ppm:+.0f} ppm")


class ClockJump(TimingCheck):
    """A source clock that was set during the episode."""

    name = "clock_jump"
    remedy = ClockDelay.remedy

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the largest jump of the clock."""
        if figures.offset_ms is not None:
            jump_ms = figures.clock_jump_ms
            yield self.say(jump_ms, f"has a clock that jumped by {jump_ms:.0f} ms")


class RepeatedStamps(TimingCheck):
    """A driver that publishes old samples again."""

    name = "repeated_stamps"
    remedy = "its driver publishes the same sample again and again"

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the share of messages with a stamp seen before."""
        if figures.offset_ms is not None and figures.count:
            share = figures.duplicates / figures.count
            yield self.say(share, f"repeats a stamp in {share:.1%} of its messages")


class Skew(TimingCheck):
    """Frames without a sample of the stream within its tolerance of their tick."""

    name = "skew"
    remedy = "see the sync certificate; raise tolerance_ms only if a policy can live with it"

    def look(self, figures: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """Measure the share of frames in which the stream was held or missing."""
        if not figures.frames or not figures.count:  # other checks report an empty stream
            return
        bad = (figures.held + figures.missing) / figures.frames
        limit = config.tolerance_ns / NS_PER_MS
        yield self.say(
            bad, f"was further than {limit:g} ms from the tick in {bad:.1%} of the frames"
        )


TIMING_CHECKS: tuple[type[TimingCheck], ...] = (
    StreamMissing, Gap, Rate, Losses, ClockFuture, ClockDelay, RepeatedStamps, ClockJump, ClockDrift, Skew,
)  # fmt: skip

# Checks of a stream that has no rate and is not part of frames.
PRESENCE_CHECKS: tuple[type[TimingCheck], ...] = (StreamMissing, Losses)
