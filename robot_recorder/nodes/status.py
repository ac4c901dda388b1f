"""The recorder's state as messages."""

from __future__ import annotations

import shutil

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from robot_recorder.core.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, StreamStatus
from robot_recorder.nodes.conversions import to_time
from robot_recorder.storage.episodes import EpisodeStore
from robot_recorder.storage.recorder import Recorder


def status_message(recorder: Recorder, now_ns: int, last_event: str) -> EpisodeStatus:
    """What ``recorder/status`` says."""
    run, counts = recorder.run, recorder.counts
    status = EpisodeStatus(
        header=Header(stamp=to_time(now_ns)),
        state=int(recorder.state),
        robot=recorder.robot,
        root=str(recorder.store.root),
        duration_s=recorder.duration_s(),
        messages=counts.written.total(),
        size_bytes=counts.bytes,
        dropped=counts.dropped.total(),
        queued_bytes=recorder.queued_bytes,
        disk_free_bytes=_disk_free(recorder.store),
        episodes_recorded=recorder.finished,
        message=last_event,
    )
    if run is not None:
        labels = run.labels
        status.episode_id, status.path = run.id, str(run.path)
        status.start = to_time(run.start_ns)
        status.task, status.instruction = labels.task, labels.instruction
        status.operator_name, status.outcome = labels.operator_name, int(labels.outcome)
    for monitor, report in recorder.health(now_ns):
        config, topic = monitor.config, monitor.topic
        status.streams.append(
            StreamStatus(
                name=config.name,
                topic=topic,
                required=config.required,
                health=int(report.health),
                rate_hz=report.rate_hz,
                expected_hz=config.rate_hz or 0.0,
                age_s=report.age_s,
                written=counts.written[topic],
                dropped=counts.dropped[topic],
                remedy=report.remedy,
            )
        )
    return status


def diagnostics_message(
    recorder: Recorder, now_ns: int, node: str, last_event: str
) -> DiagnosticArray:
    """What the recorder adds to ``/diagnostics``: one entry for the episode, one per stream."""
    levels = {StreamHealth.OK: DiagnosticStatus.OK, StreamHealth.SLOW: DiagnosticStatus.WARN}
    error = recorder.error
    array = DiagnosticArray(header=Header(stamp=to_time(now_ns)))
    array.status.append(
        DiagnosticStatus(
            level=DiagnosticStatus.ERROR if error else DiagnosticStatus.OK,
            name=f"{node}: episode",
            hardware_id=recorder.robot,
            message=str(error) if error else last_event,
        )
    )
    for monitor, report in recorder.health(now_ns):
        config = monitor.config
        bad = DiagnosticStatus.ERROR if config.required else DiagnosticStatus.WARN
        figures = {
            "rate_hz": report.rate_hz,
            "expected_hz": config.rate_hz or 0,
            "age_s": report.age_s,
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


def _disk_free(store: EpisodeStore) -> int:
    for folder in (store.root, *store.root.parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue  # not there yet, or not ours to see
    return 0
