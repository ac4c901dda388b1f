"""Jobs are added once, taken by lease, taken over when a lease expires, and fail with a sentence.

Holds also: kinds.py, routes.py, floor/centre/database/migrations/0004_jobs.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("alembic")
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dataset_takes import TakeOptions, take
from support.episodes import make_episode
from support.job_floor import SITE, AsgiClient, know, one_job

from robot_recorder.configuration.users import UserRole
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue
from robot_recorder.floor.centre.database.database import Database, open_database
from robot_recorder.floor.centre.jobs.kinds import JobKind, checked_settings
from robot_recorder.floor.centre.jobs.queue import MOST_TRIES, Jobs, JobState
from robot_recorder.floor.centre.jobs.routes import routes
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.web.access import Right, User
from robot_recorder.web.replies import Refused, answer_errors


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> int:
        return round(self.now_s * NS_PER_S)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(db: Database, clock: Clock) -> Jobs:
    return Jobs(db, clock)


def test_asking_for_the_same_again_adds_nothing(jobs: Jobs) -> None:
    asked = [one_job(number) for number in range(5)]
    assert jobs.add(asked, "ann") == 5
    assert jobs.add([*asked, one_job(9)], "bob") == 1
    assert jobs.counts()["waiting"]["check"] == 6
    keys = {one_job(1).key, one_job(2).key, one_job(1, JobKind.THUMBNAIL).key}
    assert len(keys) == 3 and len(one_job(1).key) == 64


def test_jobs_are_taken_by_priority_then_by_age(jobs: Jobs) -> None:
    jobs.add([one_job(1), one_job(2)], "ann")
    jobs.add([one_job(3)], "ann", priority=5)
    jobs.add([one_job(4, JobKind.EXPORT)], "ann", priority=9)
    taken = jobs.lease("w", 10, 60, [JobKind.CHECK])
    assert [job.name for job in taken] == ["check 3", "check 1", "check 2"]
    assert taken[0].sources == one_job(3).sources and taken[0].weight == 1000
    assert jobs.lease("w", 10, 60, [JobKind.CHECK]) == []
    assert len({job.lease for job in taken}) == 1


def test_an_expired_lease_is_taken_over_and_the_third_death_is_the_last(
    jobs: Jobs, clock: Clock
) -> None:
    jobs.add([one_job()], "ann")
    first = jobs.lease("w1", 1, 60)
    clock.now_s += 59
    assert jobs.lease("w2", 1, 60) == []
    clock.now_s += 2
    (second,) = jobs.lease("w2", 1, 60)
    assert second.tries == 2
    assert not jobs.done(first[0], {}) and not jobs.failed(first[0], "late", True)
    clock.now_s += 61
    (third,) = jobs.lease("w3", 1, 60)
    assert third.tries == MOST_TRIES
    clock.now_s += 61
    assert jobs.lease("w4", 1, 60) == []
    (failed,) = jobs.newest(JobState.FAILED)
    assert failed["problem"] == "3 workers died while they worked on it, the last was w3"
    assert jobs.retry(failed["id"]) and not jobs.retry(failed["id"])
    assert jobs.lease("w4", 1, 60)[0].tries == 1


def test_a_lease_that_is_kept_does_not_expire(jobs: Jobs, clock: Clock) -> None:
    jobs.add([one_job(1), one_job(2)], "ann")
    taken = jobs.lease("w1", 2, 60)
    for _ in range(5):
        clock.now_s += 50
        assert jobs.keep({job.lease for job in taken}, 60) == 2
        assert jobs.lease("w2", 2, 60) == []
    assert jobs.done(taken[0], {"a": 1}) and jobs.keep([taken[0].lease], 60) == 1
    assert jobs.result(taken[0].key) == {"a": 1} and jobs.result(taken[1].key) is None


def test_what_was_tried_before_is_worked_alone(jobs: Jobs, clock: Clock) -> None:
    jobs.add([one_job(number) for number in range(4)], "ann")
    assert len(jobs.lease("w1", 2, 60)) == 2
    clock.now_s += 61
    assert [len(jobs.lease("w2", 4, 60)) for _ in range(4)] == [1, 1, 2, 0]


def test_a_problem_that_may_pass_is_tried_three_times_and_another_once(
    jobs: Jobs, clock: Clock
) -> None:
    jobs.add([one_job(1)], "ann")
    for number in range(MOST_TRIES):
        (job,) = jobs.lease("w", 1, 60)
        assert jobs.failed(job, f"no answer {number}", again=True)
        clock.now_s += (9, 59, 0)[number]
        assert jobs.lease("w", 1, 60) == []
        clock.now_s += 2
    assert jobs.lease("w", 1, 60) == []
    assert jobs.newest(JobState.FAILED)[0]["problem"] == "no answer 2"
    jobs.add([one_job(2)], "ann")
    assert jobs.failed(jobs.lease("w", 1, 60)[0], "the bag is damaged", again=False)
    assert jobs.counts()["failed"]["check"] == 2


def test_what_could_not_be_tried_waits_and_does_not_count(jobs: Jobs, clock: Clock) -> None:
    jobs.add([one_job(1)], "ann")
    for _ in range(5):
        (job,) = jobs.lease("w", 1, 60)
        assert job.tries == 1
        assert jobs.postponed(job, "the storage is away", 30) and not jobs.postponed(job, "", 0)
        clock.now_s += 29
        assert jobs.lease("w", 1, 60) == []
        clock.now_s += 2


def test_what_is_given_back_counts_as_not_taken(jobs: Jobs) -> None:
    jobs.add([one_job(1), one_job(2)], "ann")
    jobs.give_back(jobs.lease("w", 2, 60))
    assert [job.tries for job in jobs.lease("w", 2, 60)] == [1, 1]


def test_at_most_so_many_of_a_kind_run_at_once(jobs: Jobs) -> None:
    jobs.add([one_job(n, JobKind.ALIGN) for n in range(5)] + [one_job(9)], "ann")
    most = {JobKind.ALIGN: 2}
    taken = jobs.lease("w1", 3, 60, most=most) + jobs.lease("w2", 6, 60, most=most)
    assert Counter(job.kind for job in taken) == {JobKind.ALIGN: 2, JobKind.CHECK: 1}
    jobs.done(next(job for job in taken if job.kind is JobKind.ALIGN), {})
    assert len(jobs.lease("w1", 9, 60, most=most)) == 1


def test_forgotten_jobs_can_be_asked_for_again(jobs: Jobs, clock: Clock) -> None:
    jobs.add([one_job(1), one_job(2)], "ann")
    jobs.done(jobs.lease("w", 1, 60)[0], {})
    clock.now_s += 100
    assert jobs.forget(200) == 0 and jobs.forget(50) == 1
    assert jobs.add([one_job(1), one_job(2)], "ann") == 1


def test_no_job_is_taken_twice_by_workers_at_once(jobs: Jobs) -> None:
    jobs.add([one_job(number) for number in range(60)], "ann")
    taken: list[int] = []

    def work(name: str) -> None:
        while found := jobs.lease(name, 3, 60):
            taken.extend(job.id for job in found)
            for job in found:
                assert jobs.done(job, {})

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 60
    assert jobs.counts()["done"]["check"] == 60


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lease", "done", "fail", "keep", "later", "back"]), st.integers(0, 3)
    ),
    max_size=40,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_workers_do_no_job_is_lost_or_held_twice(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = Clock()
    with open_database(f"sqlite:///{tmp_path_factory.mktemp('jobs')}/c.sqlite") as db:
        jobs = Jobs(db, clock)
        jobs.add([one_job(number) for number in range(4)], "ann")
        held: dict[int, tuple[Any, float]] = {}  # by id: who believes to hold it, until when
        ended: Counter[int] = Counter()
        for what, number in steps:
            job, until = list(held.values())[number % len(held)] if held else (None, 0.0)
            if what == "lease":
                for taken in jobs.lease(f"w{number}", 1 + number, 60):
                    assert held.get(taken.id, (None, 0.0))[1] < clock.now_s
                    assert not ended[taken.id] and taken.tries <= MOST_TRIES
                    held[taken.id] = taken, clock.now_s + 60
            elif what == "later":
                clock.now_s += 25 * number
            elif job is not None and what == "keep":
                if jobs.keep([job.lease], 60):
                    for id, (other, _) in held.items():
                        if other.lease == job.lease:
                            held[id] = other, clock.now_s + 60
            elif job is not None:
                held.pop(job.id)
                if what == "done" and jobs.done(job, {}):
                    ended[job.id] += 1
                elif what == "fail":
                    jobs.failed(job, "no", again=True)
                elif what == "back":
                    jobs.give_back([job])
        counts = {state: sum(kinds.values()) for state, kinds in jobs.counts().items()}
        assert sum(counts.values()) == 4
        assert counts["done"] == len(ended) and set(ended.values()) <= {1}


# -- settings


@pytest.mark.parametrize(
    "kind, plain",
    [
        (JobKind.CHECK, {"rate_hz": 5}),
        (JobKind.ALIGN, {"rate_hz": "5"}),
        (JobKind.ALIGN, {"rate_hz": True}),
        (JobKind.ALIGN, {"rate_hz": 1e9}),
        (JobKind.ALIGN, {"reference": ["x"]}),
        (JobKind.EXPORT, {"format": "../x"}),
        (JobKind.EXPORT, {"operators": "all"}),
        (JobKind.EXPORT, {"causal": 1}),
        (JobKind.EXPORT, {"profile": "/etc/passwd"}),
    ],
)
def test_settings_that_are_none_are_refused(kind: JobKind, plain: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        checked_settings(kind, plain)


def test_settings_get_their_defaults() -> None:
    assert checked_settings(JobKind.CHECK, {}) == {}
    assert checked_settings(JobKind.ALIGN, {"rate_hz": 10}) == {"rate_hz": 10.0, "reference": ""}
    assert checked_settings(JobKind.EXPORT, {})["operators"] == "left_out"


# -- routes


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A desk with three episodes, of which two have receipts, and a client whose role can be set."""
    storage = tmp_path / "storage"
    storage.mkdir()
    store = EpisodeStore(tmp_path / "root")
    with open_database(f"sqlite:///{tmp_path}/c.sqlite") as db:
        for number, receipt in enumerate(["{}", "{}", None]):
            path = make_episode(store, 60 * number, task=("lift", "fold")[number % 2])
            know(db, storage, path, receipt)
        notes: list[str] = []
        state = SimpleNamespace(role=UserRole.INSPECTOR, notes=notes, db=db, storage=storage)

        def user(request: Any, right: Right = Right.LOOK) -> User:
            found = User("ann", state.role)
            if not found.may(right):
                raise Refused(403, "no")
            return found

        async def run(work: Any, *arguments: Any, slow: bool = False) -> Any:
            return await asyncio.to_thread(work, *arguments)

        desk: Any = SimpleNamespace(
            db=db, catalogue=CentreCatalogue(db), storage=open_storage(str(storage)), user=user,
            run=run, note=lambda request, user, what, body, answer: notes.append(what),
        )  # fmt: skip
        app = FastAPI()
        app.include_router(routes(desk))
        answer_errors(app)
        state.client = AsgiClient(app)
        yield state


def test_an_inspector_asks_for_jobs_of_all_episodes_with_a_receipt(world: SimpleNamespace) -> None:
    asked = world.client.post("/api/jobs", json={"kind": "thumbnail"}).json()
    assert (asked["ok"], asked["added"], asked["known"]) == (True, 2, 0)
    again = world.client.post("/api/jobs", json={"kind": "thumbnail"}).json()
    assert (again["added"], again["known"]) == (0, 2)
    chosen = {
        "kind": "export",
        "filter": {"task": "fold", "site": SITE},
        "settings": {"rate_hz": 5},
    }
    assert world.client.post("/api/jobs", json=chosen).json()["added"] == 1
    counts = world.client.get("/api/jobs").json()["counts"]
    assert counts["waiting"] == {"check": 0, "align": 0, "thumbnail": 2, "export": 1}
    assert world.notes == ["jobs thumbnail", "jobs thumbnail", "jobs export"]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "unknown"},
        {"kind": "check", "settings": {"x": 1}},
        {"kind": "check", "filter": {"task": "nothing"}},
        {"kind": "check", "filter": {"since": "yesterday"}},
        {"kind": "check", "filter": {"path": "/"}},
        {"kind": "check", "priority": 1000},
    ],
)
def test_what_cannot_be_asked_for_is_refused(world: SimpleNamespace, body: dict[str, Any]) -> None:
    answer = world.client.post("/api/jobs", json=body)
    assert answer.status_code == 422
    assert world.client.get("/api/jobs").json()["counts"]["waiting"]["check"] == 0


def test_an_operator_may_look_but_not_ask(world: SimpleNamespace) -> None:
    world.role = UserRole.OPERATOR
    assert world.client.get("/api/jobs").status_code == 200
    assert world.client.post("/api/jobs", json={"kind": "check"}).status_code == 403
    assert world.client.post("/api/jobs/1/retry").status_code == 403


def test_failures_are_shown_with_reasons_and_tried_again(world: SimpleNamespace) -> None:
    world.client.post("/api/jobs", json={"kind": "check", "filter": {"since": "2023-11-14"}})
    jobs = Jobs(world.db)
    job = jobs.lease("w1", 1, 60)[0]
    jobs.failed(job, "the bag is damaged", again=False)
    (shown,) = world.client.get("/api/jobs").json()["failed"]
    assert shown["problem"] == "the bag is damaged" and shown["name"].startswith(f"check {SITE}/")
    assert world.client.post(f"/api/jobs/{job.id}/retry").json()["ok"]
    assert not world.client.post(f"/api/jobs/{job.id}/retry").json()["ok"]
    assert world.client.get("/api/jobs").json()["counts"]["waiting"]["check"] == 2


def test_only_what_jobs_made_is_given_out(world: SimpleNamespace) -> None:
    jobs = Jobs(world.db)
    world.client.post("/api/jobs", json={"kind": "check"})
    job = jobs.lease("w1", 1, 60)[0]
    address = f"/api/jobs/made/check/{job.key}"
    assert world.client.get(address).status_code == 404
    storage = open_storage(str(world.storage))
    storage.put(f"made/check/{job.key}/check.json", b"{}")
    jobs.done(job, {"files": [["check.json", 2, "0" * 64]], "summary": {}})
    assert world.client.get(address).json()["files"][0][0] == "check.json"
    assert world.client.get(f"{address}/check.json").content == b"{}"
    for name in ("made.json", "..%2F..%2Fx", "check.json/x"):
        assert world.client.get(f"{address}/{name}").status_code == 404


def test_a_dataset_asked_for_after_relabelling_is_another_job(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    path = take(tmp_path / "more", options=TakeOptions(seconds=0.2))
    know(world.db, world.storage, path)
    jobs = Jobs(world.db)
    (before,) = jobs.sources(JobKind.EXPORT, [(SITE, path.name)])
    with world.db.transaction() as tx:
        tx.run(
            "INSERT INTO label_events (site, episode, event_id, robot, serial, stamp_ns, plain)"
            " VALUES (?, ?, 'e1', 'arm', 1, 1, '{}')", (SITE, path.name),
        )  # fmt: skip
    (after,) = jobs.sources(JobKind.EXPORT, [(SITE, path.name), (SITE, "unknown")])
    assert before.labels != after.labels and before.sha256 == after.sha256
    assert jobs.sources(JobKind.CHECK, [(SITE, path.name)])[0].labels == ""
