"""Measures the centre's catalogue on PostgreSQL: inserts and queries, after loading a year of a floor.

    python bench/floor_database.py --rows 6000000

A server of its own is started in a temporary folder, as the tests do; ``fsync`` is on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from catalogue import kinds, question
from floor import Floor
from support.postgres import postgres

from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.configuration.find import load_tasks
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue, FloorFilter
from robot_recorder.floor.centre.catalogue.months import MonthPartitions
from robot_recorder.floor.centre.catalogue.rows import COLUMNS, TEXTS
from robot_recorder.floor.centre.catalogue.sums import rebuild
from robot_recorder.floor.centre.database.database import Database, Dialect, open_database

SITES = 40
LIMIT = 50
_EARLIER_NS = 240 * DAY_NS  # the generated year begins in January 2026; no episode is of the future
_BATCH = 50_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rows: int
    inserts: int = 1000
    writers: int = 4
    queries_each: int = 4


def measure(url: str, sizes: Sizes) -> dict[str, float]:
    """Fill an empty database and return the figures.

    Args:
        url: of the database; SQLite works as well.
        sizes: how much.
    """
    with open_database(url) as db:
        figures = fill(db, sizes.rows)
        catalogue = CentreCatalogue(db)
        samples = list(sampled(catalogue, 400))
        figures |= inserts(catalogue, samples, sizes.inserts)
        figures |= inserts_at_once(catalogue, samples, sizes)
        figures |= queries(catalogue, samples, sizes.queries_each)
        figures |= statistics(catalogue)
    return figures


def fill(db: Database, total: int) -> dict[str, float]:
    """Load a generated year with COPY into tables that have their indexes, then compute the sums."""
    floor = Floor(np.random.default_rng(1), list(load_tasks().tasks.values()))
    columns = floor.draw(total)
    columns["start_ns"] = columns["start_ns"] - _EARLIER_NS
    began = time.monotonic()
    with db.transaction() as tx:
        sites = {i: f"site_{i:02d}" for i in range(SITES)}
        numbers: dict[str, int] = {"": 0}
        for text in [*sites.values(), *floor.texts]:
            if text not in numbers:
                numbers[text] = len(numbers)
        tx.copy("names", ("id", "text"), [(id, text) for text, id in numbers.items() if text])
        renumbered = np.array([numbers[text] for text in floor.texts])
        robots = np.array([floor.number[robot] for robot in floor.robots])
        at = np.searchsorted(robots, columns["robot"])  # they are numbered in one row
        columns |= {c: renumbered[columns[c]] for c in TEXTS if c != "site"}
        columns["site"] = np.array([numbers[text] for text in sites.values()])[at % SITES]
        months = MonthPartitions(db)
        for day in np.unique(columns["start_ns"] // (DAY_NS * 20)).tolist():
            months.prepare(tx, day * DAY_NS * 20)
        months.prepare(tx, int(columns["start_ns"].max()))
    for first in range(0, total, _BATCH * 10):
        with db.transaction() as tx:
            part = {name: column[first : first + _BATCH * 10] for name, column in columns.items()}
            tx.copy("episode_keys", ("key", "site", "id", "start_ns"), keys(first, part))
            tx.copy("episodes", ("key", *COLUMNS), rows(first, part))
    copied_s = time.monotonic() - began
    with db.transaction() as tx:
        rebuild(tx)
        if db.dialect is Dialect.POSTGRESQL:
            tx.run(f"SELECT setval(pg_get_serial_sequence('episode_keys', 'key'), {total + 1})")
            tx.run(f"SELECT setval(pg_get_serial_sequence('names', 'id'), {len(numbers) + 1})")
    took_s = time.monotonic() - began
    if db.dialect is Dialect.POSTGRESQL:
        import psycopg

        with psycopg.connect(db.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    return {
        "database_rows": total,
        "load_rows_per_s": total / took_s,
        "load_copy_rows_per_s": total / copied_s,
        "load_sums_s": took_s - copied_s,
    }


def keys(first: int, part: dict[str, np.ndarray]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of ``episode_keys``."""
    sites, starts = part["site"].tolist(), part["start_ns"].tolist()
    for i, (site, start_ns) in enumerate(zip(sites, starts)):
        yield first + i + 1, site, f"g1_{start_ns // 10**6}_{first + i}", start_ns


def rows(first: int, part: dict[str, np.ndarray]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of ``episodes``."""
    count = len(part["start_ns"])
    yield from zip(range(first + 1, first + count + 1), *(part[c].tolist() for c in COLUMNS))


def sampled(catalogue: CentreCatalogue, count: int) -> Iterator[Entry]:
    """Yield episodes of random days."""
    newest = catalogue.newest(limit=1)[0]
    oldest = next(iter(catalogue.all()))
    rng = random.Random(3)
    found = 0
    while found < count:
        since_ns = rng.randrange(oldest.start_ns, newest.start_ns + 1)
        for entry in catalogue.newest(FloorFilter(Filter(until_ns=since_ns + 1)), 1):
            found += 1
            yield entry


def inserts(catalogue: CentreCatalogue, samples: list[Entry], count: int) -> dict[str, float]:
    """Put new episodes one by one, then relabelled ones."""
    rng = random.Random(4)
    latest_ns = catalogue.newest(limit=1)[0].start_ns
    new, again = [], []
    for i in range(count):
        some = rng.choice(samples)
        entry = replace(some, id=f"new_{i}", start_ns=latest_ns + i * 10**9)
        site = str(entry.root)
        new.append(timed(lambda s=site, e=entry: catalogue.put(s, e)))
        again.append(
            timed(
                lambda s=site, e=entry: catalogue.put(
                    s, replace(e, task=samples[0].task, stamp_ns=2)
                )
            )
        )
    return {"insert_ms_p50": percentile(new, 50), "insert_ms_p95": percentile(new, 95),
            "update_ms_p50": percentile(again, 50), "update_ms_p95": percentile(again, 95)}  # fmt: skip


def inserts_at_once(
    catalogue: CentreCatalogue, samples: list[Entry], sizes: Sizes
) -> dict[str, float]:
    """Put new episodes in several threads."""
    latest_ns = catalogue.newest(limit=1)[0].start_ns

    def work(number: int) -> None:
        for i in range(sizes.inserts // sizes.writers):
            entry = replace(
                samples[i % len(samples)], id=f"w{number}_{i}", start_ns=latest_ns + i * 10**9
            )
            catalogue.put(str(entry.root), entry)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(sizes.writers)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"inserts_per_s": sizes.inserts / (time.monotonic() - began)}


def queries(catalogue: CentreCatalogue, samples: list[Entry], each: int) -> dict[str, float]:
    """Ask every combination of criteria, with and without a site."""
    rng = random.Random(2)
    newest, counts, slow = [], [], []
    for kind, by_site in itertools.product(kinds(), (False, True)):
        times = []
        for _ in range(each):
            some, other = rng.choice(samples), rng.choice(samples)
            wanted = FloorFilter(
                question(kind, some, other, rng), str(some.root) if by_site else None
            )
            times.append(timed(lambda w=wanted: catalogue.newest(w, LIMIT)))
            counts.append(timed(lambda w=wanted: catalogue.count(w)))
            slow.append((times[-1], wanted))
        newest += times
    slow.sort(key=lambda one: -one[0])
    for took_ms, wanted in slow[:8]:
        print(f"{took_ms:8.1f} ms  {wanted}", file=sys.stderr)
    return {"centre_query_ms_p50": percentile(newest, 50), "centre_query_ms_p95": percentile(newest, 95),
            "centre_query_ms_max": max(newest), "centre_count_ms_p95": percentile(counts, 95)}  # fmt: skip


def statistics(catalogue: CentreCatalogue) -> dict[str, float]:
    """Count everything up, and one site."""
    site = catalogue.names("site")[0]
    return {"centre_stats_ms": min(timed(catalogue.stats) for _ in range(3)),
            "centre_stats_of_site_ms": min(timed(lambda: catalogue.stats(FloorFilter(site=site))) for _ in range(3)),
            "centre_names_ms": timed(lambda: catalogue.names("task"))}  # fmt: skip


def timed(work: Any) -> float:
    """Return how long a call takes, ms."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile."""
    return float(np.percentile(values, percent))


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--inserts", type=int, default=1000)
    parser.add_argument("--url", default="", help="empty: a server of its own")
    asked = parser.parse_args()
    sizes = Sizes(asked.rows, asked.inserts)
    if asked.url:
        print(json.dumps(measure(asked.url, sizes), indent=1))
        return
    folder = Path(tempfile.mkdtemp(prefix="pg_bench_", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "server") as server:
            print(json.dumps(measure(server.new_database(), sizes), indent=1))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
