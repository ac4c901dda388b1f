"""How well the simulated robot does its tasks, and whether it holds real time meanwhile: `make bench-sim`.

Successes are counted over seeds, with the causes of failures. Real time is measured with all streams and
three cameras at 15 Hz: the share of it that the simulation did not give up. Each task is recorded, too, and
the verdicts of takes that succeeded are counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from figures import RESULTS, write_results
from std_msgs.msg import String
from support.robot import LATCHED, RecorderClient, process

from robot_recorder.catalogue.entry import entry_of
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import Outcome
from robot_recorder.sim.model import PLACES, build_model
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import TASKS, draw, tasks_of
from robot_recorder.srv import PerformTask

_SETTLE_STEPS = 100
_CAMERAS = "head_camera,left_wrist_camera,right_wrist_camera"


def attempts(task: str, seeds: range, cache: str) -> dict[str, Any]:
    """Return how the attempts of a task went: causes, durations, speed of the physics."""
    robot = Robot(build_model(Path(cache), TASKS[task].place))
    causes: Counter[str] = Counter()
    simulated_s, began = [], time.process_time()
    for seed in seeds:
        robot.reset(draw(task, seed))
        robot.begin()
        while not robot.done:
            robot.step()
        for _ in range(_SETTLE_STEPS):
            robot.step()
        simulated_s.append(robot.time_s)
        causes[robot.outcome().cause or "success"] += 1
    return {
        "causes": dict(causes),
        "success": causes["success"] / len(seeds),
        "longest_s": max(simulated_s),
        "times_real_time": sum(simulated_s) / (time.process_time() - began),
    }


def real_time(place: str, cache: str) -> dict[str, float]:
    """Perform a place's tasks in real time; return the share that was held, and pictures left out."""
    results: list[dict[str, Any]] = []
    with (
        RecorderClient("bench") as client,
        process("sim_robot", place=place, cache=cache, cameras=_CAMERAS),
    ):
        client.node.create_subscription(
            String, "sim/result", lambda m: results.append(json.loads(m.data)), LATCHED
        )
        began, before = time.monotonic(), 0.0
        for task in (tasks_of(place)[0], *tasks_of(place)):
            assert client.call(PerformTask, "sim/perform", task=task, seed=0).success
            client.wait(task, lambda: bool(results) and results[-1]["state"] == "done", 90)
            if not before:  # the first of a run warms up
                began, before = time.monotonic(), results[-1]["real_time_given_up_ms"]
                left_out = results[-1]["pictures_left_out"]
            results.append({"state": "asked"})
        done = [result for result in results if result["state"] == "done"][-1]
    given_up_s = (done["real_time_given_up_ms"] - before) / 1e3
    return {
        "real_time_share": 1 - given_up_s / (time.monotonic() - began),
        "pictures_left_out": done["pictures_left_out"] - left_out,
    }


def verdicts(place: str, root: Path) -> dict[str, int]:
    """Record each task of a place; return how many successful takes had which verdict and reason."""
    demo = Path(sys.prefix) / "lib/robot_recorder/demo"
    command = [sys.executable, str(demo), "--root", str(root), "--place", place]
    episodes = len(tasks_of(place))
    subprocess.run([*command, "--episodes", str(episodes)], check=True, capture_output=True)
    entries = [entry_of(Episode.open(path.parent)) for path in root.glob("*/metadata.yaml")]
    good = [entry for entry in entries if entry.outcome is Outcome.SUCCESS]
    return dict(Counter(f"{e.verdict.text} {e.reason}".strip() for e in good))


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "sim.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        for place in PLACES:
            build_model(Path(cache), place)
        paces = {place: real_time(place, cache) for place in PLACES}
        takes = {place: verdicts(place, Path(cache) / "episodes" / place) for place in PLACES}
        with ProcessPoolExecutor(options.processes) as pool:
            seeds = range(options.seeds)
            futures = {task: pool.submit(attempts, task, seeds, cache) for task in TASKS}
            done = {task: future.result() for task, future in futures.items()}
    figures: dict[str, float | None] = {
        f"success_{t}": found["success"] for t, found in done.items()
    }
    figures["tasks_from_60_to_95_percent"] = sum(0.6 <= f["success"] <= 0.95 for f in done.values())
    figures["gave_up"] = sum(found["causes"].get("unfinished", 0) for found in done.values())
    for place, pace in paces.items():
        figures |= {f"{name}_{place}": value for name, value in pace.items()}
    for verdict in ("accept", "review", "reject"):
        counts = (n for take in takes.values() for v, n in take.items() if v.startswith(verdict))
        figures[f"good_takes_{verdict}"] = sum(counts)
    for task, found in done.items():
        print(f"{task:18} {found['success']:.0%}  {found['causes']}")
    print(json.dumps({"real_time": paces, "verdicts_of_successes": takes}, indent=1))
    write_results(
        options.out, f"make bench-sim (seeds {options.seeds})", figures, tasks=done, verdicts=takes
    )


if __name__ == "__main__":
    main()
