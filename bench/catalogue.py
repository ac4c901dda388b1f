"""Measures how fast a catalogue of millions answers, counts and updates: ``make bench-catalogue``.

The catalogue is generated: a year of a floor with a hundred robots, two shifts a day, tasks of the
shipped registry, drawn from a fixed seed. Measured are the calls of the command line and the
recorder, with the file in the system's cache, as on a machine in use.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from figures import RESULTS, SCRATCH, write_results
from floor import generate
from rich.console import Console
from rich.table import Table

from robot_recorder.alignment.certificate import Certificate, StreamCertificate
from robot_recorder.bags.metadata import (
    BagSummary,
    build_metadata,
    topic_metadata,
    write_metadata,
)
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.schema import DAY_NS, FILE
from robot_recorder.catalogue.sync import sync
from robot_recorder.episodes.facts import label_facts
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import BagTopic
from robot_recorder.quality.verdict import Verdict

CONSOLE = Console(width=130)
LIMIT = 50  # default of the command line


# -- questions


def kinds() -> list[tuple[str, ...]]:
    """Return every combination of criteria."""
    asked = ("task", "robot", "operator", "outcome", "verdict", "dates", "length")
    return [kind for n in range(len(asked) + 1) for kind in itertools.combinations(asked, n)]


def question(kind: tuple[str, ...], some: Entry, other: Entry, rng: random.Random) -> Filter:
    """Return a random filter of a kind.

    Args:
        kind: its criteria.
        some: an episode whose values it asks for, so that something matches.
        other: another episode; half of the questions take a value from it, and most of those match
            nothing.
        rng: source of randomness.
    """
    pick = (lambda: some) if rng.random() < 0.5 else (lambda: rng.choice((some, other)))
    words = ("task", "robot", "operator", "outcome", "verdict")
    filter = Filter(**{word: getattr(pick(), word) for word in words if word in kind})
    if "outcome" in kind and rng.random() < 0.5:  # most episodes are accepted successes
        filter = replace(filter, outcome=rng.choice(list(Outcome)))
    if "verdict" in kind and rng.random() < 0.5:
        filter = replace(filter, verdict=rng.choice(list(Verdict)))
    if "dates" in kind:
        first = pick().start_ns // DAY_NS
        days = round(350 ** rng.random())
        since, until = first * DAY_NS, (first + days) * DAY_NS
        choice = rng.randrange(3)
        filter = replace(
            filter, since_ns=None if choice == 0 else since, until_ns=None if choice == 1 else until
        )
    if "length" in kind:
        low = round(pick().duration_ms * 4 ** rng.uniform(-1, 1))
        choice = rng.randrange(3)
        filter = replace(
            filter,
            longer_ms=None if choice == 0 else low,
            shorter_ms=None if choice == 1 else 2 * low,
        )
    return filter


def ask(catalogue: Catalogue, each: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Answer like ``robot-recorder episodes``: the newest 50 and the total number."""
    rng = random.Random(2)
    all_keys = range(1, catalogue.episodes() + 1)
    lines: list[dict[str, Any]] = []
    pooled: list[float] = []
    empty = 0
    for kind in kinds():
        times = []
        for _ in range(each):
            some, other = catalogue.entries(rng.choices(all_keys, k=2))
            filter = question(kind, some, other, rng)
            began = time.perf_counter()
            query = Query(catalogue, filter)
            found = list(query.newest(LIMIT))
            matching = query.count()
            times.append(1000 * (time.perf_counter() - began))
            assert len(found) == min(matching, LIMIT), filter
            empty += not matching
        pooled += times
        lines.append({"kind": " ".join(kind) or "everything", **spread(times)})
    lines.sort(key=lambda line: -line["p95"])
    table = Table(
        title=f"ms to answer, {each} random questions of each of {len(lines)} kinds; the slowest"
    )
    for heading in ("asked for", "p50", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "asked for" else "right")
    for line in [*lines[:15], {"kind": "all kinds", **spread(pooled)}]:
        table.add_row(line["kind"], *(f"{line[k]:.1f}" for k in ("p50", "p95", "max")))
    CONSOLE.print(table)
    figures = {f"query_ms_{k}": v for k, v in spread(pooled).items()}
    worst_kind = {"query_ms_p95_worst_kind": lines[0]["p95"]}
    return {**figures, **worst_kind, "queries": len(pooled), "queries_empty": empty}, lines


def spread(times: list[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum."""
    return {
        "p50": round(statistics.median(times), 3),
        "p95": round(float(np.percentile(times, 95)), 3),
        "max": round(max(times), 3),
    }


# -- changes


def changes(catalogue: Catalogue, number: int) -> dict[str, float]:
    """Measure new, relabelled and discarded episodes, one per transaction as in the recorder.

    The new ones include episodes that are copied there a year late.
    """
    rng = random.Random(3)
    total = catalogue.episodes()
    entries = list(dict.fromkeys(catalogue.entries(rng.choices(range(1, total + 1), k=number))))
    last_ns = next(catalogue.entries([total])).start_ns
    new = [
        replace(e, name=f"{e.name}-{i}", start_ns=last_ns + i * 4 * NS_PER_S)
        for i, e in enumerate(entries)
    ]
    old = [replace(e, name=f"{e.name}-old", start_ns=e.start_ns + 1) for e in entries]
    other = {Outcome.SUCCESS: Outcome.FAILURE}
    again = [replace(e, outcome=other.get(e.outcome, Outcome.SUCCESS)) for e in entries]
    table = Table(
        title=f"ms a change of one episode, each its own transaction, {len(entries)} of each"
    )
    for heading in ("change", "p50", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "change" else "right")
    figures: dict[str, float] = {}
    for name, work, items in (
        ("insert", catalogue.put, new),
        ("insert_old", catalogue.put, old),
        ("relabel", catalogue.put, again),
        ("remove", catalogue.remove, [e.name for e in new]),
    ):
        times = [changed(catalogue, work, item) for item in items]
        figures |= {f"{name}_ms_{k}": v for k, v in spread(times).items()}
        table.add_row(name.replace("_", " "), *(f"{v:.2f}" for v in spread(times).values()))
    CONSOLE.print(table)
    return figures


def changed(catalogue: Catalogue, work: Callable[[Any], None], item: Any) -> float:
    """Return the duration of a change, ms."""
    began = time.perf_counter()
    with catalogue.writing():
        work(item)
    return 1000 * (time.perf_counter() - began)


# -- statistics and rebuilding


def stats(root: Path, runs: int) -> dict[str, float]:
    """Measure the whole command in its own process: start, counting, tables."""
    code = "import sys; from robot_recorder.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "stats", str(root)]
    took: dict[str, list[float]] = {"stats_s": [], "stats_from_disk_s": []}
    for name, times in took.items():
        for _ in range(runs):
            if name == "stats_from_disk_s":
                forget(root / FILE)
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True, cwd="/")
            times.append(time.monotonic() - began)
    figures = {name: statistics.median(times) for name, times in took.items()}
    CONSOLE.print(
        f"robot-recorder stats, start of the process included: {figures['stats_s']:.2f} s "
        f"({', '.join(f'{t:.2f}' for t in took['stats_s'])}); {figures['stats_from_disk_s']:.2f} s with "
        "nothing of the file in the system's cache"
    )
    return figures


def forget(path: Path) -> None:
    """Ask the system to drop a file from its cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rebuild(folder: Path, episodes: int) -> dict[str, float]:
    """Rebuild from directories like ``robot-recorder catalogue --rebuild``, then with one more."""
    root = folder / "bags"
    root.mkdir()
    with Catalogue(folder) as full:
        entries = list(full.entries(range(1, episodes + 2)))
    for entry in entries[:-1]:
        humanoid_metadata(root / entry.name, entry)
    began = time.monotonic()
    with Catalogue(root) as catalogue:
        assert sync(catalogue).read == len(entries) - 1 and not catalogue.unreadable()
        rebuilt_s = time.monotonic() - began
        humanoid_metadata(root / entries[-1].name, entries[-1])
        began = time.monotonic()
        assert sync(catalogue).read == 1
        figures = {
            "rebuild_per_s": (len(entries) - 1) / rebuilt_s,
            "sync_one_new_ms": 1000 * (time.monotonic() - began),
        }
        began = time.monotonic()
        assert sync(catalogue, thorough=True).read == 0
        figures["sync_thorough_us_per_episode"] = 1e6 * (time.monotonic() - began) / len(entries)
    CONSOLE.print(
        f"rebuilt from {len(entries) - 1} directories: {figures['rebuild_per_s']:.0f} a second on "
        f"{os.cpu_count()} cores; one more found in {figures['sync_one_new_ms']:.1f} ms"
    )
    return figures


def humanoid_metadata(path: Path, entry: Entry) -> None:
    """Write an episode's metadata as far as the catalogue reads it: 30 topics, 12 aligned."""
    path.mkdir()
    topics = [
        topic_metadata(BagTopic(f"/robot/stream_{i}/data", "sensor_msgs/msg/JointState", (OfferedQos(),),
                                "RIHS01_" + "0" * 64))
        for i in range(30)
    ]  # fmt: skip
    counts = {t["name"]: entry.messages // 30 for t in topics}
    stream = StreamCertificate(
        "/robot/stream/data", "linear", 10, 100, 99.9, 1000, 0, 12.3, 0, 0, 0.0, "robot", 1.2, 0.1, 0.3,
        0.2, (), 0.0, 1.1, 2.2, 3.3, 4.4, 0, entry.complete, 0, entry.frames - entry.complete,
    )  # fmt: skip
    certificate = Certificate(
        30.0, "", entry.frames, entry.complete, {f"s{i}": stream for i in range(12)}
    )
    events = [
        LabelEvent(entry.start_ns, entry.id, LabelKind.TASK, task=entry.task, instruction="Do it.",
                   operator_name=entry.operator),
        LabelEvent(entry.stop_ns, entry.id, LabelKind.OUTCOME, outcome=entry.outcome, cause=entry.cause),
    ]  # fmt: skip
    lost = {"dds": 0, "ring": 0, "queue": 0, "writer": 0}
    facts = {
        "episode_id": entry.id, "robot": entry.robot, "start_ns": str(entry.start_ns),
        "stop_ns": str(entry.stop_ns), **label_facts(events), "sync": json.dumps(certificate.to_dict()),
        "streams": json.dumps({name: {"written": n, "lost": lost} for name, n in counts.items()}),
        "verdict": entry.verdict.text, "quality": json.dumps({"reasons": [entry.reason]}),
        "profile_yaml": "streams:\n" + 30 * "  joints: {topic: joints, role: observation, rate_hz: 500}\n",
    }  # fmt: skip
    summary = BagSummary("0.mcap", entry.start_ns, entry.stop_ns, list(counts.values()))
    write_metadata(path, build_metadata(topics, summary, facts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=6_000_000)
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS / "catalogue.json")
    options = parser.parse_args()
    SCRATCH.mkdir(exist_ok=True)
    load_before = [round(load, 2) for load in os.getloadavg()]  # caused by others
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="catalogue_") as folder:
        root = Path(folder)
        figures: dict[str, float] = {
            "episodes": options.episodes,
            **generate(root, options.episodes),
        }
        CONSOLE.print(
            f"{options.episodes:,} episodes, {figures['file_mb']:.0f} MB: rows in "
            f"{figures['generate_rows_s']:.0f} s, sums {figures['generate_sums_s']:.0f} s, indexes "
            f"{figures['generate_indexes_s']:.0f} s"
        )
        with Catalogue(root) as catalogue:
            found, lines = ask(catalogue, options.queries)
        figures |= found
        figures |= stats(root, 5)
        with Catalogue(root) as catalogue:
            figures |= changes(catalogue, 2000)
        figures |= rebuild(root, 2000)
    write_results(
        options.out, "make bench-catalogue", figures, load_before=load_before, kinds=lines
    )
    CONSOLE.print({k: round(v, 3) for k, v in figures.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
