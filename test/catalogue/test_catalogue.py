"""The catalogue: always equal to the bags, and every query equal to a naive search."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry, entry_of, read_entry
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.catalogue.query import COUNTED, Filter, Query, names
from robot_recorder.catalogue.schema import DAY_NS, FILE, HOUR_NS, VERSION
from robot_recorder.catalogue.stats import Side, count_up, together
from robot_recorder.catalogue.sync import refresh, sync
from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.trash import TRASH
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.quality.report import Verdict

MS, SECOND = 1_000_000, 1_000_000_000


def content(root: Path) -> tuple[list[Entry], list[tuple], list[tuple], list[str]]:
    """Return the whole content of a root's catalogue, with ids replaced by their texts."""
    with Catalogue(root) as catalogue:
        sync(catalogue)
        catalogue.connection.execute("BEGIN")  # in one transaction: others may be writing
        text = dict(catalogue.connection.execute("SELECT id, text FROM names"))
        tally = [
            (day, text[robot], text[operator], text[task], *sums)
            for day, robot, operator, task, *sums in catalogue.connection.execute(
                "SELECT * FROM tally"
            )
        ]
        hours = [
            (text[robot], *rest)
            for robot, *rest in catalogue.connection.execute("SELECT * FROM hours")
        ]
        entries = sorted(Query(catalogue, Filter()).all(), key=lambda e: e.name)
        catalogue.connection.execute("COMMIT")
        return entries, sorted(tally), sorted(hours), sorted(catalogue.unreadable())


def from_the_bags(root: Path) -> tuple[list[Entry], list[tuple], list[tuple], list[str]]:
    """Return the content of a newly built catalogue."""
    shutil.rmtree(root / FILE.parent)
    return content(root)


def event(path: Path, outcome: Outcome, cause: str = "") -> LabelEvent:
    return LabelEvent(T0, path.name, LabelKind.OUTCOME, by="test", outcome=outcome, cause=cause)


def change(path: Path, **facts: str) -> None:
    """Change an episode without telling the catalogue, as a copy from elsewhere would."""
    EpisodeStore(path.parent).amend(path, lambda _: facts)


# -- entries


def test_an_entry_equals_the_episodes_metadata(tmp_path: Path) -> None:
    streams = {
        "/a": {"written": 90, "lost": {"dds": 2, "ring": 0, "queue": 1, "writer": 0}},
        "/b": {"written": 5, "lost": {"dds": None, "ring": 0, "queue": 0, "writer": 0}},
    }
    figures = {"head": 12.5, "hand": 25.25, "none": None}
    cert = {
        "frames": 300,
        "complete": 297,
        "streams": {n: {"skew_p95_ms": v} for n, v in figures.items()},
    }
    path = make_episode(
        open_store(tmp_path), 5.0, 12.5, "g1", "fold", "bob", Outcome.FAILURE, "slip", "reject",
        ["camera_black", "gap"], streams=json.dumps(streams), sync=json.dumps(cert), recovered="true",
        aborted="true",
    )  # fmt: skip
    entry = read_entry(path)
    with Catalogue(tmp_path) as catalogue:
        assert catalogue.find(path.name) == entry
    assert (entry.id, entry.path, entry.robot, entry.task, entry.operator) == (
        path.name, path, "g1", "fold", "bob",
    )  # fmt: skip
    assert (entry.start_ns, entry.duration_ms) == (T0 + 5 * SECOND, 12_500)
    assert (entry.outcome, entry.cause) == (Outcome.FAILURE, "slip")
    assert (entry.verdict, entry.reason) == (Verdict.REJECT, "camera_black")
    assert (entry.lost, entry.all_lost_known, entry.messages) == (3, False, 100)
    assert (entry.frames, entry.complete) == (300, 297)
    assert (entry.skew_p95_us, entry.skew_stream) == (25_250, "hand")
    assert entry.recovered and entry.aborted
    assert entry.size_bytes == sum(f.stat().st_size for f in path.iterdir())
    plain = entry.to_dict()
    assert (
        plain["verdict"] == "reject"
        and plain["duration_s"] == 12.5
        and plain["skew_p95_ms"] == 25.25
    )


GAP = json.dumps(
    {"verdict": "review", "findings": [{"check": "gap", "level": "warn", "figure": 0.2}]}
)


@pytest.mark.parametrize(
    ("facts", "verdict", "reason"),
    [
        ({}, Verdict.UNKNOWN, ""),
        ({"verdict": "accept"}, Verdict.ACCEPT, ""),
        ({"verdict": "review", "quality": GAP}, Verdict.REVIEW, "gap"),
        ({"verdict": "review", "quality": '{"reasons": ["gap"]}'}, Verdict.REVIEW, ""),
        ({"verdict": "splendid", "quality": '{"reasons": ["gap"]}'}, Verdict.UNKNOWN, ""),
        ({"verdict": "reject", "quality": "{rubbish"}, Verdict.REJECT, ""),
        ({"verdict": "reject", "quality": "[1]"}, Verdict.REJECT, ""),
        ({"verdict": "reject", "quality": '{"reasons": {}}'}, Verdict.REJECT, ""),
        ({"verdict": "reject", "quality": '{"reasons": [7]}'}, Verdict.REJECT, ""),
    ],
)
def test_an_invalid_verdict_is_unknown(
    tmp_path: Path, facts: dict[str, Any], verdict: Verdict, reason: str
) -> None:
    entry = read_entry(make_episode(open_store(tmp_path), **facts))
    assert (entry.verdict, entry.reason) == (verdict, reason)


@pytest.mark.parametrize(
    "facts",
    [
        {"start_ns": "soon"}, {"stop_ns": "9" * 30}, {"start_ns": str(2**63 - 2), "stop_ns": str(2**63 + 10**9)},
        {"sync": '{"frames": -1}'}, {"sync": '{"streams": {"a": 1}}'},
        {"streams": '{"a": {}}'}, {"robot": "\udc80"},
    ],
)  # fmt: skip
def test_impossible_values_are_reported_and_hide_no_other_episode(
    tmp_path: Path, facts: dict[str, str]
) -> None:
    store = open_store(tmp_path)
    good, bad = make_episode(store, 0), make_episode(store, 60)
    episode = Episode.open(bad)
    broken = Episode(bad, {**episode.metadata, "custom_data": {**episode.facts, **facts}})
    with pytest.raises(BagError, match=bad.name):
        entry_of(broken)
    if "robot" not in facts:  # the file cannot hold this value
        change(bad, **facts)
        entries, tally, _, unreadable = from_the_bags(tmp_path)
        assert [e.name for e in entries] == [good.name] and len(tally) == 1
        assert len(unreadable) == 1 and bad.name in unreadable[0]
        change(bad, **{key: episode.facts.get(key, "{}") for key in facts})
        assert len(content(tmp_path)[0]) == 2, "it is looked at again once it was written"


def test_a_bag_without_messages_and_facts_has_an_entry(tmp_path: Path) -> None:
    path = make_episode(open_store(tmp_path))
    episode = Episode.open(path)
    empty = {**episode.metadata, "custom_data": None,
             "starting_time": {"nanoseconds_since_epoch": 2**63 - 1}, "duration": {"nanoseconds": 0}}  # fmt: skip
    entry = entry_of(Episode(path, empty))
    assert (entry.start_ns, entry.duration_ms, entry.task, entry.id) == (0, 0, "", path.name)
    with Catalogue(tmp_path) as catalogue:
        with catalogue.writing():
            catalogue.put(entry)
        assert count_up(catalogue).total.episodes == 1


# -- equal to the bags

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["record", "label", "discard", "restore", "delete", "copy", "change", "late", "sync"]),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_an_updated_catalogue_equals_a_rebuilt_one(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    elsewhere = open_store(tmp_path_factory.mktemp("elsewhere"))
    store = open_store(root)
    for number, (action, draw) in enumerate(actions):
        paths = store.paths()
        some = paths[draw % len(paths)] if paths else None
        kind = (
            draw % 7000, draw % 90 / 3, f"arm{draw % 2}", f"task{draw % 3}", f"op{draw % 4}", Outcome(draw % 3), "",
            ("", "accept", "review", "reject")[draw % 4], ["gap", "rate"][: draw % 3],
        )  # fmt: skip
        if action == "record":
            make_episode(store, *kind)
        elif action == "copy":
            path = make_episode(elsewhere, *kind)
            path.rename(root / f"{path.name}-{number}")
        elif action == "late":  # a directory being copied: its metadata comes last
            (root / f"late{number}").mkdir()
            with Catalogue(root) as catalogue:
                sync(catalogue)
            path = make_episode(elsewhere, *kind)
            (path / "metadata.yaml").rename(root / f"late{number}" / "metadata.yaml")
        elif action == "restore" and store.trashed():
            with contextlib.suppress(BagError):  # a copy may have taken its place
                store.restore("")
        elif action == "sync":
            with Catalogue(root) as catalogue:
                sync(catalogue, thorough=bool(draw % 2))
        elif some is not None and action == "label":
            store.append_label(event(some, Outcome(draw % 3), ("", "slip")[draw % 2]))
        elif some is not None and action == "change":
            change(some, robot=f"arm{draw % 2}", verdict="review")
            with Catalogue(root) as catalogue:
                sync(catalogue, thorough=True)
        elif some is not None and action == "discard":
            store.discard(some)
        elif some is not None and action == "delete":
            shutil.rmtree(some)
    kept = content(root)
    assert kept == from_the_bags(root)
    assert [e.name for e in kept[0]] == [p.name for p in store.paths()]


def test_the_recorder_updates_it_without_listing_the_root(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    path = make_episode(store)

    def known() -> list[tuple[str, Outcome]]:
        with Catalogue(tmp_path) as catalogue:
            return [(e.name, e.outcome) for e in Query(catalogue, Filter()).all()]

    assert known() == [(path.name, Outcome.UNLABELLED)]
    store.append_label(event(path, Outcome.SUCCESS))
    assert known() == [(path.name, Outcome.SUCCESS)]
    store.discard(path)
    assert known() == [] and (tmp_path / TRASH / path.name).is_dir()
    store.restore("")
    assert known() == [(path.name, Outcome.SUCCESS)]


def test_an_episode_discarded_while_unfinished_has_no_entry(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    partial = store.new_partial("arm_20260101T000000_000_lift")
    partial.mkdir()
    store.discard(partial)
    assert store.restore("arm_20260101T000000_000_lift") == partial
    assert content(tmp_path) == ([], [], [], [])


def test_an_unchanged_root_is_neither_listed_nor_read(tmp_path: Path, monkeypatch) -> None:
    store = open_store(tmp_path)
    path = make_episode(store)
    with Catalogue(tmp_path) as catalogue:
        assert sync(catalogue).read == 0
        old = time.time_ns() - 10 * SECOND  # a folder's stamp is trusted once it is old enough
        os.utime(tmp_path, ns=(old, old))
        assert sync(catalogue).read == 0
        monkeypatch.setattr("os.scandir", None)
        assert sync(catalogue).read == 0
        monkeypatch.undo()
        change(path, verdict="reject")
        assert sync(catalogue).read == 0, "it is not seen in the root"
        entries = list(Query(catalogue, Filter()).all())
        assert refresh(catalogue, entries) and not refresh(
            catalogue, Query(catalogue, Filter()).all()
        )
        change(path, verdict="accept")
        assert sync(catalogue, thorough=True).read == 1
        found = catalogue.find(path.name)
        assert found and found.verdict is Verdict.ACCEPT
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == [path.name]


def test_many_episodes_are_read_by_many_processes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    template = make_episode(store)
    for number in range(420):
        shutil.copytree(template, tmp_path / f"copy_{number:03d}")
    told: list[tuple[int, int]] = []
    with Catalogue(tmp_path) as catalogue:
        done = sync(catalogue, told=lambda *now: told.append(now))
        assert (done.read, done.gone, catalogue.episodes()) == (420, 0, 421)
        assert told[-1] == (420, 420)
        for number in range(400):
            shutil.rmtree(tmp_path / f"copy_{number:03d}")
        assert sync(catalogue).gone == 400 and catalogue.episodes() == 21


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from support.episodes import make_episode
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.catalogue.keeper import open_store
store = open_store(Path(sys.argv[1]))
for i in range(40):
    path = make_episode(store, 20.0 * i, robot=sys.argv[2])
    store.append_label(LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
"""


def test_concurrent_processes_and_threads_lose_no_update(tmp_path: Path) -> None:
    root, support = tmp_path / "root", str(Path(__file__).parents[1])
    root.mkdir()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), robot, support])
        for robot in ("one", "two", "three")
    ]
    store = open_store(root)

    def record(robot: str) -> None:
        for i in range(20):
            make_episode(store, 20.0 * i, robot=robot)

    threads = [threading.Thread(target=record, args=(f"thread{i}",)) for i in range(2)]
    for thread in threads:
        thread.start()
    while any(writer.poll() is None for writer in writers):
        content(root)
    for thread in threads:
        thread.join()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with Catalogue(root) as catalogue:
        stats = count_up(catalogue)
    assert stats.total.episodes == 160 and stats.total.of(Outcome.SUCCESS) == 120
    assert content(root) == from_the_bags(root)


# -- failing open, and rebuilding


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "pages", "old"])
def test_a_broken_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    store = open_store(tmp_path)
    for i in range(40):
        make_episode(store, 20.0 * i, task=f"task{i}")
    before = content(tmp_path)
    del store
    path = tmp_path / FILE
    data = path.read_bytes()
    for extra in path.parent.glob("*-*"):
        extra.unlink()
    if damage == "old":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99999")
        with pytest.raises(ConfigError, match="newer robot_recorder"):
            Catalogue(tmp_path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = -1")
            connection.execute("DROP TABLE tally")
        connection.close()
    elif damage == "pages":
        path.write_bytes(data[:8192] + b"\xa5" * (len(data) - 8192))
    else:
        path.write_bytes(
            {"garbage": b"no catalogue " * 1000, "cut": data[: len(data) // 2], "empty": b""}[
                damage
            ]
        )
    late = make_episode(
        open_store(tmp_path), 9999.0
    )  # the take is saved, whatever the state of the catalogue
    assert late.is_dir()
    from robot_recorder.cli.main import main

    assert main(["episodes", str(tmp_path)]) == 0
    after = content(tmp_path)
    assert [e for e in after[0] if e.name != late.name] == before[0] and len(after[0]) == 41
    with Catalogue(tmp_path) as catalogue:
        assert catalogue.connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert catalogue.is_sound()


def test_a_file_removed_while_open_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store, 0)
    with Catalogue(tmp_path) as catalogue:
        catalogue.take_away()
    make_episode(store, 60)
    shutil.rmtree(tmp_path / FILE.parent)
    make_episode(store, 120)
    assert len(content(tmp_path)[0]) == 3


def test_takes_and_labels_are_saved_if_the_catalogue_cannot_be_written(
    tmp_path: Path, caplog, capsys
) -> None:
    (tmp_path / FILE.parent).write_text("in the way")
    store = open_store(tmp_path)
    with caplog.at_level(logging.WARNING):
        paths = [make_episode(store, 60.0 * i) for i in range(3)]
        episode = store.append_label(event(paths[0], Outcome.SUCCESS))
    assert episode.labels.outcome is Outcome.SUCCESS and len(store.paths()) == 3
    assert len(caplog.records) == 1 and "catalogue" in caplog.text, "logged once"
    with pytest.raises(BagError, match=r"\.catalogue.* cannot be written"):
        Catalogue(tmp_path, writable=True)
    assert len(content(tmp_path)[0]) == 3, "made in memory"
    (tmp_path / FILE.parent).unlink()
    store.append_label(event(paths[1], Outcome.FAILURE))
    with Catalogue(tmp_path) as catalogue:  # the missed updates have been repeated
        assert {e.name: e.outcome for e in Query(catalogue, Filter()).all()} == {
            paths[0].name: Outcome.SUCCESS, paths[1].name: Outcome.FAILURE, paths[2].name: Outcome.UNLABELLED,
        }  # fmt: skip


READER = """
import os, sys
from pathlib import Path
from robot_recorder.model.errors import BagError
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.sync import sync
if os.geteuid() == 0:
    os.setuid(65534)
root = Path(sys.argv[1])
try:
    Catalogue(root, writable=True)
except BagError as error:
    print(error)
with Catalogue(root) as catalogue:
    print(catalogue.note, catalogue.episodes(), sync(catalogue), sync(catalogue,
    thorough=True).read)
"""


@pytest.mark.parametrize("recording", [False, True])
def test_a_read_only_catalogue_is_continued_in_memory(recording: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:  # readable by users other than root
        root = Path(folder) / "root"
        root.mkdir()
        store = open_store(root)
        make_episode(store)
        if not recording:
            del store  # and with it the write-ahead log
        folders = (Path(folder), root, root / FILE.parent)
        for path in (*folders, *(root / FILE.parent).iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", READER, str(root)]
        done = subprocess.run(command, capture_output=True, text=True)
        for path in folders:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    refusal, found = done.stdout.splitlines()
    assert "cannot be written" in refusal and "kept in memory" in found
    assert found.endswith(" 1 SyncResult(read=0, gone=0) 0"), found


def test_a_busy_catalogue_does_not_delay_a_take(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store)
    with Catalogue(tmp_path) as catalogue, catalogue.writing():
        began = time.monotonic()
        path = make_episode(store, 60)
        assert path.is_dir() and time.monotonic() - began < 3
    make_episode(store, 120)
    assert len(content(tmp_path)[0]) == 3


def test_a_newer_update_is_not_overwritten(tmp_path: Path, monkeypatch) -> None:
    """An episode is labelled between reading its directory and writing its entry."""
    elsewhere, store = open_store(tmp_path / "elsewhere"), open_store(tmp_path / "root")
    (tmp_path / "root").mkdir()
    make_episode(elsewhere).rename(tmp_path / "root" / "copied")

    def read_then_labelled(path: Path) -> Entry:
        entry = read_entry(path)
        store.append_label(event(path, Outcome.SUCCESS))
        return entry

    monkeypatch.setattr("robot_recorder.catalogue.sync.read_entry", read_then_labelled)
    with Catalogue(tmp_path / "root") as catalogue:
        sync(catalogue)
        found = catalogue.find("copied")
        assert found and found.outcome is Outcome.SUCCESS


# -- queries


def floor(seed: int, number: int, root: Path = Path("/nowhere")) -> list[Entry]:
    """Return random entries of a floor with three robots, without directories."""
    rng = random.Random(seed)
    base = make_base(root)
    entries = []
    for i in range(number):
        outcome, verdict = Outcome(rng.randrange(3)), Verdict(rng.randrange(4))
        start_ns = T0 + rng.randrange(9 * DAY_NS // 60) * 60 if rng.random() < 0.3 else (
            T0 + rng.randrange(3) * DAY_NS + rng.randrange(5 * HOUR_NS)
        )  # fmt: skip
        entries.append(replace(
            base, name=f"e{i}", id=f"e{i}", start_ns=start_ns, duration_ms=rng.choice([0, 500, 8000, rng.randrange(10**5)]),
            robot=rng.choice(["r1", "r2", "r3"]), task=rng.choice(["fold", "lift", "carry", ""]),
            operator=rng.choice(["ann", "bob", ""]), outcome=outcome, verdict=verdict,
            cause=rng.choice(["", "slip", "drop"]) if outcome is Outcome.FAILURE else "",
            reason=rng.choice(["", "gap", "rate"]) if verdict >= Verdict.REVIEW else "",
            size_bytes=rng.randrange(10**6),
        ))  # fmt: skip
    return entries


def make_base(root: Path) -> Entry:
    return Entry(
        root, "", "", 0, 0, "", "", "", Outcome.UNLABELLED, "", Verdict.UNKNOWN, "", 5, 0, 0, True, 0, 0, None,
        "", False, False, 1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, list[Entry]]:
    root = tmp_path_factory.mktemp("filled")
    entries = floor(7, 3000, root)
    catalogue = Catalogue(root)
    with catalogue.writing():
        for entry in entries:
            catalogue.put(entry)
    return catalogue, entries


def maybe(values) -> st.SearchStrategy:
    return st.none() | values


instants = st.integers(T0 - DAY_NS, T0 + 10 * DAY_NS)
filters = st.builds(
    Filter,
    task=maybe(st.sampled_from(["fold", "lift", "", "ann", "unheard_of"])),
    robot=maybe(st.sampled_from(["r1", "r2", "unheard_of"])),
    operator=maybe(st.sampled_from(["ann", "bob", ""])),
    outcome=maybe(st.sampled_from(Outcome)),
    verdict=maybe(st.sampled_from(Verdict)),
    since_ns=maybe(instants),
    until_ns=maybe(instants),
    longer_ms=maybe(st.sampled_from([0, 500, 8000, 50_000, 10**9])),
    shorter_ms=maybe(st.sampled_from([0, 501, 8000, 60_000])),
)


def matches(entry: Entry, filter: Filter) -> bool:
    words = ("task", "robot", "operator", "outcome", "verdict")
    return (
        all(getattr(filter, w) in (None, getattr(entry, w)) for w in words)
        and (filter.since_ns is None or entry.start_ns >= filter.since_ns)
        and (filter.until_ns is None or entry.start_ns < filter.until_ns)
        and (filter.longer_ms is None or entry.duration_ms >= filter.longer_ms)
        and (filter.shorter_ms is None or entry.duration_ms < filter.shorter_ms)
    )


@settings(max_examples=400, deadline=None)
@given(filter=filters, limit=st.integers(1, 60), few=st.sampled_from([0, 20, 50_000]))
def test_every_filter_finds_the_same_as_a_naive_search(
    filled, filter: Filter, limit: int, few: int
) -> None:
    catalogue, entries = filled
    expected = sorted((e for e in entries if matches(e, filter)), key=lambda e: e.start_ns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robot_recorder.catalogue.query._FEW", few)
        query = Query(catalogue, filter)
    assert sorted(e.name for e in query.all()) == sorted(e.name for e in expected)
    assert [e.start_ns for e in query.all()] == [e.start_ns for e in expected]
    newest = query.newest(limit)
    assert [e.start_ns for e in newest] == [e.start_ns for e in expected[-limit:]]
    assert all(matches(e, filter) for e in newest) and len({e.name for e in newest}) == len(newest)
    assert query.count() == len(expected) <= COUNTED
    assert query.count(10) == min(len(expected), 11)


def test_queries_read_only_ranges_of_covering_indexes(filled) -> None:
    """No query reads a row of the table to decide whether it matches."""
    catalogue, _ = filled
    asked: dict[str, Any] = {
        "task": "fold", "robot": "r1", "operator": "ann", "outcome": Outcome.SUCCESS,
        "verdict": Verdict.ACCEPT, "since_ns": T0, "longer_ms": 8000,
    }  # fmt: skip
    for number in range(len(asked) + 1):
        for chosen in itertools.combinations(asked, number):
            query = Query(catalogue, Filter(**{key: asked[key] for key in chosen}))
            for part in query._parts:
                plan = catalogue.connection.execute(
                    f"EXPLAIN QUERY PLAN SELECT start_ns, key {part.tail} ORDER BY start_ns DESC", part.values
                ).fetchall()  # fmt: skip
                steps = [step[3] for step in plan if "B-TREE" not in step[3]]
                assert len(steps) == 1 and "SEARCH episodes USING COVERING INDEX" in steps[0], plan
                sorts = any("B-TREE" in step[3] for step in plan)
                assert sorts == ("by_length" in part.tail), plan


def test_names_are_listed_by_column(filled) -> None:
    catalogue, _ = filled
    assert sorted(names(catalogue, "robot")) == ["r1", "r2", "r3"]
    assert sorted(names(catalogue, "operator")) == ["ann", "bob"]


# -- statistics


def worked_hours(entries: list[Entry]) -> float:
    """Compute hours at work, episode by episode."""
    total = 0
    by_robot = defaultdict(list)
    for entry in entries:
        by_robot[entry.robot].append((entry.start_ns, entry.stop_ns))
    for spans in by_robot.values():
        end = None
        for start, stop in sorted(spans):
            begin = start if end is None or start - end > HOUR_NS else end
            total += max(0, stop - max(begin, end or 0))
            end = max(stop, end or 0)
    return total / HOUR_NS


@pytest.mark.parametrize("seed", range(5))
def test_statistics_equal_a_naive_count(tmp_path: Path, seed: int) -> None:
    entries = floor(seed, 400, tmp_path)
    with Catalogue(tmp_path) as catalogue:
        with catalogue.writing():
            for entry in entries:
                catalogue.put(entry)
            for entry in entries[::7]:  # some episodes change, some are removed
                catalogue.remove(entry.name)
        entries = [e for i, e in enumerate(entries) if i % 7]
        stats = count_up(catalogue)
        assert stats.total.hours == pytest.approx(worked_hours(entries))
        for filter in (Filter(), Filter(task="fold"), Filter(robot="r1", operator="ann"),
                       Filter(since_ns=T0 // DAY_NS * DAY_NS, until_ns=(T0 // DAY_NS + 2) * DAY_NS)):  # fmt: skip
            compare(count_up(catalogue, filter), [e for e in entries if matches(e, filter)])
        for side in (Side.TASK, Side.OPERATOR, Side.ROBOT, Side.DAY):
            hours = sum(t.hours for t in stats.by[side].values())
            assert hours == pytest.approx(stats.total.hours), "they add up"
        by_task = count_up(catalogue, Filter(task="fold")).total.hours
        assert by_task == pytest.approx(stats.by[Side.TASK]["fold"].hours)


def compare(stats, entries: list[Entry]) -> None:
    total = stats.total
    assert total.episodes == len(entries)
    for outcome in Outcome:
        assert total.of(outcome) == sum(e.outcome is outcome for e in entries)
    for verdict in Verdict:
        assert total.judged(verdict) == sum(e.verdict is verdict for e in entries)
    good = [e for e in entries if e.outcome is Outcome.SUCCESS and e.verdict is not Verdict.REJECT]
    assert total.good == len(good)
    assert total.recorded_s == pytest.approx(sum(e.duration_ms for e in entries) / 1000)
    assert total.size_bytes == sum(e.size_bytes for e in entries)
    for side in (Side.TASK, Side.OPERATOR, Side.ROBOT):
        counted = Counter(getattr(e, side.value) for e in entries)
        assert {name: t.episodes for name, t in stats.by[side].items()} == counted
    failures = [e for e in entries if e.outcome is Outcome.FAILURE]
    assert stats.causes == Counter(e.cause for e in failures)
    expected: dict[str, Counter] = defaultdict(Counter)
    for entry in entries:
        if entry.verdict >= Verdict.REVIEW:
            expected[entry.reason][entry.verdict] += 1
    assert stats.reasons == expected


def test_statistics_include_yield_targets_and_programmes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for i in range(6):  # ten minutes each, one after another: an hour
        outcome = Outcome.FAILURE if i == 0 else Outcome.SUCCESS
        verdict = "reject" if i == 1 else "accept"
        make_episode(
            store, 600.0 * i, 600, task=("lift", "fold")[i % 2], outcome=outcome, verdict=verdict
        )
    make_episode(store, 3 * 3600, 600, task="alone")  # after a break of two hours
    tasks = TaskRegistry({
        "lift": Task("lift", "Lift.", programme="home", target=2),
        "fold": Task("fold", "Fold.", programme="home", target=4),
        "iron": Task("iron", "Iron.", programme="home", target=1),
        "weld": Task("weld", "Weld.", programme="factory", target=9),
    }, {})  # fmt: skip
    with Catalogue(tmp_path) as catalogue:
        one = count_up(catalogue)
        stats = together([one, one]).grouped(tasks)
        assert together([one]).total == one.total
        with pytest.raises(ConfigError, match="whole days"):
            count_up(catalogue, Filter(since_ns=1))
        with pytest.raises(ConfigError, match="leave the rest out"):
            count_up(catalogue, Filter(outcome=Outcome.SUCCESS))
        one = one.grouped(tasks)
    total = one.total
    assert total.hours == pytest.approx(1 + 1 / 6) and total.good == 4
    assert total.success_rate == pytest.approx(5 / 6) and total.yield_per_hour == pytest.approx(
        4 / (7 / 6)
    )
    home = one.by[Side.PROGRAMME]["home"]
    assert home.episodes == 6 and one.by[Side.PROGRAMME][""].episodes == 1
    targets = one.targets(tasks)
    assert {n: (t.good, t.wanted) for n, t in targets.items()} == {
        "lift": (2, 2), "fold": (2, 4), "iron": (0, 1),
    }, "of programmes that have begun"  # fmt: skip
    assert list(one.targets(tasks, "fold")) == ["fold"]
    assert stats.total.episodes == 14 and stats.by[Side.TASK]["lift"].good == 4
    json.dumps(stats.to_dict(targets))
