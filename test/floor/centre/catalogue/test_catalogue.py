"""The centre's catalogue on both engines: what it finds and counts equals what the robot's catalogue does.

Holds also: rows.py, sums.py, search.py, stats.py, months.py, floor/centre/database/migrations/0001_catalogue.py.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("alembic")
pytest.importorskip("psycopg")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.catalogued import floor, make_base, matches
from support.postgres import postgres
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import LATEST_NS, Entry
from robot_recorder.catalogue.query import Filter
from robot_recorder.catalogue.schema import DAY_NS, HOUR_NS
from robot_recorder.catalogue.stats import Side, Stats, count_up
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue, FloorFilter
from robot_recorder.floor.centre.catalogue.sums import rebuild
from robot_recorder.floor.centre.database.database import (
    Database,
    DatabaseError,
    Dialect,
    open_database,
)
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

SITES = ("zurich", "turin")
SUMS = ("tally", "whys", "hours")


@pytest.fixture
def catalogue(db: Database) -> CentreCatalogue:
    return CentreCatalogue(db)


def at(site: str, entry: Entry) -> Entry:
    """Return an entry as the centre gives it back."""
    return replace(entry, root=Path(site))


def order(entry: Entry) -> tuple[int, str, str]:
    return entry.start_ns, str(entry.root), entry.name


def two_sites(seed: int, number: int) -> dict[tuple[str, str], Entry]:
    """Return entries of two sites that share names of robots and ids."""
    found = {}
    for i, site in enumerate(SITES):
        for entry in floor(seed + i, number):
            found[site, entry.id] = at(site, entry)
    return found


def sums(db: Database) -> dict[str, list[tuple]]:
    with db.reading() as tx:
        return {table: sorted(tx.run(f"SELECT * FROM {table}")) for table in SUMS}


def assert_sums_are_right(db: Database) -> None:
    kept = sums(db)
    with db.transaction() as tx:
        rebuild(tx)
    assert kept == sums(db)


def assert_same(stats: Stats, expected: Stats) -> None:
    assert stats.causes == expected.causes
    assert stats.reasons == expected.reasons
    for side in (Side.DAY, Side.TASK, Side.OPERATOR, Side.ROBOT):
        assert stats.by[side].keys() == expected.by[side].keys()
        for name, counts in expected.by[side].items():
            got = stats.by[side][name]
            assert (got.counts, got.size_bytes) == (counts.counts, counts.size_bytes)
            assert got.recorded_s == pytest.approx(counts.recorded_s)
            assert got.hours == pytest.approx(counts.hours)


def on_a_robot(folder: Path, entries: list[Entry], filter: Filter) -> Stats:
    """Return what the robot's own catalogue says about entries."""
    folder.mkdir(exist_ok=True, parents=True)
    with Catalogue(folder) as own:
        with own.writing():
            for name in own.stamps():
                own.remove(name)
            for entry in entries:
                own.put(entry)
        return count_up(own, filter)


FILTERS = [
    Filter(), Filter(task="fold"), Filter(robot="r1", operator="ann"), Filter(task="nothing"), Filter(operator=""),
    Filter(outcome=Outcome.FAILURE), Filter(verdict=Verdict.REJECT, task="lift"), Filter(longer_ms=9_000),
    Filter(longer_ms=500, shorter_ms=8_000, robot="r2"), Filter(since_ns=T0 + DAY_NS, until_ns=T0 + 2 * DAY_NS),
    Filter(since_ns=T0 + HOUR_NS, until_ns=T0 + 3 * HOUR_NS), Filter(since_ns=T0 + DAY_NS, until_ns=T0),
    Filter(outcome=Outcome.SUCCESS, verdict=Verdict.ACCEPT, until_ns=T0 + 2 * DAY_NS, operator="bob"),
]  # fmt: skip


def test_lists_counts_and_names_equal_a_naive_search(
    catalogue: CentreCatalogue, db: Database
) -> None:
    entries = two_sites(1, 150)
    for (site, _), entry in entries.items():
        assert catalogue.put(site, entry)
    everything = sorted(entries.values(), key=order)
    assert list(catalogue.all()) == everything
    for filter in FILTERS:
        places: tuple[str | None, ...] = (None, *SITES, "nowhere")
        for place in places:
            wanted = FloorFilter(filter, place)
            expected = [
                e for e in everything if matches(e, filter) and place in (None, str(e.root))
            ]
            assert list(catalogue.all(wanted)) == expected, wanted
            for limit in (0, 1, 20, 1000):
                newest = catalogue.newest(wanted, limit)
                assert [e.start_ns for e in newest] == [
                    e.start_ns for e in expected[-limit:] if limit
                ], wanted
                assert set(map(order, newest)) <= set(map(order, expected)), wanted
            assert catalogue.count(wanted) == len(expected), wanted
            assert catalogue.count(wanted, 7) == min(len(expected), 8), wanted
    assert catalogue.names("task") == ["carry", "fold", "lift"]
    assert catalogue.names("site") == sorted(SITES)
    with pytest.raises(ValueError, match="outcome"):
        catalogue.names("outcome")
    some = everything[17]
    assert catalogue.get(str(some.root), some.id) == some
    assert catalogue.get(SITES[0], "nothing") is None and catalogue.get("nowhere", some.id) is None
    assert_sums_are_right(db)


def test_what_is_rare_is_found_behind_what_is_common(
    catalogue: CentreCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robot_recorder.floor.centre.catalogue import search

    monkeypatch.setattr(search, "_FIRST_LOOK", 5)
    monkeypatch.setattr(search, "_PAGE", 7)
    monkeypatch.setattr(search, "_MOST_CELLS", 9)
    monkeypatch.setattr(search, "_FEW", 30)
    entries = [
        at("a", replace(e, start_ns=e.start_ns + 40 * DAY_NS * (i % 9)))
        for i, e in enumerate(floor(3, 200))
    ]
    catalogue.load(("a", entry) for entry in entries)
    for filter in FILTERS:
        expected = sorted((e for e in entries if matches(e, filter)), key=order)
        assert list(catalogue.all(FloorFilter(filter))) == expected
        newest = [e.start_ns for e in catalogue.newest(FloorFilter(filter), 12)]
        assert newest == [e.start_ns for e in expected[-12:]], filter


@pytest.mark.parametrize("seed", range(3))
def test_statistics_of_a_site_equal_those_of_its_robots(
    catalogue: CentreCatalogue, tmp_path: Path, seed: int
) -> None:
    entries = two_sites(seed, 120)
    for (site, _), entry in entries.items():
        catalogue.put(site, entry)
    for key in list(entries)[::7]:
        assert catalogue.remove(*key)
        del entries[key]
    first_day = T0 // DAY_NS * DAY_NS
    for filter in (
        Filter(), Filter(task="fold"), Filter(robot="r1", operator="ann"), Filter(robot="nobody"),
        Filter(since_ns=first_day, until_ns=first_day + 2 * DAY_NS), Filter(since_ns=first_day + DAY_NS),
    ):  # fmt: skip
        for site in SITES:
            own = [e for (s, _), e in entries.items() if s == site]
            stats = catalogue.stats(FloorFilter(filter, site))
            assert_same(stats, on_a_robot(tmp_path / site, own, filter))
    total = catalogue.stats().total
    each = [catalogue.stats(FloorFilter(site=site)).total for site in SITES]
    assert total.counts == (each[0] + each[1]).counts
    assert total.hours == pytest.approx(each[0].hours + each[1].hours), (
        "robots of two sites are two"
    )
    with pytest.raises(ConfigError, match="whole days"):
        catalogue.stats(FloorFilter(Filter(since_ns=1)))


ENTRIES = st.builds(
    lambda i, day, minute, ms, robot, task, outcome, verdict, why: replace(
        make_base(Path("x")), name=f"e{i}", id=f"e{i}", start_ns=T0 + day * DAY_NS + minute * 60 * 10**9, duration_ms=ms,
        robot=robot, task=task, outcome=outcome, verdict=verdict, size_bytes=ms * 3,
        cause=why if outcome is Outcome.FAILURE else "", reason=why if verdict >= Verdict.REVIEW else "",
    ),
    st.integers(0, 5), st.integers(0, 2), st.integers(0, 130), st.sampled_from([0, 500, 4_000_000]),
    st.sampled_from(["r1", "r2"]), st.sampled_from(["", "fold"]), st.sampled_from(Outcome), st.sampled_from(Verdict),
    st.sampled_from(["", "slip"]),
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(SITES), ENTRIES, st.sampled_from(["put", "put", "put", "remove"])),
    max_size=25,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_sums_stay_right_whatever_changes(
    catalogue: CentreCatalogue, db: Database, tmp_path: Path, steps: list
) -> None:
    present: dict[tuple[str, str], Entry] = {}
    for entry in list(catalogue.all()):
        catalogue.remove(str(entry.root), entry.id)
    for site, entry, step in steps:
        key = (site, entry.id)
        if step == "remove":
            assert catalogue.remove(*key) == (present.pop(key, None) is not None)
        else:
            assert catalogue.put(site, entry) == (present.get(key) != at(site, entry))
            assert not catalogue.put(site, entry), "a repeated put changes nothing"
            present[key] = at(site, entry)
    assert list(catalogue.all()) == sorted(present.values(), key=order)
    assert_sums_are_right(db)
    for site in SITES:
        own = [e for (s, _), e in present.items() if s == site]
        assert_same(
            catalogue.stats(FloorFilter(site=site)), on_a_robot(tmp_path / site, own, Filter())
        )


def test_two_at_once_lose_no_change(catalogue: CentreCatalogue, db: Database) -> None:
    entries = floor(5, 40)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(60):
                entry = rng.choice(entries)
                if rng.random() < 0.3:
                    catalogue.remove("a", entry.id)
                else:
                    catalogue.put(
                        "a",
                        replace(
                            entry,
                            outcome=rng.choice(list(Outcome)),
                            duration_ms=rng.randrange(9000),
                        ),
                    )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_sums_are_right(db)


@pytest.mark.floor
def test_a_server_killed_at_random_loses_nothing_that_was_put() -> None:
    entries, stop = floor(5, 30), threading.Event()
    said: dict[tuple[str, str], Entry] = {}
    unsaid: dict[tuple[str, str], list[Entry]] = {}

    def work(catalogue: CentreCatalogue, site: str) -> None:
        rng = random.Random(site)
        while not stop.is_set():
            entry = replace(rng.choice(entries), root=Path(site), duration_ms=rng.randrange(9000))
            try:
                catalogue.put(site, entry)
            except DatabaseError as error:
                assert error.retry
                unsaid.setdefault((site, entry.id), []).append(entry)  # it may have been written
            else:
                said[site, entry.id] = entry
                unsaid.pop((site, entry.id), None)

    with tempfile.TemporaryDirectory(prefix="pg_", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder) / "server") as own, open_database(own.new_database()) as db:
            catalogue = CentreCatalogue(db)
            threads = [threading.Thread(target=work, args=(catalogue, site)) for site in "abc"]
            for thread in threads:
                thread.start()
            try:
                for _ in range(3):
                    before = len(said)
                    while len(said) < min(before + 5, 80):
                        time.sleep(0.01)
                    own.kill9()
                    own.start()
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            found = {(str(entry.root), entry.id): entry for entry in catalogue.all()}
            assert said.keys() <= found.keys() <= said.keys() | unsaid.keys()
            for key, entry in found.items():
                assert entry in [said.get(key), *unsaid.get(key, [])]
            assert_sums_are_right(db)


def test_a_put_of_an_undone_transaction_leaves_nothing(
    catalogue: CentreCatalogue, db: Database
) -> None:
    entry = at("a", floor(1, 1)[0])
    with pytest.raises(KeyError), db.transaction() as tx:
        assert catalogue.put("a", entry, tx)
        raise KeyError
    assert catalogue.get("a", entry.id) is None and catalogue.names("robot") == []
    assert catalogue.put("a", entry), "and its texts get numbers again"
    assert catalogue.get("a", entry.id) == entry
    with db.transaction() as tx:
        assert catalogue.remove("a", entry.id, tx) and not catalogue.remove("a", entry.id, tx)
    assert list(catalogue.all()) == [] and all(not rows for rows in sums(db).values())


def test_odd_clocks_texts_and_numbers_are_kept(catalogue: CentreCatalogue, db: Database) -> None:
    base = floor(1, 1)[0]
    odd = {
        "unknown": replace(base, start_ns=0), "old": replace(base, start_ns=DAY_NS), "unix": replace(base, skew_p95_us=7),
        "future": replace(base, start_ns=LATEST_NS - 10**15, duration_ms=0), "quote": replace(base, task="?%s'\"; --"),
        "december": replace(base, start_ns=1_798_761_599_999_999_999), "january": replace(base, start_ns=1_767_225_600 * 10**9),
    }  # fmt: skip
    for id, entry in odd.items():
        assert catalogue.put("a", replace(entry, id=id, name=id))
    for id, entry in odd.items():
        assert catalogue.get("a", id) == replace(entry, id=id, name=id, root=Path("a"))
    assert catalogue.count(FloorFilter(Filter(task="?%s'\"; --"))) == 1
    assert len(catalogue.newest()) == len(odd) == len(list(catalogue.all()))
    long = "x" * 10_000 + "\0"
    catalogue.put("a", replace(base, id="long", task=long))
    assert catalogue.count(FloorFilter(Filter(task=long))) == 1
    assert_sums_are_right(db)
    with pytest.raises(BagError, match="size_bytes"):
        catalogue.put("a", replace(base, id="huge", size_bytes=1 << 60))
    for id in odd:  # across partitions, and back
        catalogue.put("a", replace(base, id=id, name=id, start_ns=T0 + 90 * DAY_NS))
    assert_sums_are_right(db)
    assert catalogue.count(
        FloorFilter(Filter(since_ns=T0 + 90 * DAY_NS, until_ns=T0 + 91 * DAY_NS))
    ) == len(odd)


def test_a_new_month_takes_its_episodes_from_the_default_partition(
    catalogue: CentreCatalogue, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = at("a", floor(1, 1)[0])
    with monkeypatch.context() as patch:
        patch.setattr(
            "robot_recorder.floor.centre.catalogue.months._FIRST_YEAR", 9999
        )  # no month is made
        catalogue.put("a", entry)
    other = replace(entry, id="other", name="other", outcome=Outcome.FAILURE)
    catalogue.put("a", other)
    assert {e.id for e in catalogue.all()} == {entry.id, "other"}
    assert_sums_are_right(db)
    if db.dialect is Dialect.POSTGRESQL:
        with db.reading() as tx:
            assert tx.one("SELECT COUNT(*) FROM episodes_default") == (0,)


def test_loading_many_equals_putting_each(catalogue: CentreCatalogue, db: Database) -> None:
    entries = two_sites(2, 60)
    assert catalogue.load((site, entry) for (site, _), entry in entries.items()) == len(entries)
    assert list(catalogue.all()) == sorted(entries.values(), key=order)
    loaded = sums(db)
    for (site, _), entry in entries.items():
        assert not catalogue.put(site, entry)
    catalogue.put("a", replace(floor(9, 1)[0], id="one more"))
    catalogue.remove("a", "one more")
    assert sums(db) == loaded
    with db.reading() as tx:
        assert tx.run(
            "SELECT id, site, task FROM episode_texts WHERE id = ? ORDER BY site", ("e3",)
        ) == [("e3", site, entries[site, "e3"].task) for site in sorted(SITES)]
