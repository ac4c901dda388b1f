"""Statistics equal a naive count."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support.catalogued import floor, matches
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter
from robot_recorder.catalogue.schema import DAY_NS, HOUR_NS
from robot_recorder.catalogue.stats import Side, count_up, together
from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict


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
        with pytest.raises(ConfigError, match="leave these out"):
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
