"""The fault zoo: every defect, at the severities at which it must be found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.model.check_result import Level
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.sim.defects import (
    COMMANDS,
    HEAD,
    JOINTS,
    WRIST,
    Defect,
    Tape,
    during,
    lose,
    shift_stamps,
)
from robot_recorder.sim.fault_zoo_cameras import cameras
from robot_recorder.sim.fault_zoo_sensors import joints, pads, wrenches

WARN, FAIL = Level.WARN, Level.FAIL
Change = Callable[[np.ndarray, np.ndarray], np.ndarray]


def zoo() -> list[Defect]:
    """Return all defects."""
    return [*cameras(), *_timing(), *_clocks(), *joints(), *wrenches(), *pads(), *_whole()]


def _thin(tape: Tape, stream: str, keep: int, of: int) -> None:
    tape.set(stream, [m for number, m in enumerate(tape.of(stream)) if number % of < keep])


def _silence(tape: Tape, stream: str, begin_s: float, length_s: float) -> None:
    seconds = tape.seconds(stream)
    silent = during(seconds, begin_s, length_s)
    tape.set(stream, [m for m, gone in zip(tape.of(stream), silent) if not gone])


def _timing() -> list[Defect]:
    found = [
        Defect(
            "stream missing",
            stream,
            "stream_missing",
            stream,
            FAIL,
            lambda t, s=stream: t.set(s, []),
        )
        for stream in (HEAD, JOINTS, "left_wrench", "right_tactile")
    ]
    for stream, length_s, level in (
        (JOINTS, 0.15, WARN), (JOINTS, 0.5, FAIL), (JOINTS, 1.0, FAIL), (COMMANDS, 1.0, FAIL),
        ("left_tactile", 0.5, FAIL), (HEAD, 1.0, FAIL), ("imu", 1.0, FAIL),
    ):  # fmt: skip
        found.append(
            Defect("stream silent", f"{length_s:g} s", "gap", stream, level,
                   lambda t, s=stream, n=length_s: _silence(t, s, 2.0, n))
        )  # fmt: skip
    found.append(
        Defect(
            "stream dies",
            "after 5 s",
            "gap",
            "right_wrench",
            FAIL,
            lambda t: _silence(t, "right_wrench", 5, 99),
        )
    )
    for stream, keep, of, level in (
        (HEAD, 4, 5, WARN), (HEAD, 1, 2, FAIL), ("left_wrench", 1, 2, FAIL), ("imu", 9, 10, WARN), ("imu", 1, 4, FAIL),
        (JOINTS, 2, 5, FAIL),
    ):  # fmt: skip
        found.append(
            Defect("wrong rate", f"{keep}/{of}", "rate", stream, level,
                   lambda t, s=stream, k=keep, n=of: _thin(t, s, k, n))
        )  # fmt: skip
    found += [
        Defect(
            "losses",
            f"{share:.1%}",
            "losses",
            stream,
            level,
            lambda t, s=stream, n=share: lose(t, s, n),
        )
        for stream, share, level in (
            ("left_wrench", 0.005, WARN),
            (JOINTS, 0.03, FAIL),
            (HEAD, 0.1, FAIL),
        )
    ]
    return found


def _clocks() -> list[Defect]:
    found = [
        Defect("clock ahead", f"{ms} ms", "clock_future", stream, FAIL,
               lambda t, s=stream, m=ms: t.restamp(s, shift_stamps(m)))
        for stream, ms in ((HEAD, 60), (WRIST, 60), (JOINTS, 20), ("left_tactile", 100))
    ]  # fmt: skip
    found += [
        Defect("clock behind", f"{ms} ms", "clock_delay", stream, level,
               lambda t, s=stream, m=ms: t.restamp(s, shift_stamps(-m)))
        for stream, ms, level in ((HEAD, 60, WARN), (WRIST, 60, WARN), (HEAD, 300, FAIL), (JOINTS, 100, WARN))
    ]  # fmt: skip
    found += [
        Defect("clock drifts", f"{ppm} ppm", "clock_drift", stream, WARN,
               lambda t, s=stream, p=ppm: t.restamp(s, lambda ns, sec: ns - round(sec * p * 1000)))
        for stream, ppm in (("imu", 500), ("left_wrench", 1000))
    ]  # fmt: skip
    found += [
        Defect("clock jumps", "0.4 s back", "clock_jump", "right_wrench", WARN,
               lambda t: t.restamp("right_wrench", lambda ns, sec: ns - NS_PER_S * 4 // 10 * (sec > 4))),
        Defect("repeated stamps", "half of them", "repeated_stamps", "imu", FAIL, _repeat_stamps),
        Defect("frames late", "every third camera picture for 3 s", "skew", HEAD, WARN,
               lambda t: t.set(HEAD, [m for n, (m, s) in enumerate(zip(t.of(HEAD), t.seconds(HEAD)))
                                      if not 2 < s < 5 or n % 3 == 0])),
    ]  # fmt: skip
    return found


def _repeat_stamps(tape: Tape) -> None:
    messages = tape.of("imu")
    stamps = [header_stamp_ns(data) for _, data in messages]
    again = iter(stamps[number // 2 * 2] for number in range(len(stamps)))
    tape.restamp("imu", lambda ns, sec: next(again))


def _whole() -> list[Defect]:
    def cut(seconds: float):  # type: ignore[no-untyped-def]
        def apply(tape: Tape) -> None:
            end_ns = tape.start_ns + round(seconds * NS_PER_S)
            tape.facts["stop_ns"] = str(end_ns)
            tape.messages = {
                t: [m for m in all if m[0] <= end_ns] for t, all in tape.messages.items()
            }

        return apply

    def still(tape: Tape) -> None:
        for stream in (JOINTS, COMMANDS):
            tape.edit(stream, lambda seconds, values: _at_rest(values))

    def fact(name: str, value: str):  # type: ignore[no-untyped-def]
        return lambda tape: tape.facts.update({name: value})

    def earlier(seconds: float):  # type: ignore[no-untyped-def]
        return lambda tape: _rest(tape, seconds, first=True)

    return [
        Defect("too short", "3 s", "too_short", "", WARN, cut(3.0)),
        Defect("too short", "1.5 s", "too_short", "", FAIL, cut(1.5)),
        Defect("never moved", "throughout", "never_moved", "", FAIL, still),
        Defect("aborted", "disk error", "incomplete", "", FAIL, fact("error", "No space left on device")),
        Defect("cut short", "by the maximum length", "incomplete", "", WARN, fact("stop_reason", "max_length")),
        Defect("idle head", "5 s", "idle_head", "", WARN, earlier(5.0)),
        Defect("idle tail", "5 s", "idle_tail", "", WARN, lambda tape: _rest(tape, 5.0, first=False)),
        Defect("too long", "20 s of rest", "too_long", "", WARN, lambda tape: _rest(tape, 20.0, first=False)),
    ]  # fmt: skip


def _at_rest(values: np.ndarray) -> np.ndarray:
    """Return the first row with encoder noise."""
    noise = np.random.default_rng(4).normal(0, 1e-5, values.shape)
    return values[:1] + noise


def _rest(tape: Tape, seconds: float, first: bool) -> None:
    """Repeat half a second at rest before the start, or after the end.

    Args:
        tape: the episode.
        seconds: length of the rest.
        first: before the start; False: after the end.
    """
    stop_ns = int(tape.facts["stop_ns"])
    length_ns, times = NS_PER_S // 2, round(seconds * 2)
    begin_ns = tape.start_ns - length_ns if first else stop_ns - length_ns
    for stream, topic in tape.topics.items():
        messages = tape.messages.get(topic, [])
        if len(messages) < 5:
            continue
        loop = [m for m in messages if begin_ns <= m[0] < begin_ns + length_ns]
        sign = -1 if first else 1
        again = [
            (at + sign * k * length_ns, _moved(data, sign * k * length_ns))
            for k in range(1, times + 1)
            for at, data in loop
        ]
        tape.set(stream, sorted([*messages, *again]))
    for stream in (JOINTS, COMMANDS):
        tape.edit(stream, _hold_still(begin_ns, length_ns, first, tape.start_ns))
    if first:
        tape.start_ns -= times * length_ns
        tape.facts["start_ns"] = str(tape.start_ns)
    else:
        tape.facts["stop_ns"] = str(stop_ns + times * length_ns)


def _hold_still(begin_ns: int, length_ns: int, first: bool, start_ns: int) -> Change:
    """Return a change that holds one pose during the repeated time."""
    edge_s = (begin_ns - start_ns) / NS_PER_S + (length_ns / NS_PER_S if first else 0.0)

    def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
        still = seconds < edge_s if first else seconds > edge_s
        pose = values[still][-1:] if first else values[still][:1]
        values[still] = pose + np.random.default_rng(4).normal(0, 1e-5, values[still].shape)
        return values

    return change


def _moved(data: bytes, by_ns: int) -> bytes:
    sec, nanosec = divmod(header_stamp_ns(data) + by_ns, NS_PER_S)
    return (
        data[:4]
        + sec.to_bytes(4, "little", signed=True)
        + nanosec.to_bytes(4, "little")
        + data[12:]
    )
