"""Measures how well streams are aligned, against the truth and other methods.

Run by ``make bench-alignment``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bags import humanoid_bag
from baselines import latest_at_timer, real_message_filters, within_slop
from figures import RESULTS, SCRATCH, write_results
from geometry_msgs.msg import WrenchStamped
from processes import child
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import CompressedImage, JointState
from synthetic import NS, T0, Recorded, Source, Truth, sample

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.frames import Frames, SampleStatus
from robot_recorder.cli.processes import node_command
from robot_recorder.clocks.clock_model import ClockModel
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.streams import FrameClock, Policy, Role
from robot_recorder.offline.align import align_episode, join_frames
from robot_recorder.offline.plan import make_plan

CONSOLE = Console(width=150)
SOURCES = (
    Source("joints", JointState, 500, Policy.LINEAR, transport_s=0.0005, jitter_s=0.0008),
    Source("command", JointState, 50, Policy.PREVIOUS, Role.ACTION, transport_s=0.002),
    Source("wrench", WrenchStamped, 500, Policy.LINEAR, offset_s=-0.035, drift_ppm=100,
           transport_s=0.002, jitter_s=0.002),
    Source("head_camera", CompressedImage, 30, Policy.NEAREST, readout_s=0.030,
           readout_spread_s=0.0005, believed_s=0.028, transport_s=0.008,
           jitter_s=0.005, lost=0.02, outage_s=(20.0, 21.5)),
    Source("wrist_camera", CompressedImage, 30, Policy.NEAREST, offset_s=0.045, drift_ppm=-100,
           readout_s=0.020, readout_spread_s=0.0005, believed_s=0.0215, transport_s=0.010, jitter_s=0.005, lost=0.02),
)  # fmt: skip
CAMERA = 3  # index of the frame's picture
SETTLED_S = 6.0  # time until device clocks are known; errors are measured after it
WRONG_NS = 5_000_000
SLOP_NS = 50_000_000
DEADLINE_NS = 250_000_000
BATCH_NS = 10_000_000


def record(
    sources: tuple[Source, ...], seconds: float, seed: int
) -> tuple[list[Recorded], list[Truth | None]]:
    """Return what a recorder would have received, and the truth."""
    rng = np.random.default_rng(seed)
    joints = Truth.draw(rng, 7)
    truths: list[Truth | None] = []
    for source in sources:
        if source.kind is JointState:
            truths.append(joints)
        else:
            truths.append(Truth.draw(rng, 6) if source.kind is WrenchStamped else None)
    return [sample(s, t, seconds, rng) for s, t in zip(sources, truths)], truths


def ours(streams: list[Recorded], clock: FrameClock) -> tuple[Frames, Aligner, float]:
    """Feed the aligner as if live, 10 ms at a time; also return CPU seconds per frame."""
    parts: list[Frames] = []
    aligner = Aligner([s.source.config for s in streams], clock, DEADLINE_NS, parts.append)
    at = [0] * len(streams)
    began = time.process_time()
    for now in range(T0, int(max(s.receives[-1] for s in streams)) + BATCH_NS, BATCH_NS):
        for number, stream in enumerate(streams):
            end = int(np.searchsorted(stream.receives, now, "left"))
            first, at[number] = at[number], end
            if end > first:
                part = slice(first, end)
                aligner.push(number, stream.stamps[part].tolist(), stream.receives[part].tolist(),
                             stream.payloads[part])  # fmt: skip
        aligner.advance(now)
    aligner.finish()
    took = time.process_time() - began
    frames = join_frames(parts, aligner)
    return frames, aligner, took / max(len(frames), 1)


def settled(times: np.ndarray) -> np.ndarray:
    """Return which times are late enough for clocks to be known."""
    return times >= T0 + round(SETTLED_S * NS)


def wrong_frames(streams: list[Recorded], frames: Frames) -> int:
    """Count frames with a value that is called good but was sampled at another time."""
    wrong = np.zeros(len(frames), dtype=bool)
    for stream, column in zip(streams, frames.columns):
        good = column.status <= SampleStatus.INTERPOLATED
        true = stream.true[np.maximum(column.numbers, 0)]
        far = np.abs(true - frames.ticks) > stream.source.config.tolerance_ns + WRONG_NS
        wrong |= good & (far | (np.abs(true - column.stamps) > WRONG_NS))
    return int(wrong.sum())


def joint_errors(truth: Truth, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return float64[frames, joints], rad: distance from the true positions at these times."""
    return values - truth.at(times)


def judge(
    camera: Recorded,
    truth: Truth,
    numbers: np.ndarray,
    values: np.ndarray,
    wrong: int,
    cpu_s: float,
) -> dict[str, float]:
    """Compare one method's joints with their true positions when the picture was exposed.

    Args:
        camera: the pictures.
        truth: of the joints.
        numbers: indices of the pictures in the frames.
        values: joint positions in the frames.
        wrong: number of wrong frames.
        cpu_s: per frame.
    """
    exposed = camera.true[numbers]
    error = np.abs(joint_errors(truth, values, exposed))[settled(exposed)]
    return {
        "frames": len(numbers),
        "lost": len(camera.true) - len(np.unique(numbers)),
        "wrong": wrong,
        "rms": float(np.sqrt((error**2).mean())),
        "p95": float(np.percentile(error, 95)),
        "max": float(error.max()),
        "cpu_us": cpu_s * 1e6,
    }


def against_others(seeds: int, seconds: float) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Run all three methods on the same input; a frame's time is the exposure of its picture."""
    rows: dict[str, list[dict[str, float]]] = {
        "latest at a timer": [],
        "within a slop": [],
        "ours": [],
    }
    for seed in range(seeds):
        streams, truths = record(SOURCES, seconds, seed)
        camera, joints, truth = streams[CAMERA], streams[0], truths[0]
        assert truth is not None

        ticks = T0 + (np.arange(seconds * 30) * NS / 30).astype(np.int64)
        began = time.process_time()
        latest = latest_at_timer(streams, ticks)
        cpu = (time.process_time() - began) / len(ticks)
        chosen, at = latest[(latest >= 0).all(axis=1)], ticks[(latest >= 0).all(axis=1)]
        taken = np.stack([s.true[c] for s, c in zip(streams, chosen.T)], axis=1)
        limits = np.array([s.source.config.tolerance_ns for s in streams]) + WRONG_NS
        wrong = int((np.abs(taken - at[:, None]) > limits).any(axis=1).sum())
        values = joints.values[chosen[:, 0]]
        rows["latest at a timer"].append(
            judge(camera, truth, chosen[:, CAMERA], values, wrong, cpu)
        )

        began = time.process_time()
        pairs = within_slop(streams, 100, SLOP_NS)
        cpu = (time.process_time() - began) / max(len(pairs), 1)
        real = real_message_filters(streams, 100, SLOP_NS) if seed == 0 else None
        if real is not None:
            same = len(real) == len(pairs) and bool((real == pairs).all())
            CONSOLE.print(
                f"the real ApproximateTimeSynchronizer gives the same {len(real)} frames: {same}"
            )
        taken = np.stack([s.true[c] for s, c in zip(streams, pairs.T)], axis=1)
        wrong = int((np.ptp(taken, axis=1) > SLOP_NS).sum())
        values = joints.values[pairs[:, 0]]
        rows["within a slop"].append(judge(camera, truth, pairs[:, CAMERA], values, wrong, cpu))

        frames, _, cpu = ours(streams, FrameClock(None, "head_camera"))
        good = (frames.columns[0].status <= SampleStatus.INTERPOLATED) & (
            frames.columns[CAMERA].status == SampleStatus.FRESH
        )
        numbers, values = frames.columns[CAMERA].numbers[good], frames.columns[0].values[good]
        wrong = wrong_frames(streams, frames)
        rows["ours"].append(judge(camera, truth, numbers, values, wrong, cpu))
    means = {
        name: {k: statistics.median(run[k] for run in runs) for k in runs[0]}
        for name, runs in rows.items()
    }
    table = Table(
        title=f"joints at the instant of the picture, {seeds} runs of {seconds:g} s (medians)"
    )
    table.add_column("method")
    for heading in ("frames", "pictures without frame", "wrong without notice", "error rms mrad", "p95 mrad",
                    "max mrad", "CPU us/frame"):  # fmt: skip
        table.add_column(heading, justify="right")
    for name, m in means.items():
        table.add_row(
            name, f"{m['frames']:.0f}", f"{m['lost']:.0f}", f"{m['wrong']:.0f}", f"{1e3 * m['rms']:.3f}",
            f"{1e3 * m['p95']:.3f}", f"{1e3 * m['max']:.3f}", f"{m['cpu_us']:.0f}",
        )  # fmt: skip
    CONSOLE.print(table)
    figures = {
        "wrong_without_notice": float(max(run["wrong"] for run in rows["ours"])),
        "p95_error_ratio_latest_over_ours": means["latest at a timer"]["p95"]
        / means["ours"]["p95"],
        "p95_error_ratio_slop_over_ours": means["within a slop"]["p95"] / means["ours"]["p95"],
        "cpu_us_per_frame": means["ours"]["cpu_us"],
    }
    return figures, [{"method": n, **m} for n, m in means.items()]


def at_a_rate(seeds: int, seconds: float) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Measure frames at 30 Hz: errors against the truth at the tick, also when clocks are set."""
    ratios, wrong, rows = [], [], []
    for seed in range(seeds):
        streams, truths = record(SOURCES, seconds, 100 + seed)
        frames, _, _ = ours(streams, FrameClock(30.0))
        wrong.append(wrong_frames(streams, frames))
        late = settled(frames.ticks)
        for number, (stream, truth) in enumerate(zip(streams, truths)):
            column = frames.columns[number]
            good = late & (column.status <= SampleStatus.INTERPOLATED)
            stamp_ms = np.abs(column.stamps - stream.true[column.numbers])[good] / 1e6
            row: dict[str, Any] = {
                "stream": stream.source.name, "seed": seed, "frames": len(frames),
                "not_good": int((column.status > SampleStatus.INTERPOLATED)[late].sum()),
                "stamp_error_ms_p95": float(np.percentile(stamp_ms, 95)), "stamp_error_ms_max": float(stamp_ms.max()),
                "skew_ms_p95": float(np.percentile(np.abs(column.skews[good]), 95)) / 1e6,
                "skew_ms_max": float(np.abs(column.skews[good]).max()) / 1e6,
            }  # fmt: skip
            if truth is not None and stream.source.policy is Policy.LINEAR:
                errors = joint_errors(truth, column.values[good], frames.ticks[good])
                ideal = np.stack(
                    [
                        np.interp(frames.ticks[good] - T0, stream.true - T0, v)
                        for v in stream.values.T
                    ],
                    axis=1,
                )
                best = joint_errors(truth, ideal, frames.ticks[good])
                row["rms"] = float(np.sqrt((errors**2).mean()))
                row["max"] = float(np.abs(errors).max())
                row["ratio_to_ideal"] = row["rms"] / float(np.sqrt((best**2).mean()))
                if number == 0:
                    ratios.append(row["ratio_to_ideal"])
            rows.append(row)
        set_clocks = tuple(
            replace(s, set_at_s=30.3, set_by_s=0.5 if s.name == "wrench" else -0.5)
            if s.device
            else s
            for s in SOURCES
        )
        streams, _ = record(set_clocks, seconds, 200 + seed)
        frames, aligner, _ = ours(streams, FrameClock(30.0))
        wrong.append(wrong_frames(streams, frames))
        reported = [
            len(lane.clock.model.events)
            for lane in aligner.lanes
            if lane.config.name in ("wrench", "wrist_camera")
        ]
        assert all(reported), "a clock that was set must be reported"
    table = Table(
        title=f"ticks of 30 Hz, {seeds} runs (first shown); also with clocks set by half a second"
    )
    for heading in (
        "stream",
        "not good",
        "stamp error ms p95 / max",
        "skew ms p95 / max",
        "error rms / max (rad, N)",
        "/ ideal",
    ):
        table.add_column(heading, justify="left" if heading == "stream" else "right")
    for row in rows[: len(SOURCES)]:
        error = f"{row['rms']:.2e} / {row['max']:.2e}" if "rms" in row else "-"
        table.add_row(
            row["stream"], str(row["not_good"]), f"{row['stamp_error_ms_p95']:.3f} / {row['stamp_error_ms_max']:.3f}",
            f"{row['skew_ms_p95']:.2f} / {row['skew_ms_max']:.2f}", error,
            f"{row['ratio_to_ideal']:.3f}" if "ratio_to_ideal" in row else "-",
        )  # fmt: skip
    CONSOLE.print(table)
    figures = {"joint_rms_ratio_to_ideal": max(ratios), "wrong_without_notice": float(max(wrong))}
    return figures, rows


def clocks(runs: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Measure offset and drift after 30 s, over rates, offsets, drifts and kinds of jitter."""
    rng = np.random.default_rng(7)
    every: list[np.ndarray] = []
    kinds = {
        "exponential 2 ms": lambda n: rng.exponential(0.002, n),
        "half normal 1 ms": lambda n: np.abs(rng.normal(0, 0.001, n)),
        "gamma 4 ms": lambda n: rng.gamma(2, 0.002, n),
        "exponential 2 ms, bursts of 100 ms": lambda n: (
            rng.exponential(0.002, n)
            + np.where(np.arange(n) % max(n // 5, 1) < n // 50, rng.uniform(0, 0.1, n), 0)
        ),
    }
    rows: list[dict[str, Any]] = []
    for name, jitter in kinds.items():
        for rate in (30, 100, 500):
            errors = np.array([_clock_error(rate, jitter, rng) for _ in range(runs)])
            every.append(np.abs(errors))
            rows.append(
                {
                    "jitter": name,
                    "rate_hz": rate,
                    "offset_error_ms": float(np.abs(errors[:, 0]).max()),
                    "drift_error_ppm": float(np.abs(errors[:, 1]).max()),
                    "inside_95": float((np.abs(errors[:, 1]) <= errors[:, 2]).mean()),
                }
            )
    table = Table(
        title=f"clock of a device after 30 s: worst of {runs} runs (offset +-50 ms, drift +-150 ppm)"
    )
    for heading in (
        "jitter",
        "rate Hz",
        "offset error ms",
        "drift error ppm",
        "drift inside its interval",
    ):
        table.add_column(heading, justify="left" if heading == "jitter" else "right")
    for row in rows:
        table.add_row(row["jitter"], str(row["rate_hz"]), f"{row['offset_error_ms']:.3f}",
                      f"{row['drift_error_ppm']:.2f}", f"{row['inside_95']:.0%}")  # fmt: skip
    CONSOLE.print(table)
    together = np.concatenate(every)
    return {
        "offset_error_ms": float(np.percentile(together[:, 0], 95)),
        "drift_error_ppm": float(np.percentile(together[:, 1], 95)),
        "offset_error_ms_worst": float(together[:, 0].max()),
        "drift_error_ppm_worst": float(together[:, 1].max()),
    }, rows


def _clock_error(
    rate_hz: float, jitter: Any, rng: np.random.Generator
) -> tuple[float, float, float]:
    count = int(30 * rate_hz)
    times = np.arange(count) / rate_hz + rng.uniform(0, 1)
    offset_s, drift, shortest_s = rng.uniform(-0.05, 0.05), rng.uniform(-150, 150), 0.003
    stamps = T0 + ((times * (1 + drift * 1e-6) - offset_s) * NS).astype(np.int64)
    receives = T0 + ((times + shortest_s + jitter(count)) * NS).astype(np.int64)
    model = ClockModel(True)
    model.push(stamps, np.maximum.accumulate(receives))
    model.end()
    found = model.estimate
    assert found is not None
    own_s = (found.at_ns - T0) / 1e9
    truth_s = (own_s + offset_s) / (1 + drift * 1e-6) - own_s + shortest_s
    return found.offset_ns / 1e6 - truth_s * 1e3, found.drift_ppm - drift, found.drift_pm_ppm


def offline(seconds: float, repeats: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Align a bag of the humanoid load at 30 Hz; pictures are not decoded."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / "humanoid"
        messages = humanoid_bag(path, seconds)
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            episode = Episode.open(path)
            plan = make_plan(episode)
            found = align_episode(episode, plan, FrameClock(30.0))
            times.append(time.perf_counter() - began)
        speeds = [seconds / t for t in times]
    CONSOLE.print(
        f"offline: {messages} messages, {seconds:g} s of the humanoid load, {len(found.frames)} frames: "
        f"{statistics.median(speeds):.0f} x real time ({min(speeds):.0f} to {max(speeds):.0f}); "
        f"{found.certificate.summary}"
    )
    return {"offline_x_real_time": statistics.median(speeds)}, [{"seconds": s} for s in times]


def live(seconds: float) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Measure the time from a tick to its frame in another process, with real nodes."""
    command = [sys.executable, str(Path(__file__).with_name("frame_latency.py")), str(seconds)]
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        cache = SCRATCH / "sim"
        with (
            child(*node_command("sim_robot", {"cache": cache})),
            child(*node_command("record", {"root": Path(folder)})),
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    tick, last, frames, complete = (float(x) for x in done.stdout.split()[-4:])
    CONSOLE.print(
        f"live, simulated robot: {frames:.0f} frames, {complete:.1%} complete, {tick:.1f} ms from tick to frame, "
        f"{last:.1f} ms from the last sample it waits for (p95); slowest stream 15 Hz: 66.7 ms"
    )
    return {
        "frame_latency_ms_p95": tick, "after_last_sample_ms_p95": last, "slowest_period_ms": 1000 / 15,
    }, []  # fmt: skip


def recordings(paths: list[Path]) -> list[dict[str, Any]]:
    """Align real recordings at several rates."""
    rows = []
    for path in paths:
        for rate in (25.0, 30.0, 100.0):
            episode = Episode.open(path)
            plan = make_plan(episode)
            found = align_episode(episode, plan, FrameClock(rate))
            rows.append({"bag": path.name, "rate_hz": rate, **_short(found.certificate)})
            CONSOLE.print(f"{path.name}: {found.certificate.summary}")
    return rows


def _short(certificate: Certificate) -> dict[str, Any]:
    keys = (
        "measured_hz",
        "longest_gap_ms",
        "skew_p95_ms",
        "skew_max_ms",
        "held",
        "missing",
        "drift_ppm",
    )
    streams = certificate.to_dict()["streams"]
    return {
        "frames": certificate.frames,
        "complete": certificate.complete,
        "streams": {name: {k: s[k] for k in keys} for name, s in streams.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of five")
    parser.add_argument(
        "--bag", type=Path, nargs="*", default=[], help="real recordings to align as well"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "alignment.json")
    options = parser.parse_args()
    SCRATCH.mkdir(exist_ok=True)
    seeds, seconds, runs = (1, 40.0, 5) if options.quick else (5, 60.0, 40)
    figures: dict[str, float] = {}
    tables: dict[str, Any] = {}
    for name, part in (
        ("against_others", lambda: against_others(seeds, seconds)),
        ("at_a_rate", lambda: at_a_rate(seeds, seconds)),
        ("clocks", lambda: clocks(runs)),
        ("offline", lambda: offline(20.0 if options.quick else 60.0, 3 if options.quick else 7)),
        ("live", lambda: live(10.0 if options.quick else 30.0)),
    ):
        found, tables[name] = part()
        worse = max(
            figures.get("wrong_without_notice", 0.0), found.get("wrong_without_notice", 0.0)
        )
        figures |= found
        figures["wrong_without_notice"] = worse
    tables["recordings"] = recordings(options.bag)
    write_results(options.out, "make bench-alignment", figures, tables=tables)
    CONSOLE.print({k: round(v, 3) for k, v in figures.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
