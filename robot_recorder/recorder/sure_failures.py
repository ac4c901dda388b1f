"""Predict certain rejections of an episode that starts now, from the last messages before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from robot_recorder.configuration.tasks import Task
from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.quality_settings import NO_SETTINGS, budget_of
from robot_recorder.model.streams import RobotProfile
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.quality.inspector import Inspector
from robot_recorder.recorder.live_audit import LiveAudit
from robot_recorder.recorder.live_stream import LiveStream, decoders_by_name

# Checks that fail whatever comes later. Stream health judges rates and clocks by the same rules.
_SURE = ("undecodable", "not_a_number", "repeated_stamps")
_LAST = 20  # messages of each stream


def foresee(
    profile: RobotProfile,
    task: Task | None,
    streams: Sequence[LiveStream],
    samples: Sequence[Sample],
) -> list[Result]:
    """Return the results that will reject an episode with these samples; empty: none for certain.

    Runs the checks of the quality report that fail whatever comes later.

    Args:
        profile: the robot's profile.
        task: None: unknown.
        streams: the profile's streams.
        samples: the latest samples, in order of receipt.
    """
    checked = [s for s in streams if kind_of(s.config).sort is not Sort.IMAGE]
    channels = {s.channel for s in checked}
    last = _last_of_each([s for s in samples if s.channel in channels])
    if not last:
        return []
    no_frames = Channel(last[0].channel.bag_topic)  # a channel without samples
    first_ns, last_ns = last[0].receive_ns, last[-1].receive_ns
    inspector = Inspector(profile, task, decoders=decoders_by_name(checked), only=_SURE)
    audit = LiveAudit(checked, profile, no_frames, first_ns, first_ns, lambda: None, inspector)
    audit.add(last)
    certificate = audit.certificate(last_ns, lambda topic: (None, ""))
    report = audit.report(last_ns, certificate, ("", False))
    found = [r for r in report.results if r.level is Level.FAIL and r.check in _SURE]
    budget = budget_of([profile.quality, task.quality if task else NO_SETTINGS])
    return found if len(found) > budget.fail else []


def _last_of_each(samples: Sequence[Sample]) -> list[Sample]:
    counts: Counter[Channel] = Counter()
    last = []
    for sample in reversed(samples):
        if counts[sample.channel] < _LAST:
            counts[sample.channel] += 1
            last.append(sample)
    return last[::-1]
