"""The episodes that the pages show, asked for as the pages do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("alembic")

from support.centres import BareRobot, CentreProcess, centre
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.labels import Outcome

pytestmark = pytest.mark.floor  # real centres as processes

USERS = {"eve": "inspector", "ann": "operator"}
TODAY_S = time.time() - T0 / 1e9


class Episodes:
    """A centre with twelve episodes, five of which started at one time, and two today."""

    def __init__(self, process: CentreProcess, folder: Path) -> None:
        self.process = process
        self.cookies = {name: process.login(name) for name in USERS}
        self.robot = BareRobot(process.url, process.token("berlin", "arm"))
        other = BareRobot(process.url, process.token("oslo", "leg"))
        store = EpisodeStore(folder / "arm")
        starts = [0, 60, 120, 120, 120, 120, 120, 180, TODAY_S - 30, TODAY_S]
        self.paths = [
            make_episode(store, at, outcome=Outcome.SUCCESS if n % 2 else Outcome.FAILURE,
                         cause="" if n % 2 else "slip", verdict="reject" if n == 1 else "accept")
            for n, at in enumerate(starts)
        ]  # fmt: skip
        for path in self.paths:
            self.robot.offer(path)
        away = EpisodeStore(folder / "leg")
        for at in (30, 240):
            other.offer(make_episode(away, at, robot="leg", task="walk", operator="bob"))
        self.robot.send(self.paths[0])

    def get(self, path: str, user: str = "eve") -> tuple[int, Any]:
        return self.process.get(f"/api/{path}", self.cookies.get(user, ""))

    def post(self, path: str, body: Any, user: str = "eve") -> tuple[int, Any]:
        return self.process.post(f"/api/{path}", body, self.cookies.get(user, ""))

    def ok(self, path: str) -> Any:
        status, plain = self.get(path)
        assert status == 200, plain
        return plain


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Episodes]:
    folder = tmp_path_factory.mktemp("episodes")
    with centre(folder / "centre", users=USERS) as process:
        yield Episodes(process, folder)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
def test_pages_of_a_list_hold_every_episode_once_newest_first(floor: Episodes, limit: int) -> None:
    found, before = [], ""
    for _ in range(20):
        page = floor.ok(f"episodes?limit={limit}&before={before}")
        found += [(one["site"], one["id"], one["start_s"]) for one in page["episodes"]]
        before = page["before"]
        if before is None:
            break
    assert len(found) == len(set(found)) == 12
    starts = [start for _, _, start in found]
    assert starts == sorted(starts, reverse=True)


def test_filters_combine_and_the_count_is_of_what_fits(floor: Episodes) -> None:
    assert floor.ok("episodes")["count"] == 12
    assert floor.ok("episodes?site=oslo")["count"] == 2
    assert floor.ok("episodes?operator=ann&outcome=failure")["count"] == 5
    assert floor.ok("episodes?verdict=reject")["episodes"][0]["id"] == floor.paths[1].name
    assert floor.ok("episodes?task=walk&site=berlin")["count"] == 0
    assert floor.ok("episodes?since=2024-01-01")["count"] == 2
    assert floor.ok("episodes?robot=leg")["names"] == {
        "site": ["berlin", "oslo"], "robot": ["arm", "leg"], "task": ["lift", "walk"],
        "operator": ["ann", "bob"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    ["outcome=well", "verdict=fine", "since=yesterday", "since=-1", "limit=0", "limit=9999",
     "before=x", "before=1", "before=1.99999", "before=99999999999999999999.1"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_a_sentence(floor: Episodes, query: str) -> None:
    status, plain = floor.get(f"episodes?{query}")
    assert status == 422 and not plain["ok"] and plain["message"]


def test_an_episode_tells_facts_labels_and_how_far_it_has_come(floor: Episodes) -> None:
    id = floor.paths[0].name  # its file is no bag: it is held back, which its robot hears
    floor.robot.told(lambda told: told["problems"].get(id), [id])
    told = floor.ok(f"episodes/berlin/{id}")
    assert told["outcome"] == "failure" and told["cause"] == "slip" and told["sentence"] == "so"
    assert [event["what"] for event in told["history"]][-1].startswith("failure")
    assert told["usable"] and told["instruction"] == "Do."
    assert told["receipt"] is None and told["state"] == "held" and told["problem"]
    waiting = floor.ok(f"episodes/berlin/{floor.paths[3].name}")
    assert waiting["receipt"] is None and waiting["state"] == "offered" and not waiting["wanted"]


def test_an_episode_that_is_asked_for_is_shown_so(floor: Episodes) -> None:
    id = floor.paths[4].name
    assert floor.post("want", {"site": "berlin", "ids": [id]})[0] == 200
    assert floor.ok(f"episodes/berlin/{id}")["wanted"]
    listed = {one["id"]: one["wanted"] for one in floor.ok("episodes")["episodes"]}
    assert listed[id] and not listed[floor.paths[5].name]


def test_a_label_needs_a_reason_and_the_right_and_reaches_list_and_history(floor: Episodes) -> None:
    path = f"episodes/berlin/{floor.paths[5].name}/label"
    label = {"outcome": "failure", "cause": "slip", "note": "it slides"}
    assert floor.post(path, {**label, "note": ""})[0] == 422
    assert floor.post(path, label, "ann")[0] == 403
    assert floor.post(path, label, "nobody")[0] == 401
    assert floor.post(path, label)[0] == 200
    told = floor.ok(f"episodes/berlin/{floor.paths[5].name}")
    last = told["history"][-1]
    assert (last["by"], last["note"], last["previous"]) == ("eve", "it slides", "success")
    listed = {one["id"]: one["cause"] for one in floor.ok("episodes")["episodes"]}
    assert listed[floor.paths[5].name] == "slip"


def test_an_unknown_episode_is_not_found(floor: Episodes) -> None:
    assert floor.get("episodes/berlin/none")[0] == 404
    assert floor.get(f"episodes/oslo/{floor.paths[0].name}")[0] == 404
    assert floor.get("episodes/ber%0Alin/none")[0] == 404
    assert floor.get("episodes", "nobody")[0] == floor.get("today", "nobody")[0] == 401


def test_todays_totals_count_what_started_today(floor: Episodes) -> None:
    told = floor.ok("today")
    assert (
        told["episodes"] in (1, 2) and told["labelled"] == told["episodes"]
    )  # 1: just past midnight
    assert told["seconds"] == 10.0 * told["episodes"]
