"""Counts defects found and good takes rejected over takes of all shipped profiles, and costs."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from figures import RESULTS, SCRATCH, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table
from robot_cost import aligning, decoding, recording
from support.robot_bags import write_take
from support.robot_defects import defects
from support.robot_truth import errors
from support.robot_zoo import TAKES, make_take, profile_of
from support.samples import T0

from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.check import check_episode
from robot_recorder.quality.verdict import QualityReport, Verdict

CONSOLE = Console(width=150)
FOLDER = SCRATCH / "robot_takes"


@dataclass(frozen=True)
class Checked:
    """What the checks said of one take.

    Attributes:
        profile: name of the profile.
        defect: what was planted; empty: nothing.
        found: whether it was named; of a good take, whether it was accepted.
        verdict: the verdict.
        reasons: the checks that were given as reasons.
        error: of a good take, the largest error of its values, as a share of what is tolerated.
    """

    profile: str
    defect: str
    found: bool
    verdict: Verdict
    reasons: str
    error: float = 0.0


def try_take(name: str, seed: int, number: int) -> Checked:
    """Check a take.

    Args:
        name: of the profile.
        seed: of the take.
        number: which defect is planted; -1: none.
    """
    take = make_take(name, seed)
    planted = list(defects(take))[number] if number >= 0 else None
    if planted is not None:
        planted.plant(take)
    path = FOLDER / f"{name}_{seed}_{number}"
    shutil.rmtree(path, ignore_errors=True)
    try:
        write_take(take, path)
        report: QualityReport = check_episode(path, profile_of(name)).report
        reasons = ", ".join(report.reasons)
        if planted is not None:
            return Checked(name, planted.name, planted.found(report), report.verdict, reasons)
        aligned = frames_of(Episode.open(path), profile=profile_of(name))
        error = max(errors(take, aligned, T0).values(), default=0.0)
        return Checked(name, "", report.verdict is Verdict.ACCEPT, report.verdict, reasons, error)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def measure(names: list[str], seeds: int) -> list[Checked]:
    """Check good takes, and takes with every defect alone."""
    jobs = [
        (name, 1 + seed, number)
        for name in names
        for seed in range(seeds)
        for number in range(-1, len(list(defects(make_take(name)))))
    ]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.map(try_take, *zip(*jobs))
        return list(track(done, "checking takes", total=len(jobs), console=CONSOLE))


def show(results: list[Checked]) -> None:
    """Print one line per profile, and what was missed."""
    table = Table(title="takes of robots and devices")
    for heading in ("profile", "good takes accepted", "largest error / tolerance", "defects found"):
        table.add_column(heading)
    for name in dict.fromkeys(r.profile for r in results):
        mine = [r for r in results if r.profile == name]
        good, bad = [r for r in mine if not r.defect], [r for r in mine if r.defect]
        table.add_row(
            name, f"{sum(r.found for r in good)} of {len(good)}", f"{max(r.error for r in good):.2f}",
            f"{sum(r.found for r in bad)} of {len(bad)}",
        )  # fmt: skip
    CONSOLE.print(table)
    for missed in (r for r in results if not r.found):
        what = f"missed {missed.defect}" if missed.defect else "not accepted"
        CONSOLE.print(f"{missed.profile}: {what}: {missed.verdict.value}: {missed.reasons}")


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", default=list(TAKES), help="default: all")
    parser.add_argument("--seeds", type=int, default=2, help="takes of each profile")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of an episode whose CPU counts"
    )
    parser.add_argument("--runs", type=int, default=5, help="episodes whose CPU counts")
    parser.add_argument("--out", type=Path, default=RESULTS / "robots.json")
    options = parser.parse_args()
    costs = {**decoding(), **recording(options.seconds, options.runs), **aligning()}
    CONSOLE.print(costs)
    results = measure(options.profiles, options.seeds)
    show(results)
    good, bad = [r for r in results if not r.defect], [r for r in results if r.defect]
    figures = {
        "profiles": len({r.profile for r in results}),
        "defects_found": sum(r.found for r in bad),
        "defects_total": len(bad),
        "good_takes": len(good),
        "good_accepted": sum(r.found for r in good),
        "good_rejected": sum(r.verdict is Verdict.REJECT for r in good),
        "largest_error_of_tolerance": max(r.error for r in good),
        **costs,
    }
    write_results(options.out, "make bench-robots", figures)
    CONSOLE.print(figures)


if __name__ == "__main__":
    main()
