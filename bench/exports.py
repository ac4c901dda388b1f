"""Measures exports: how fast, beside LeRobot's own writer; how true; how much memory.

Six episodes of 8 s with two cameras of 640 x 480, joints, wrenches and a window, in one run. Times are
medians of several runs of ``ExportRun`` in a process that has imported it, as LeRobot's are of its
writer. The reader is LeRobot's own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from dataset_bags import CAMERAS, episode
from figures import RESULTS, SCRATCH, write_results
from support.readers import interpreter, run_reader

from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.lock import read_lock
from robot_recorder.dataset.pool import LocalPool
from robot_recorder.dataset.settings import ExportSettings
from robot_recorder.dataset.video import VideoMode
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import frames_of

FOLDER = SCRATCH / "bench_datasets"
EPISODES, SECONDS, MANY = 6, 8.0, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each export")
    parser.add_argument("--hour", type=float, default=1.0, help="length of the long episode, h")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    paths = [episode(FOLDER / "episodes", n, SECONDS) for n in range(EPISODES)]
    figures: dict[str, float] = {}
    figures |= exports(paths, options.repeats)
    figures |= beside_lerobot(paths, figures)
    figures |= read_by_lerobot()
    figures["frames_differ_from_live"] = differing(paths)
    figures["two_workers_speedup"] = speedup(paths, options.repeats)
    figures["update_of_1_in_1000_s"] = update()
    figures["long_episode_h"] = options.hour
    figures["rss_mb_per_worker"] = memory(options.hour)
    figures["rss_mb_per_worker_of_a_minute"] = memory(1 / 60)
    write_results(RESULTS / "datasets.json", "make bench-datasets", figures)
    print(json.dumps(figures, indent=1))


def exported(target: Path, paths: Sequence[Path], workers: int = 2, **settings: object) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    pool = LocalPool(workers)
    run = ExportRun(target, ExportSettings(**settings), pool)  # type: ignore[arg-type]
    run.run(paths, {}, {})
    pool.close()
    return target


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Return median wall time and CPU time of some runs, s, and the spread of the wall time."""
    walls, cpus = [], []
    for _ in range(repeats):
        began, used = time.monotonic(), spent()
        work()
        walls.append(time.monotonic() - began)
        cpus.append(spent() - used)
    spread = (max(walls) - min(walls)) / statistics.median(walls)
    return statistics.median(walls), statistics.median(cpus), spread


def spent() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def exports(paths: Sequence[Path], repeats: int) -> dict[str, float]:
    """Measure exports with copied and with encoded pictures."""
    length = EPISODES * SECONDS
    exported(FOLDER / "warm", paths[:1])
    copied = timed(lambda: exported(FOLDER / "copied", paths), repeats)
    h264 = timed(
        lambda: exported(FOLDER / "h264", paths, video=VideoMode.H264), max(1, repeats // 2)
    )
    return {
        "copied_x_real_time": length / copied[0], "copied_wall_s": copied[0],
        "copied_cpu_s": copied[1], "copied_spread": copied[2],
        "h264_x_real_time": length / h264[0], "h264_wall_s": h264[0], "h264_cpu_s": h264[1],
        "h264_spread": h264[2],
    }  # fmt: skip


def beside_lerobot(paths: Sequence[Path], ours: dict[str, float]) -> dict[str, float]:
    """Measure LeRobot's own writer on the same frames."""
    import pyarrow.parquet as pq

    frames = FOLDER / "frames"
    frames.mkdir()
    table = pq.read_table(FOLDER / "copied" / "data" / "chunk-000" / "file-000.parquet")
    every = [pq.read_table(p) for p in sorted((FOLDER / "copied" / "data").rglob("*.parquet"))]
    names = [n for n in table.column_names if n.startswith(("observation.", "action"))]
    for number, path in enumerate(paths):
        rows = [t.filter(np.asarray(t["episode_index"]) == number) for t in every]
        whole = next(t for t in rows if len(t))
        arrays = {n: np.array(whole[n].to_pylist(), np.float32) for n in names}
        for camera in CAMERAS:
            arrays[f"observation.images.{camera}"] = chosen(path, camera)
        np.savez(frames / f"episode_{number}.npz", **arrays)  # type: ignore[arg-type]
    command = [str(interpreter("read_lerobot")), str(Path(__file__).parent / "lerobot_writer.py"),
               str(frames), str(FOLDER / "theirs")]  # fmt: skip
    variables = {**os.environ, "HF_HOME": str(FOLDER / "hf"), "HF_HUB_OFFLINE": "1",
                 "PYTHONPATH": str(Path(__file__).parents[1] / "test" / "datasets" / "standin")}  # fmt: skip
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    theirs = json.loads(done.stdout.splitlines()[-1])
    return {
        "lerobot_wall_s": theirs["wall_s"], "lerobot_cpu_s": theirs["cpu_s"],
        "cpu_ratio_lerobot_streaming_over_ours_h264": theirs["cpu_s"] / ours["h264_cpu_s"],
        "wall_ratio_lerobot_streaming_over_ours_copied": theirs["wall_s"] / ours["copied_wall_s"],
    }  # fmt: skip


def chosen(path: Path, camera: str) -> np.ndarray:
    """Return the JPEG files that the frames of an episode chose."""
    from robot_recorder.bags.reader import read_messages
    from robot_recorder.messages.image_messages import encoded_picture

    files = [
        np.frombuffer(encoded_picture(m.data).data, np.uint8)
        for m in read_messages(path, {f"/{camera}/compressed"})
    ]
    numbers = frames_of(Episode.open(path)).column(camera).numbers
    found = np.empty(len(numbers), dtype=object)
    for frame, number in enumerate(numbers.tolist()):
        found[frame] = files[number]
    return found


def read_by_lerobot() -> dict[str, float]:
    """Measure how fast LeRobot's reader reads our export and its own."""
    found = {}
    for name in ("copied", "theirs"):
        said = run_reader("read_lerobot", FOLDER / name, FOLDER / "read.npz", "torchcodec")
        found[f"reader_samples_per_s_{name}"] = said["reads_per_s"]["torchcodec"]
    ratio = found["reader_samples_per_s_copied"] / found["reader_samples_per_s_theirs"]
    return {**found, "reader_samples_per_s_ratio": ratio}


def differing(paths: Sequence[Path]) -> float:
    """Return the number of exported frames that differ from those of the aligner."""
    import pyarrow.parquet as pq

    every = [pq.read_table(p) for p in sorted((FOLDER / "copied" / "data").rglob("*.parquet"))]
    wrong = 0
    for number, path in enumerate(paths):
        rows = next(
            r for t in every if len(r := t.filter(np.asarray(t["episode_index"]) == number))
        )
        frames = frames_of(Episode.open(path))
        names = [i for i, n in enumerate(frames.names("joints")) if n.startswith("position/")]
        state = frames.column("joints").values[:, names].astype(np.float32)
        same = (np.array(rows["observation.state"].to_pylist(), np.float32) == state).all(axis=1)
        status = np.stack([frames.column(s.name).status for s in frames.streams], axis=1)
        same &= (np.array(rows["sync.status"].to_pylist()) == status).all(axis=1)
        wrong += int((~same).sum()) + abs(len(rows) - len(status))
    return float(wrong)


def speedup(paths: Sequence[Path], repeats: int) -> float:
    """Return how many times faster two workers encode than one."""
    size = sum(f.stat().st_size for p in paths for f in p.iterdir())
    settings = {"video": VideoMode.H264, "shard_bytes": size // len(paths) + 1}
    walls = []
    for workers in (1, 2):
        work = partial(exported, FOLDER / "two", paths, workers, **settings)
        walls.append(timed(work, max(1, repeats // 2))[0])
    return walls[0] / walls[1]


def update() -> float:
    """Return how long one new episode beside a thousand takes, s."""
    root = FOLDER / "many"
    paths = [episode(root, n, 1.0) for n in range(8)]
    every = []
    for n in range(MANY + 1):
        copy = root / f"copy_{n:04d}"
        copy.mkdir()
        for file in paths[n % len(paths)].iterdir():
            os.link(file, copy / file.name)
        every.append(copy)
    target = exported(FOLDER / "many_set", every[:MANY])
    began = time.monotonic()
    ExportRun(target, ExportSettings(), LocalPool(2)).run(every, {}, {}, read_lock(target))
    return time.monotonic() - began


def memory(hours: float) -> float:
    """Return the largest memory of a process that exports a long episode, MB."""
    shutil.rmtree(FOLDER / "long_set", ignore_errors=True)
    long = episode(FOLDER / f"long_{hours:.3f}", 0, 3600 * hours)
    code = """
import sys
from pathlib import Path
from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.pool import LocalPool
from robot_recorder.dataset.settings import ExportSettings
ExportRun(Path(sys.argv[1]), ExportSettings(), LocalPool(1)).run([Path(sys.argv[2])], {}, {})
print(next(x.split()[1] for x in open("/proc/self/status") if x.startswith("VmHWM")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER / "long_set"), str(long)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout) * 1.024e-3


if __name__ == "__main__":
    main()
