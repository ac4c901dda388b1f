"""Reading back what the synchronizer publishes, from bytes, without ROS."""

from __future__ import annotations

from robot_recorder.core.cdr import CdrReader
from robot_recorder.core.clock_model import ClockEstimate
from robot_recorder.core.frames import Frame, FrameSample, SampleStatus
from robot_recorder.core.source_clock import ClockSetting


def decode_frame(data: bytes) -> tuple[Frame, tuple[str, ...]]:
    """Read an AlignedFrame; returns the frame and its stream names.

    Raises:
        DecodeError: the bytes end early.
        ValueError: a status that there is not, or a window that does not fit.
    """
    reader = CdrReader(data)
    tick_ns = reader.stamp_ns()
    reader.skip_bytes()
    index = reader.i64()
    reader.u8()
    names, samples = [], []
    for _ in range(reader.u32()):
        names.append(reader.text())
        status = SampleStatus(reader.u8())
        stamp_ns = reader.stamp_ns()
        skew_ns = reader.i64()
        values = reader.double_sequence()
        window_skew = reader.long_sequence()
        window_values = reader.double_sequence()
        if len(window_skew):
            window_values = window_values.reshape(len(window_skew), -1)
        samples.append(FrameSample(status, stamp_ns, skew_ns, values, window_skew, window_values))
    return Frame(index, tick_ns, tuple(samples)), tuple(names)


def decode_value_names(data: bytes) -> dict[str, tuple[str, ...]]:
    """Read a FrameLayout; returns of each stream the names of its values.

    Raises:
        DecodeError: the bytes end early.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    reader.f64()
    reader.skip_bytes()
    names = {}
    for _ in range(reader.u32()):
        stream = reader.text()
        for _ in range(4):  # topic, type, role, policy
            reader.skip_bytes()
        names[stream] = reader.texts()
    return names


def decode_clock_settings(data: bytes) -> list[tuple[str, ClockSetting]]:
    """Read ClockModels; returns the corrections that were applied, with their streams.

    Raises:
        DecodeError: the bytes end early.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    settings = []
    for _ in range(reader.u32()):
        stream, corrected, since_ns = reader.text(), reader.u8(), reader.stamp_ns()
        at_ns, offset_ns = reader.i64(), reader.i64()
        slope, offset_pm, drift_pm = reader.f64(), reader.f64(), reader.f64()
        seconds = reader.u32()
        reader.texts()
        if corrected and seconds:
            estimate = ClockEstimate(at_ns, offset_ns, slope, offset_pm, drift_pm, seconds)
            settings.append((stream, ClockSetting(since_ns, estimate)))
    return settings
