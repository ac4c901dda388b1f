"""An entry equals its episode's metadata, and a broken one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.catalogued import change, content, from_the_bags
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import entry_of, read_entry
from robot_recorder.catalogue.stats import count_up
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

MS, SECOND = 1_000_000, 1_000_000_000


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
