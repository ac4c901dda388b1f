"""Convert the recorder's state to messages."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from robot_recorder.model.losses import LossLedger, Place
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, StreamStatus
from robot_recorder.nodes.conversions import to_time
from robot_recorder.recorder.health import HealthMonitor, HealthReport
from robot_recorder.recorder.recorder import Recorder

if TYPE_CHECKING:
    from robot_recorder.recorder.recording import Recording


def status_message(recorder: Recorder, now_ns: int, last_event: str) -> EpisodeStatus:
    """Build the message of ``recorder/status``.

    Args:
        recorder: the recorder.
        now_ns: current time, robot clock.
        last_event: the latest log message.
    """
    last = recorder.last
    status = EpisodeStatus(
        header=Header(stamp=to_time(now_ns)),
        state=int(recorder.state),
        robot=recorder.robot,
        root=str(recorder.store.root),
        duration_s=recorder.duration_s(),
        disk_free_bytes=recorder.free_bytes(),
        episodes_left=recorder.episodes_left(),
        bytes_per_s=recorder.bytes_per_s,
        pre_roll_s=recorder.settings.pre_roll_s,
        pre_roll_bytes=recorder.ring.bytes,
        clock_jumps=len(recorder.clock.jumps),
        episodes_recorded=recorder.finalised,
        finalising=recorder.finalising,
        message=last_event,
        warnings=recorder.warnings(),
    )
    counts: dict[str, int] = {}
    if last is not None:
        counts, labels = last.counts(), last.labels
        status.episode_id, status.path = last.id, str(last.path)
        status.start = to_time(last.start_ns)
        status.task, status.instruction = labels.task, labels.instruction
        status.operator_name, status.outcome = labels.operator_name, int(labels.outcome)
        status.messages, status.size_bytes = sum(counts.values()), last.data_bytes
        status.dropped, status.queued_bytes = last.dropped(), last.queued_bytes
        status.lost_dds = last.losses.total(lambda place: place is Place.DDS)
        status.error = last.error
        status.verdict, status.verdict_sentence = int(last.quality.verdict), last.quality.sentence
        status.limping = [f"{name}: {why}" for name, why in last.limping.reported.items()]
    for monitor, report in recorder.health(now_ns):
        stream = _stream_status(monitor, report)
        stream.written = counts.get(monitor.recorded_topic, 0)
        if last is not None:
            _add_losses(stream, monitor.recorded_topic, last.losses)
        status.streams.append(stream)
    return status


def fill_stop(response: Any, recording: Recording) -> None:
    """Fill the response of StopEpisode with the finished episode."""
    response.episode_id, response.path = recording.id, str(recording.path)
    response.duration_s = (recording.stopped_at - recording.started_at) / 1e9
    response.messages, response.dropped = recording.messages, recording.dropped()
    response.lost_dds = recording.lost() - recording.dropped()
    response.size_bytes = recording.size_bytes
    response.verdict = int(recording.quality.verdict)
    response.verdict_sentence = recording.quality.sentence


def _stream_status(monitor: HealthMonitor, report: HealthReport) -> StreamStatus:
    config, channel = monitor.config, monitor.channel
    return StreamStatus(
        name=config.name,
        topic=monitor.topic,
        required=config.required,
        health=int(report.health),
        rate_hz=report.rate_hz,
        expected_hz=config.rate_hz or 0.0,
        age_s=report.age_s,
        lost_dds=0 if channel.numbered else -1,
        clock_offset_s=nan if report.clock_offset_s is None else report.clock_offset_s,
        qos_deadline=channel.events.deadline,
        qos_lost=channel.events.lost,
        qos_incompatible=channel.events.incompatible,
        stamp=monitor.stamp,
        remedy=report.remedy,
    )


def _add_losses(stream: StreamStatus, topic: str, losses: LossLedger) -> None:
    counts = {place: losses.count(topic, place) for place in Place}
    on_the_way = counts[Place.DDS]
    if stream.lost_dds >= 0:
        stream.lost_dds = -1 if on_the_way is None else on_the_way
    # These messages arrived, so their losses are known completely.
    stream.lost_ring = counts[Place.RING] or 0
    stream.lost_queue = counts[Place.QUEUE] or 0
    stream.lost_writer = counts[Place.WRITER] or 0
    stream.lost_encoder = counts[Place.ENCODER] or 0


def diagnostics_message(
    recorder: Recorder, now_ns: int, node: str, last_event: str
) -> DiagnosticArray:
    """Build the message for ``/diagnostics``: one entry for the episode, one per stream."""
    levels = {StreamHealth.OK: DiagnosticStatus.OK, StreamHealth.SLOW: DiagnosticStatus.WARN}
    last = recorder.last
    problem = last.problem if last is not None else None
    error = str(problem) if problem else (last.error if last is not None else "")
    warnings = "; ".join(recorder.warnings())
    level = DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK
    array = DiagnosticArray(header=Header(stamp=to_time(now_ns)))
    array.status.append(
        DiagnosticStatus(
            level=DiagnosticStatus.ERROR if error else level,
            name=f"{node}: episode",
            hardware_id=recorder.robot,
            message=error or warnings or last_event,
            values=[
                KeyValue(key="episodes_left", value=str(recorder.episodes_left())),
                KeyValue(key="disk_free_bytes", value=str(recorder.free_bytes())),
            ],
        )
    )
    for monitor, report in recorder.health(now_ns):
        config = monitor.config
        bad = DiagnosticStatus.ERROR if config.required else DiagnosticStatus.WARN
        figures = {
            "rate_hz": report.rate_hz,
            "expected_hz": config.rate_hz or 0,
            "age_s": report.age_s,
            "qos_deadline_missed": monitor.channel.events.deadline,
            "qos_messages_lost": monitor.channel.events.lost,
            "qos_incompatible": monitor.channel.events.incompatible,
        }
        array.status.append(
            DiagnosticStatus(
                level=levels.get(report.health, bad),
                name=f"{node}: {config.name}",
                hardware_id=recorder.robot,
                message=report.remedy or "OK",
                values=[KeyValue(key=key, value=f"{value:.2f}") for key, value in figures.items()],
            )
        )
    return array
