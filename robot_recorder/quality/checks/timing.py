"""Checks of whether a stream is there, in time and complete: read off the sync certificate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from robot_recorder.alignment.certificate import StreamCertificate
from robot_recorder.model.quality_result import Result, Threshold, at_most_warn
from robot_recorder.model.quality_rules import delay_ms, future_ms, rate_off
from robot_recorder.model.streams import NS_PER_MS, SourceClockKind, StreamConfig
from robot_recorder.quality.checks.check import Check, EpisodeSummary


class TimingCheck(Check):
    """Looks at one stream's part of the certificate.

    Attributes:
        guessed: nobody declared what it is held to.
    """

    guessed = False

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        facts = episode.certificate.streams.get(self.stream) if episode.certificate else None
        if facts is not None:
            yield from self.look(facts, episode.streams[self.stream])

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """What the certificate says."""
        raise NotImplementedError

    def say(
        self, figure: float, sentence: str, remedy: str = "", threshold: Threshold | None = None
    ) -> Result:
        """See Check. What is held against a guess is a warning at most, and says so."""
        if not self.guessed:
            return super().say(figure, sentence, remedy, threshold)
        least = at_most_warn(threshold or self.threshold)
        return super().say(figure, f"{sentence} (the profile is guessed)", remedy, least)


class StreamMissing(TimingCheck):
    """Nothing of a required stream was recorded."""

    name = "stream_missing"
    remedy = "start its driver, or correct its topic in the profile"

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        missing = facts.count == 0 and config.required
        words = f"was never heard on {facts.topic}" if missing else f"{facts.count} messages"
        yield self.say(float(missing), words)


class Rate(TimingCheck):
    """It arrives more seldom, or more often, than the profile declares."""

    name = "rate"
    remedy = "check its driver and the network, or correct rate_hz in the profile"

    _drivers: tuple[float, ...] = ()

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        counts = episode.drivers.get(self.stream, ())
        self._drivers = tuple(count / sum(counts) for count in counts)
        yield from super().finish(episode)

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if config.rate_hz is None or not facts.count:
            return
        measured = facts.measured_hz or 0.0
        off = rate_off(measured, config.rate_hz, facts.count, self._drivers)
        several = len(self._drivers)
        of = f" of {several} drivers together" if several > 1 else ""
        yield self.say(off, f"came at {measured:.1f} Hz{of} instead of {config.rate_hz:g} Hz")


class Gap(TimingCheck):
    """It fell silent for a while."""

    name = "gap"
    remedy = "check its driver, cable and network"
    _WARN_PERIODS, _FAIL_PERIODS = 6.0, 10.0  # of slow streams

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if config.rate_hz is None or not facts.count:
            return
        gap_s, period_s = facts.longest_gap_ms / 1000, 1 / config.rate_hz
        limits = replace(
            self.threshold,
            warn=_at_least(self.threshold.warn, self._WARN_PERIODS * period_s),
            fail=_at_least(self.threshold.fail, self._FAIL_PERIODS * period_s),
        )
        yield self.say(gap_s, f"was silent for {gap_s:.2f} s", threshold=limits)


def _at_least(limit: float | None, least: float) -> float | None:
    return None if limit is None else max(limit, least)


class Losses(TimingCheck):
    """Messages that were sent are not in the bag."""

    name = "losses"
    remedy = "the machine, the network or the disk is overloaded"

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.lost_unknown:
            limits = at_most_warn(self.threshold)
            yield self.say(
                math.nan, f"may have lost messages: {facts.lost_unknown}", threshold=limits
            )
        if facts.lost is not None:
            share = facts.lost / max(facts.lost + facts.count, 1)
            yield self.say(share, f"lost {facts.lost} messages ({share:.2%})")


class ClockDelay(TimingCheck):
    """Its stamps lie far before their receipt: a clock that is behind, or a very late sensor."""

    name = "clock_delay"
    remedy = "synchronise its clock (chrony, PTP), or say 'clock: device' in the profile"

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.offset_ms is not None and config.clock is SourceClockKind.ROBOT:
            words = f"is stamped {facts.offset_ms:.0f} ms before its receipt at best"
            yield self.say(delay_ms(facts.offset_ms), words)


class ClockFuture(TimingCheck):
    """Its stamps lie after their receipt, which no delay explains."""

    name = "clock_future"
    remedy = ClockDelay.remedy

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.offset_ms is not None and config.clock is SourceClockKind.ROBOT:
            future = future_ms(facts.offset_ms)
            yield self.say(future, f"is stamped {future:.0f} ms after its receipt")


class ClockDrift(TimingCheck):
    """Its clock runs at another speed."""

    name = "clock_drift"
    remedy = ClockDelay.remedy

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.drift_ppm is not None and config.clock is SourceClockKind.ROBOT:
            surely = max(abs(facts.drift_ppm) - 3 * (facts.drift_pm_ppm or math.inf), 0.0)
            yield self.say(surely, f"its clock drifts by {facts.drift_ppm:+.0f} ppm")


class ClockJump(TimingCheck):
    """Its clock was set while it was recorded."""

    name = "clock_jump"
    remedy = ClockDelay.remedy

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.offset_ms is not None:
            yield self.say(facts.clock_jump_ms, f"its clock jumped by {facts.clock_jump_ms:.0f} ms")


class RepeatedStamps(TimingCheck):
    """Its driver publishes old samples again."""

    name = "repeated_stamps"
    remedy = "its driver publishes the same sample again and again"

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if facts.offset_ms is not None and facts.count:
            share = facts.duplicates / facts.count
            yield self.say(share, f"repeats a stamp in {share:.1%} of its messages")


class Skew(TimingCheck):
    """Frames had no sample of it close enough to their tick."""

    name = "skew"
    remedy = "see the sync certificate; raise tolerance_ms only if a policy can live with it"

    def look(self, facts: StreamCertificate, config: StreamConfig) -> Iterator[Result]:
        """See TimingCheck."""
        if not facts.frames or not facts.count:  # where nothing was recorded, that is said
            return
        bad = (facts.held + facts.missing) / facts.frames
        limit = config.tolerance_ns / NS_PER_MS
        yield self.say(
            bad, f"was further than {limit:g} ms from the tick in {bad:.1%} of the frames"
        )


TIMING_CHECKS: tuple[type[TimingCheck], ...] = (
    StreamMissing, Gap, Rate, Losses, ClockFuture, ClockDelay, RepeatedStamps, ClockJump, ClockDrift, Skew,
)  # fmt: skip

# What can be said of a stream without a rate that takes no part in frames.
PRESENCE_CHECKS: tuple[type[TimingCheck], ...] = (StreamMissing, Losses)
