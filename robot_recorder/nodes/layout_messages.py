"""Convert frame layout and clock models to messages; alignment/frame_messages.py reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from std_msgs.msg import Header

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.lane import Lane
from robot_recorder.clocks.clock_model import ClockEstimate
from robot_recorder.model.streams import FrameClock, SourceClockKind, StreamConfig
from robot_recorder.msg import (
    ClockModel,
    ClockModels,
    FrameLayout,
    StreamLayout,
)
from robot_recorder.nodes.conversions import to_time


def to_layout(
    stamp_ns: int,
    frame_clock: FrameClock,
    streams: Sequence[StreamConfig],
    topics: Sequence[str],
    value_names: Sequence[tuple[str, ...] | None],
) -> FrameLayout:
    """Return the layout of the frames as a message.

    Args:
        stamp_ns: tick from which it is valid, ns.
        frame_clock: rate or reference of the frames.
        streams: the aligned streams.
        topics: topic of each stream, fully qualified.
        value_names: value names of each stream; None: unknown so far.
    """
    layout = FrameLayout(
        header=Header(stamp=to_time(stamp_ns)),
        rate_hz=float(frame_clock.rate_hz or 0.0),
        reference=frame_clock.reference,
    )
    for stream, topic, names in zip(streams, topics, value_names, strict=True):
        layout.streams.append(
            StreamLayout(
                name=stream.name,
                topic=topic,
                type=stream.type,
                role=stream.role.value,
                policy=stream.policy.value,
                value_names=list(names or ()),
            )
        )
    return layout


def to_clock_models(
    stamp_ns: int, aligner: Aligner, estimates: Mapping[str, ClockEstimate | None]
) -> ClockModels:
    """Return the models of all source clocks as a message; clears the lanes' ``changes``.

    Args:
        stamp_ns: time of the message, robot clock.
        aligner: whose clocks they are.
        estimates: of clocks that are not corrected, by stream.
    """
    message = ClockModels(header=Header(stamp=to_time(stamp_ns)))
    for lane in aligner.lanes:
        changes = lane.clock.changes
        held = lane.clock.setting
        # Corrections replaced since the last message were in use, too.
        for setting in changes[:-1]:
            message.models.append(_clock_model(lane, setting.estimate, setting.from_ns))
        lane.clock.changes = []
        if held is not None:
            message.models.append(_clock_model(lane, held.estimate, held.from_ns))
        else:
            message.models.append(_clock_model(lane, estimates.get(lane.config.name), 0))
    return message


def _clock_model(lane: Lane, estimate: ClockEstimate | None, since_ns: int) -> ClockModel:
    message = ClockModel(
        stream=lane.config.name,
        corrected=lane.config.clock is SourceClockKind.DEVICE,
        since=to_time(since_ns),
        events=[event.text for event in lane.clock.model.events],
    )
    if estimate is not None:
        message.source_stamp_ns = estimate.at_ns
        message.offset_ns = estimate.offset_ns
        message.slope = estimate.slope
        message.offset_uncertainty_ns = estimate.offset_pm_ns
        message.drift_uncertainty_ppm = estimate.drift_pm_ppm
        message.seconds = estimate.buckets
    return message
