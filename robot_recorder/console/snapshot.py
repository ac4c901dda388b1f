"""Messages as plain values for the pages; what is unknown is null."""

from __future__ import annotations

import math
from typing import Any

from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, Said, ShiftStatus, StreamStatus
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.recorder import RecorderState
from robot_recorder.recorder.shift import ShiftState


def number(value: float) -> float | None:
    """Return a number that JSON knows; None: it is NaN or infinite."""
    return value if math.isfinite(value) else None


def recorder_plain(status: EpisodeStatus) -> dict[str, Any]:
    """Return what the pages need of the recorder's status, without its streams.

    Raises:
        ValueError: it has a state or a verdict that does not exist.
    """
    return {
        "state": RecorderState(status.state).name.lower(),
        "episode_id": status.episode_id,
        "duration_s": number(status.duration_s),
        "messages": status.messages,
        "size_bytes": status.size_bytes,
        "lost": status.dropped + status.lost_dds,
        "disk_free_bytes": status.disk_free_bytes,
        "episodes_left": None if status.episodes_left < 0 else status.episodes_left,
        "bytes_per_s": number(status.bytes_per_s),
        "warnings": list(status.warnings),
        "limping": list(status.limping),
        "message": status.message,
        "error": status.error,
        "verdict": Verdict(status.verdict).text,
        "verdict_sentence": status.verdict_sentence,
    }


def stream_plain(stream: StreamStatus, camera: bool) -> dict[str, Any]:
    """Return a stream's health.

    Args:
        stream: its part of the recorder's status.
        camera: whether it has pictures to show.

    Raises:
        ValueError: its health does not exist.
    """
    places = [
        stream.lost_ring, stream.lost_queue, stream.lost_writer, stream.lost_encoder,
    ]  # fmt: skip
    return {
        "name": stream.name,
        "topic": stream.topic,
        "required": stream.required,
        "health": StreamHealth(stream.health).name.lower(),
        "rate_hz": number(stream.rate_hz),
        "expected_hz": stream.expected_hz or None,
        "age_s": None if stream.age_s < 0 else number(stream.age_s),
        "lost": None if stream.lost_dds < 0 else stream.lost_dds + sum(places),
        "remedy": stream.remedy,
        "camera": camera,
        "clock_offset_s": number(stream.clock_offset_s),
        "stamp": stream.stamp,
    }


def shift_plain(status: ShiftStatus) -> dict[str, Any]:
    """Return a shift's state.

    Raises:
        ValueError: it has a state, an outcome or a verdict that does not exist.
    """
    return {
        "state": ShiftState(status.state).name.lower(),
        "task": status.task,
        "instruction": status.instruction,
        "operator": status.operator_name,
        "station": status.station,
        "target": status.target,
        "counted": status.counted,
        "taken": status.taken,
        "warm_up": status.warm_up,
        "remaining_s": number(status.remaining_s),
        "episode_id": status.episode_id,
        "outcome": Outcome(status.outcome).text,
        "cause": status.cause,
        "verdict": Verdict(status.verdict).text,
        "verdict_sentence": status.verdict_sentence,
        "undo": status.undo,
        "undo_take": status.undo_take,
        "undo_restores": status.undo_restores,
        "undo_outcome": Outcome(status.undo_outcome).text,
        "causes": list(status.failure_causes),
        "message": status.message,
    }


def said_plain(said: Said) -> dict[str, Any]:
    """Return something that is said."""
    return {
        "type": "said",
        "event": said.event,
        "language": said.language,
        "text": said.text,
        "values": dict(zip(said.names, said.values)),
    }
