"""Defects of joints, forces and touch."""

from __future__ import annotations

import numpy as np

from robot_recorder.model.check_result import Level
from robot_recorder.sim.defects import BEGIN_S, COMMANDS, JOINTS, Defect, Tape, during, hold

WARN, FAIL = Level.WARN, Level.FAIL


def joints() -> list[Defect]:
    """Return defects of joints: jumps, freezes, NaN, limits, wrong tracking, undecodable bytes."""

    def glitch(size: float, times: int):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            for number in range(times):
                values[int(len(seconds) * (0.3 + 0.1 * number)), 15] += size
            return values

        return change

    def nan(count: int):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            values[1000 : 1000 + count, 3] = np.nan
            return values

        return change

    def offset(size: float):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            values[:, _moving(values)] += size
            return values

        return change

    def stuck(begin_s: float, length_s: float):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            inside = np.flatnonzero(during(seconds, begin_s, length_s))
            joint = _moving(values[inside])
            values[inside, joint] = values[inside[0], joint]
            return values

        return change

    found = [
        Defect("joint jump", f"{size:g} rad, {times} times", "joint_jump", JOINTS, level,
               lambda t, s=size, n=times: t.edit(JOINTS, glitch(s, n)))
        for size, times, level in ((0.1, 1, WARN), (0.3, 1, WARN), (0.3, 3, FAIL), (1.0, 5, FAIL))
    ]  # fmt: skip
    found += [
        Defect("joints frozen", f"{length_s:g} s", "frozen", JOINTS, level,
               lambda t, n=length_s: t.edit(JOINTS, hold(BEGIN_S, n)))
        for length_s, level in ((0.5, WARN), (1.2, FAIL), (3.0, FAIL))
    ]  # fmt: skip
    found += [
        Defect("one joint stuck", f"{length_s:g} s", "joint_frozen", JOINTS, level,
               lambda t, n=length_s: t.edit(JOINTS, stuck(BEGIN_S, n)))
        for length_s, level in ((0.6, WARN), (1.5, FAIL))
    ]  # fmt: skip
    found += [
        Defect("not a number", "1 sample", "not_a_number", JOINTS, FAIL, lambda t: t.edit(JOINTS, nan(1))),
        Defect("not a number", "50 samples", "not_a_number", "left_wrench", FAIL,
               lambda t: t.edit("left_wrench", nan(50))),
        Defect("not a number", "1 sample", "not_a_number", COMMANDS, FAIL, lambda t: t.edit(COMMANDS, nan(1))),
        Defect("beyond limits", "0.1 rad", "joint_limits", JOINTS, WARN, lambda t: t.edit(JOINTS, _beyond(0.1))),
        Defect("beyond limits", "0.5 rad", "joint_limits", JOINTS, FAIL, lambda t: t.edit(JOINTS, _beyond(0.5))),
        Defect("late following", "250 ms", "tracking_lag", JOINTS, WARN, lambda t: _late(t, 0.25)),
        Defect("late following", "400 ms", "tracking_lag", JOINTS, FAIL, lambda t: _late(t, 0.4)),
        Defect("off its command", "0.35 rad", "tracking_error", JOINTS, WARN, lambda t: t.edit(JOINTS, offset(0.35))),
        Defect("off its command", "0.8 rad", "tracking_error", JOINTS, FAIL, lambda t: t.edit(JOINTS, offset(0.8))),
        Defect("undecodable", "every tenth", "undecodable", JOINTS, FAIL,
               lambda t: t.set(JOINTS, [(at, d if n % 10 else d[:200]) for n, (at, d) in enumerate(t.of(JOINTS))])),
    ]  # fmt: skip
    return found


def _moving(values: np.ndarray) -> int:
    """Return the index of the joint that moves most."""
    return int(np.argmax(np.ptp(values[:, : values.shape[1] // 3], axis=0)))


def _beyond(by: float):  # type: ignore[no-untyped-def]
    """Return a change that slowly bends the first knee beyond its lower limit of -0.087267 rad."""

    def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
        bump = np.exp(-((seconds - 3) ** 2))
        values[:, 3] = values[:, 3] * (1 - bump) + bump * (-0.087267 - by)
        return values

    return change


def _late(tape: Tape, by_s: float) -> None:
    """Move commands ahead, so that they are followed late."""

    def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(seconds + by_s, seconds, column) for column in values.T], axis=1)

    tape.edit(COMMANDS, change)


def wrenches() -> list[Defect]:
    """Return wrenches with bias, clipping and spikes, and frozen ones."""

    def bias(size: float):  # type: ignore[no-untyped-def]
        return lambda seconds, values: values + np.array([size, 0, 0, 0, 0, 0])

    def clip(share: float):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            most = share * np.abs(values[:, :3]).max(axis=0)
            values[:, :3] = np.clip(values[:, :3], -most, most)
            return values

        return change

    def spikes(size: float, times: int):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            values[np.linspace(600, len(values) - 600, times).astype(int), 1] += size
            return values

        return change

    found = [
        Defect("force bias", f"{size:g} N", "wrench_bias", stream, level,
               lambda t, w=stream, s=size: t.edit(w, bias(s)))
        for stream, size, level in (
            ("left_wrench", 4, WARN), ("left_wrench", 10, FAIL), ("right_wrench", 10, FAIL), ("right_wrench", -30, FAIL))
    ]  # fmt: skip
    found += [
        Defect("clipped force", f"at {share:.0%}", "wrench_clipping", "left_wrench", FAIL,
               lambda t, s=share: t.edit("left_wrench", clip(s)))
        for share in (0.6, 0.4, 0.2)
    ]  # fmt: skip
    found += [
        Defect("force frozen", f"{length_s:g} s", "frozen", stream, level,
               lambda t, w=stream, n=length_s: t.edit(w, hold(BEGIN_S, n)))
        for stream, length_s, level in (("left_wrench", 0.5, WARN), ("left_wrench", 1.2, FAIL), ("right_wrench", 99, FAIL))
    ]  # fmt: skip
    found += [
        Defect("force spikes", f"{size:g} N, {times} times", "wrench_spikes", "right_wrench", level,
               lambda t, s=size, n=times: t.edit("right_wrench", spikes(s, n)))
        for size, times, level in ((60, 1, WARN), (60, 6, FAIL), (300, 10, FAIL))
    ]  # fmt: skip
    return found


def pads() -> list[Defect]:
    """Return pads that are dead, stuck, saturated, frozen or never touched."""

    def dead(count: int, reading: float):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            values[:, 5 : 5 + count] = reading
            return values

        return change

    def saturated(length_s: float):  # type: ignore[no-untyped-def]
        def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
            rate = (len(seconds) - 1) / (seconds[-1] - seconds[0])
            highest = np.sort(values.max(axis=1))
            return np.minimum(values, highest[-round(length_s * rate)])

        return change

    def untouched(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.random.default_rng(2).normal(0, 30, values.shape)

    left, right = "left_tactile", "right_tactile"
    found = [
        Defect("dead taxels", str(count), "taxels_dead", pad, level,
               lambda t, p=pad, n=count: t.edit(p, dead(n, 0.0)))
        for pad, count, level in ((left, 1, WARN), (left, 2, FAIL), (right, 4, FAIL))
    ]  # fmt: skip
    found += [
        Defect("stuck taxels", str(count), "taxels_stuck", pad, level,
               lambda t, p=pad, n=count: t.edit(p, dead(n, 8000.0)))
        for pad, count, level in ((left, 1, WARN), (right, 3, FAIL))
    ]  # fmt: skip
    found += [
        Defect("saturated taxels", f"{length_s:g} s", "taxels_saturated", pad, FAIL,
               lambda t, p=pad, n=length_s: t.edit(p, saturated(n)))
        for pad, length_s in ((left, 0.5), (right, 1.0), (left, 2.0))
    ]  # fmt: skip
    found += [
        Defect("pad frozen", "1.2 s", "frozen", left, FAIL, lambda t: t.edit(left, hold(BEGIN_S, 1.2))),
        Defect("never touched", "one pad", "never_touched", "", FAIL, lambda t: t.edit(left, untouched)),
        Defect("never touched", "both pads", "never_touched", "", FAIL,
               lambda t: (t.edit(left, untouched), t.edit(right, untouched), None)[-1]),
    ]  # fmt: skip
    return found
