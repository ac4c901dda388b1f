"""A hundred light robots under faults, and what an agent costs its robot: is anything lost, and how soon is it heard?

make bench-floor ARGS="--minutes 15"; ARGS=--quick for two minutes that only show that it works
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import floor_database
import numpy as np
import rclpy
import yaml
from figures import RESULTS, SCRATCH, write_results
from floor_jobs import jobs_figures
from processes import cpu_s, publishing, recording
from recorder import SETTLE_S, Operator
from support.large_centre import large_centre
from support.postgres import postgres

from robot_recorder.cli.processes import ended
from robot_recorder.configuration.find import load_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.sim.faults import LinkState, SimFault
from robot_recorder.floor.sim.floor import SimFloor, SimSettings, plain_run
from robot_recorder.floor.sim.inspector import SimInspector
from robot_recorder.floor.sim.own_centre import OwnCentre
from robot_recorder.floor.sim.take import TakeReplay, draw_facts, task_choice
from robot_recorder.floor.sim.template import draw_template
from robot_recorder.floor.store import open_store

LINK_BYTES_PER_S = 4e6
LARGE_TAKE = 24_000_000
BACKLOG_TAKES_PER_S = 3  # so that an agent at full speed has something to send to the end


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(values, 95))


@contextmanager
def centre_for(folder: Path, engines: str) -> Iterator[OwnCentre]:
    """Run a centre on SQLite and a directory, or on PostgreSQL and radosgw."""
    with ExitStack() as stack:
        if engines == "embedded":
            yield stack.enter_context(OwnCentre(folder / "centre", with_users=True))
        else:
            yield stack.enter_context(large_centre(folder, with_users=True))


def hundred(options: argparse.Namespace) -> dict[str, Any]:
    """Let many robots record while things break; count everything."""
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="floor") as name:
        folder = Path(name)
        settings = SimSettings(
            folder=folder, robots=options.robots, per_process=options.per_process,
            seconds=options.minutes * 60, pace_s=options.pace, seed=options.seed,
            faults=tuple(SimFault), faults_per_minute=options.faults_per_minute, drain_s=1200,
        )  # fmt: skip
        with centre_for(folder, options.engines) as centre, SimFloor(settings, centre) as floor:
            run = floor.run()
    return {**plain_run(run), "heard_s": run.heard_s, "left_out": floor.left_out}


def calm(options: argparse.Namespace) -> dict[str, Any]:
    """Let robots record and an inspector review while nothing breaks; return how soon the centre is."""
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="floor") as name:
        folder = Path(name)
        settings = SimSettings(
            folder=folder, robots=options.robots, per_process=options.per_process,
            seconds=max(30.0, options.minutes * 12), pace_s=options.pace, seed=options.seed, drain_s=600,
        )  # fmt: skip
        with centre_for(folder, options.engines) as centre, SimFloor(settings, centre) as floor:
            word = centre.passwords["inspector"]
            with SimInspector(centre.url, "inspector", word, options.seed, 0.3) as inspector:
                floor.start()
                seconds = floor.watch()
            run = floor.end(seconds)
    assert run.account.wrong == 0, run.account.complaints
    return {
        "heard_s": run.heard_s,
        "next_ms": inspector.next_ms,
        "decided": inspector.decided,
        "labels_met": run.account.labels,
    }


def record_takes(root: Path, robot: str, takes: int, folder: Path) -> int:
    """Record large takes; return the bytes of their data."""
    replay = TakeReplay(draw_template(folder / "large", least_bytes=LARGE_TAKE))
    tasks, rng, store = task_choice(load_tasks().tasks), random.Random(1), open_store(root)
    size = 0
    for number in range(takes):
        start_ns = time.time_ns() - (takes - number) * 10 * 10**9
        path = replay.record(store, draw_facts(rng, robot, ("ann",), tasks, start_ns))
        size += sum(f.stat().st_size for f in path.glob("*.mcap"))
    return size


def upload_share(takes: int) -> float:
    """Return the share of a throttled link that an agent uses for data, until all is sent."""
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="floor") as name:
        folder = Path(name)
        settings = SimSettings(folder=folder, robots=1, pace_s=1, free_after_s=1e6)
        with OwnCentre(folder / "centre") as centre, SimFloor(settings, centre) as floor:
            group = floor.groups[0]
            (robot,) = group.robots
            size = record_takes(Path(robot.root), robot.robot, takes, folder)
            group.link.set(LinkState.DEAD)
            floor.start(recording=False)
            time.sleep(5)  # it hashes, and finds no way
            before, began = group.link.passed[0], time.monotonic()
            group.link.set(LinkState.SLOW, bytes_per_s=LINK_BYTES_PER_S)
            while group.link.passed[0] - before < size:
                time.sleep(0.02)
            took_s = time.monotonic() - began
    return size / took_s / LINK_BYTES_PER_S


@contextmanager
def agent(root: Path, folder: Path, centre: OwnCentre, while_recording: str) -> Iterator[int]:
    """Run a robot's agent as a process; yield its id."""
    token = folder / "token"
    token.write_text(centre.token("hall", "bench") + "\n")
    token.chmod(0o600)
    plain = {
        "centre": centre.url, "site": "hall", "robot": "bench", "token": str(token),
        "public_keys": list(centre.publics), "while_recording": while_recording, "keep_days": "never",
    }  # fmt: skip
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(plain))
    command = ["robot-recorder", "agent", str(root), "--config", str(path)]
    with open(folder / "agent.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with ended(process):
        time.sleep(4)
        assert process.poll() is None, (folder / "agent.log").read_text()
        yield process.pid


def while_recording(seconds: float, mode: str) -> dict[str, float]:
    """Record a humanoid's load; return losses of the recorder and the agent's share of a core.

    Args:
        seconds: of recording.
        mode: none: without an agent; else what the agent does with its backlog meanwhile.
    """
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="floor") as name, ExitStack() as stack:
        folder = Path(name)
        root = folder / "episodes"
        recorder = stack.enter_context(recording("humanoid", folder))
        sender = stack.enter_context(publishing("humanoid"))
        pid = 0
        if mode != "none":
            record_takes(root, "bench", 10 + round(seconds * BACKLOG_TAKES_PER_S), folder)
            centre = stack.enter_context(OwnCentre(folder / "centre"))
            pid = stack.enter_context(agent(root, folder, centre, mode))
        operator = Operator()
        operator.wait()
        sender.wait_for_readers()
        operator.start(force=True, pre_roll_s=0.0)
        before = cpu_s(pid) if pid else 0.0
        stored = stored_bytes(folder)
        sent = sender.send(seconds)
        used = cpu_s(pid) - before if pid else 0.0
        stored = stored_bytes(folder) - stored
        time.sleep(SETTLE_S)
        stopped = operator.stop()
        operator.close()
        del recorder
        episode = Episode.open(Path(stopped.path))
        lost = sum(sent.values()) - sum(episode.counts.get(topic, 0) for topic in sent)
        return {
            "lost": lost,
            "agent_cpu_share": used / seconds * 100,
            "sent_mb_per_s": stored / seconds / 1e6,
        }


def stored_bytes(folder: Path) -> int:
    """Return the bytes in a centre's storage, uploads that are not complete included."""
    return sum(
        path.stat().st_size for path in (folder / "centre/storage").rglob("*") if path.is_file()
    )


def engines(rows: int) -> dict[str, float]:
    """Return the figures of catalogue and jobs on PostgreSQL; the catalogue's at two sizes, for their slope.

    Args:
        rows: of the larger catalogue; the smaller has a third.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg_bench_", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "server") as server:
            small = floor_database.measure(server.new_database(), floor_database.Sizes(rows // 3))
            large = floor_database.measure(server.new_database(), floor_database.Sizes(rows))
            figures = large | jobs_figures(server.new_database())
    finally:
        shutil.rmtree(folder)
    for name in ("centre_query_ms_p95", "insert_ms_p50"):
        slope = (large[name] - small[name]) / (large["database_rows"] - small["database_rows"])
        figures[f"{name}_slope_per_million"] = slope * 1e6
        figures[f"{name}_at_60m"] = large[name] + max(0.0, slope) * (60e6 - large["database_rows"])
    return figures


def measure(options: argparse.Namespace) -> tuple[dict[str, float], dict[str, Any]]:
    """Return all figures, and the data behind them."""
    rclpy.init()
    run = hundred(options)
    quiet = calm(options)
    shares = [upload_share(options.takes) for _ in range(options.repeats)]
    modes = ("none", "pause", "send")
    costs = {
        m: [while_recording(options.seconds, m) for _ in range(options.repeats)] for m in modes
    }
    rclpy.try_shutdown()
    figures: dict[str, float] = {
        "episodes_sent": run["recorded"],
        **{name: run[name] for name in ("acknowledged", "discarded", "lost", "doubled", "damaged", "freed", "labels",
                                        "labels_lost", "labels_differ", "freed_without_receipt")},
        "faults_injected": sum(run["faults"].values()),
        "metadata_to_centre_s_p95": p95(quiet["heard_s"]),
        "metadata_to_centre_under_faults_s_p95": p95(run.pop("heard_s")),
        "review_next_ms_p95": p95(quiet["next_ms"]),
        "review_decisions": quiet["decided"],
        "upload_x_link": statistics.median(shares),
        "agent_cpu_share": statistics.median(c["agent_cpu_share"] for c in costs["pause"]),
        "agent_cpu_share_while_sending": statistics.median(c["agent_cpu_share"] for c in costs["send"]),
        "sent_while_recording_mb_per_s": statistics.median(c["sent_mb_per_s"] for c in costs["send"]),
        "recorder_lost_without_agent": sum(c["lost"] for c in costs["none"]),
        "recorder_lost_while_agent_pauses": sum(c["lost"] for c in costs["pause"]),
        "recorder_lost_while_uploading": sum(c["lost"] for c in costs["send"]),
    }  # fmt: skip
    if options.rows:
        figures |= engines(options.rows)
    return figures, {"run": run, "upload_x_link_runs": shares, "recording_runs": costs}


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a short run, whose figures mean little"
    )
    parser.add_argument("--minutes", type=float, default=15, help="of recording under faults")
    parser.add_argument("--robots", type=int, default=100)
    parser.add_argument("--per-process", type=int, default=25)
    parser.add_argument(
        "--pace", type=float, default=36, help="s from one take of a robot to the next"
    )
    parser.add_argument("--faults-per-minute", type=float, default=20)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--engines", choices=("embedded", "large"), default="large")
    parser.add_argument(
        "--seconds", type=float, default=30, help="of each recording beside an agent"
    )
    parser.add_argument("--takes", type=int, default=5, help="of 24 MB over the throttled link")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--rows", type=int, default=6_000_000, help="of the catalogue; 0: no database and no jobs"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "floor.json")
    options = parser.parse_args()
    if options.quick:
        quick = {"minutes": 0.5, "robots": 20, "per_process": 5, "pace": 5.0, "seconds": 5.0, "takes": 1,
                 "repeats": 1, "rows": 60_000}  # fmt: skip
        vars(options).update(quick)
    SCRATCH.mkdir(exist_ok=True)
    figures, data = measure(options)
    words = (
        "--quick"
        if options.quick
        else f"--minutes {options.minutes:g} --robots {options.robots} --pace {options.pace:g}"
    )
    write_results(options.out, f'make bench-floor ARGS="{words}"', figures, **data)
    for name, value in figures.items():
        print(f"{name:42} {value:12.3f}")


if __name__ == "__main__":
    main()
