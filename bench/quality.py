"""Measures whether defects are found and good episodes accepted, how soon, and at what cost."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import quality_load
import rclpy
from figures import RESULTS, SCRATCH, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from robot_recorder.cli.tables import Console as VisibleConsole
from robot_recorder.demo import Operator, node_process
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import RecorderError
from robot_recorder.offline.check import inspect_episode
from robot_recorder.quality.verdict import Verdict
from robot_recorder.sim.defects import Tape
from robot_recorder.sim.fault_zoo import zoo

CONSOLE = Console(width=150)
ZOO = SCRATCH / "zoo"
_ROUNDED = 1e-3  # figures in custom_data are rounded
_TASKS = ("lift_box", "carry_tray")


def record(count: int) -> list[Path]:
    """Record good episodes of the simulated robot at work, with the real nodes."""
    root = ZOO / "good"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with (
        node_process("sim_robot", ZOO / "sim.log", {"cache": str(SCRATCH / "sim")}),
        node_process("record", ZOO / "record.log", {"root": str(root)}),
    ):
        operator = Operator()
        operator.wait("all streams to arrive", operator.all_streams_arrive, 120)
        quiet = VisibleConsole(quiet=True)
        for number in track(range(count), "recording good episodes", console=CONSOLE):
            operator.attempt(_TASKS[number % len(_TASKS)], 10 + number, quiet)
        operator.destroy_node()
    return EpisodeStore(root).paths()


@dataclass(frozen=True)
class Found:
    """The result of the checks for one defect in one episode."""

    number: int
    found: bool
    named: str
    verdict: Verdict


def try_defect(number: int, path: Path, copy: int) -> Found:
    """Put a defect into an episode and check it."""
    defect = zoo()[number]
    bad = ZOO / "bad" / f"{number}_{copy}"
    tape = Tape.read(path)
    defect.apply(tape)
    try:
        report = inspect_episode(Episode.open(tape.write(bad)))
    finally:
        shutil.rmtree(bad, ignore_errors=True)
    hits = [r for r in report.findings if r.check == defect.check and r.stream == defect.stream]
    found = bool(hits) and hits[0].level >= defect.level
    rejected = report.verdict is not Verdict.ACCEPT
    return Found(number, found and rejected, ", ".join(report.reasons), report.verdict)


def measure_zoo(good: list[Path], copies: int) -> list[Found]:
    """Check every defect in several good episodes."""
    shutil.rmtree(ZOO / "bad", ignore_errors=True)
    (ZOO / "bad").mkdir(parents=True)
    jobs = [
        (number, good[(number * copies + copy * 7) % len(good)], copy)
        for number in range(len(zoo()))
        for copy in range(copies)
    ]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.map(try_defect, *zip(*jobs))
        return list(track(done, "checking bad episodes", total=len(jobs), console=CONSOLE))


def show_zoo(results: list[Found]) -> None:
    """Print one line per defect."""
    table = Table(title="fault zoo")
    for heading in (
        "defect",
        "severity",
        "stream",
        "to be found by",
        "as",
        "found",
        "reasons given",
    ):
        table.add_column(heading)
    for number, defect in enumerate(zoo()):
        mine = [r for r in results if r.number == number]
        found = sum(r.found for r in mine)
        style = "green" if found == len(mine) else "red"
        table.add_row(
            defect.name, defect.severity, defect.stream, defect.check, defect.level.name.lower(),
            f"[{style}]{found} of {len(mine)}", mine[0].named,
        )  # fmt: skip
    CONSOLE.print(table)


def measure_good(good: list[Path]) -> tuple[list[Verdict], int]:
    """Check good episodes again; return verdicts, and how many differ from those at the stop."""
    verdicts, differ = [], 0
    for path in track(good, "checking good episodes", console=CONSOLE):
        episode = Episode.open(path)
        report = inspect_episode(episode)
        at_stop = {(r.check, r.stream): r for r in episode.quality.results}
        again = {(r.check, r.stream): r for r in report.results}
        differ += at_stop.keys() != again.keys() or any(
            r.level is not again[key].level or not abs(r.figure - again[key].figure) < _ROUNDED
            for key, r in at_stop.items()
        )
        verdicts.append(report.verdict)
        for result in report.findings:
            CONSOLE.print(
                f"  {path.name}: {result.level.name.lower()} {result.check}: {result.sentence}"
            )
    return verdicts, differ


def load_figures(load: dict[str, Any]) -> dict[str, float]:
    """Return the figures of the load."""
    return {
        "verdict_ms_p50": statistics.median(load["verdict_ms"]),
        "verdict_ms_p95": float(np.percentile(load["verdict_ms"], 95)),
        "check_cpu_share": load["check_cpu_share"],
    }


def measure_load_again(options: argparse.Namespace) -> None:
    """Measure CPU and latency again, and keep the zoo's figures of an earlier run."""
    before = json.loads(options.out.read_text())
    load = quality_load.measure(options.seconds, options.repeats, options.stops)
    rclpy.shutdown()
    figures = {**before["figures"], **load_figures(load)}
    for name, value in figures.items():
        CONSOLE.print(f"{name:24} {value:.3f}")
    again = f"; then --only-load, seconds {options.seconds:g}, repeats {options.repeats}, stops {options.stops}"
    command = before["command"].partition("; then")[0] + again
    write_results(options.out, command, figures, missed=before["missed"], load=load)


def main() -> None:
    """Run all measurements, print tables, write results/quality.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=24, help="number of good episodes to record")
    parser.add_argument(
        "--copies", type=int, default=2, help="number of good episodes for each defect"
    )
    parser.add_argument("--seconds", type=float, default=30, help="length of each load")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--stops", type=int, default=15)
    parser.add_argument(
        "--only-load", action="store_true", help="keep the zoo's figures as they are"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "quality.json")
    options = parser.parse_args()
    ZOO.mkdir(parents=True, exist_ok=True)
    rclpy.init()
    if options.only_load:
        measure_load_again(options)
        return
    try:
        good = record(options.good)
    except RecorderError as error:
        raise SystemExit(f"no good episodes: {error}; see the logs in {ZOO}") from error
    verdicts, differ = measure_good(good)
    results = measure_zoo(good, options.copies)
    show_zoo(results)
    load = quality_load.measure(options.seconds, options.repeats, options.stops)
    rclpy.shutdown()
    counts = Counter(v.text for v in verdicts)
    figures = {
        "defects_found": sum(r.found for r in results),
        "defects_total": len(results),
        "good_rejected": counts["reject"],
        "good_reviewed": counts["review"],
        "good_total": len(verdicts),
        "good_differ_offline": differ,
        **load_figures(load),
    }
    for name, value in figures.items():
        CONSOLE.print(f"{name:24} {value:.3f}")
    missed = [f"{zoo()[r.number].name}, {zoo()[r.number].severity}" for r in results if not r.found]
    command = (
        f"make bench-quality (good {options.good}, copies {options.copies}, seconds {options.seconds:g}, "
        f"repeats {options.repeats}, stops {options.stops})"
    )
    write_results(options.out, command, figures, missed=missed, load=load)
    shutil.rmtree(ZOO)


if __name__ == "__main__":
    main()
