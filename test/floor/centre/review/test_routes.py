"""Inspectors work through episodes over HTTP, as the page does.

Holds also: items.py, film_routes.py, floor/centre/trends/routes.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("alembic")

from support.bags import NS
from support.centres import BareRobot, CentreProcess, ask, centre, desk_in, take
from support.full_robot import full_robot, recorded_facts
from support.reviewing import PaperFloor, entry
from support.samples import T0

from robot_recorder.configuration.users import UserRole
from robot_recorder.episodes.facts import label_facts
from robot_recorder.floor.centre.review.items import plain_item
from robot_recorder.floor.centre.review.routes import NextReviews, ReviewCounter, ReviewSaid
from robot_recorder.model.labels import LabelEvent, LabelKind
from robot_recorder.quality.verdict import Verdict
from robot_recorder.web.access import User
from robot_recorder.web.replies import SafeJson

pytestmark = pytest.mark.floor  # real centres as processes

USERS = {
    "ann": "inspector",
    "bob": "inspector",
    "cat": "inspector",
    "root": "admin",
    "op": "operator",
}
FULL = "full_20231114T221320_000"
REJECT = (
    '{"verdict": "reject", "sentence": "so", "findings": [], "passed": {"wrench_bias": {"w": 2.5}}}'
)
_Ask = Callable[..., tuple[int, Any]]


class Floor:
    """A centre with the cookies of its users."""

    def __init__(self, process: CentreProcess, robot: BareRobot, folder: Path) -> None:
        self.process, self.robot, self.folder = process, robot, folder
        self.cookies = {name: process.login(name) for name in USERS}

    def post(self, user: str, path: str, **body: Any) -> tuple[int, Any]:
        return self.process.post(f"/api/{path}", body, self.cookies.get(user, ""))

    def get(self, user: str, path: str) -> tuple[int, Any]:
        return self.process.get(f"/api/{path}", self.cookies.get(user, ""))

    def ok(self, user: str, path: str, **body: Any) -> Any:
        """Post if there is a body, else get; insist on success."""
        status, plain = self.post(user, path, **body) if body else self.get(user, path)
        assert status == 200 and plain["ok"], (path, status, plain)
        return plain

    def episode(self, number: int, task: str, verdict: str = "reject") -> str:
        """Offer an episode that is of its own task, so that tests do not meet."""
        given = LabelEvent(T0, "", LabelKind.TASK, by="ann", task=task, operator_name="ann")
        facts: dict[str, Any] = dict(label_facts([given]))
        path = take(self.folder, number, "full", start_ns=str(T0 + number * NS), verdict=verdict,
                    quality=REJECT.replace("reject", verdict), robot_recorder="7.1",
                    stop_ns=str(T0 + (number + 1) * NS), **facts)  # fmt: skip
        told = self.robot.offer(path)
        assert told["ok"], told
        return path.name

    def next(self, user: str, task: str) -> Any:
        """Return the next item of a task; None: there is none."""
        items = self.ok(user, "review/next", count=1, task=task)["items"]
        return items[0] if items else None

    def decide(self, user: str, item: Any, **said: Any) -> Any:
        body = {"outcome": "success", **said}
        return self.ok(
            user, "review/decide", site="berlin", id=item["id"], claim=item["claim"], **body
        )

    def until(self, wanted: Callable[[], Any]) -> Any:
        """Wait for the centre's background."""
        end = time.monotonic() + 20
        while not (found := wanted()):
            assert time.monotonic() < end
            time.sleep(0.05)
        return found

    def labels(self, id: str) -> list[Any]:
        """Return the label events that the robot is told of."""
        return list(self.robot.beat().get("labels", {}).get(id, []))


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    folder = tmp_path_factory.mktemp("review")
    policy = folder / "review.yaml"
    policy.write_text("sample_share: 1.0\nsecond_share: 1.0\nnewcomer_first: 0\n")
    with centre(folder / "centre", users=USERS, review=policy) as process:
        robot = BareRobot(process.url, process.token("berlin", "full"))
        facts = {**recorded_facts(), "verdict": "reject"}
        facts["labels"] = facts["labels"].replace("\\ud800", "")
        path = full_robot(folder / FULL, **facts)
        told = robot.offer(path)
        assert told["ok"], told
        robot.send(path)
        assert robot.receipt(FULL)
        yield Floor(process, robot, folder)


def test_operators_and_strangers_review_nothing_but_operators_see_trends(floor: Floor) -> None:
    for path in ("queue", "history", "agreement", "recall", "quotas", f"berlin/{FULL}/film.json",
                 f"berlin/{FULL}/curves.json", f"berlin/{FULL}/film/c/0.jpg"):  # fmt: skip
        assert floor.get("op", f"review/{path}")[0] == 403, path
        assert floor.get("", f"review/{path}")[0] == 401, path
    bodies: dict[str, dict[str, Any]] = {
        "next": {}, "keep": {"claims": []}, "release": {"claim": "x"}, "undo": {},
        "decide": {"site": "s", "id": "i", "claim": "c", "outcome": "success"},
        "ask": {"site": "s", "ids": ["i"]}, "recall": {"filter": {}}, "recall/undo": {"recall": 1},
        "quotas": {"task": "t", "target": 1},
    }  # fmt: skip
    for path, body in bodies.items():
        assert floor.post("op", f"review/{path}", **body)[0] == 403, path
        assert floor.post("", f"review/{path}", **body)[0] == 401, path
    for path in ("trends", "trends/drift", "trends/alarms"):
        assert floor.get("op", path)[0] == 200
        assert floor.get("", path)[0] == 401


def test_what_is_not_understood_is_refused_with_a_sentence(floor: Floor) -> None:
    for path, body in (
        ("next", {"count": 6}), ("next", {"why": "fun"}), ("next", {"sites": ""}),
        ("decide", {"site": "s", "id": "i", "claim": "c", "outcome": "maybe"}),
        ("recall", {"filter": {"since": "yesterday"}, "dry": True}), ("recall", {"filter": {}, "dry": True}),
        ("recall", {"filter": {"robot": "full"}, "reason": " "}), ("undo", {"decision": 0}),
        ("undo", {"decision": 10**6}), ("recall/undo", {"recall": 10**6}),
    ):  # fmt: skip
        status, plain = floor.post("ann", f"review/{path}", **body)
        assert status == 422 and plain["message"], (path, body, plain)
    for path in (
        "trends?side=cat",
        "trends/drift?kind=x",
        "trends?until=9",
        "review/agreement?since=x",
    ):
        assert floor.get("root", path)[0] == 422
    assert floor.get("ann", "review/berlin/none/film.json")[0] == 404
    assert floor.get("ann", "review/berlin/a%20b%2F/film.json")[0] == 404


def test_an_item_says_what_a_reviewer_needs_and_nothing_breaks_on_hostile_text(
    floor: Floor,
) -> None:
    item = floor.next("ann", "lift")
    assert item["id"] == FULL
    assert (item["why"], item["verdict"], item["outcome"], item["cause"]) == (
        "reject",
        "reject",
        "failure",
        "slip",
    )
    assert "<script>" in item["instruction"]  # as it is: the page shows it as text
    assert [f["check"] for f in item["findings"]] == ["gap"]
    assert item["annotations"][0]["name"] == "reach"
    assert item["annotations"][0]["start_s"] == 0.0
    assert item["opinions"] == [] and item["adjudicate"] is False
    floor.ok("ann", "review/release", claim=item["claim"])


def test_the_film_and_the_curves_are_those_of_the_stored_bag(floor: Floor) -> None:
    film = floor.ok("ann", f"review/berlin/{FULL}/film.json")
    [camera] = film["cameras"]
    assert len(camera["times_s"]) > 60
    assert film["findings"][0]["check"] == "gap"
    base, cookie = floor.process.url, {"Cookie": floor.cookies["ann"]}
    path = f"/api/review/berlin/{FULL}/film/{camera['name']}"
    status, data, headers = ask(base, "GET", f"{path}/3.jpg", headers=cookie)
    assert (status, data[:2], headers["content-type"]) == (200, b"\xff\xd8", "image/jpeg")
    assert headers["cache-control"] == "private, max-age=3600"
    assert ask(base, "GET", f"{path}/999.jpg", headers=cookie)[0] == 404
    curves = floor.ok("ann", f"review/berlin/{FULL}/curves.json")
    assert {"position", "force"} <= {group["name"] for group in curves["groups"]}
    offered = floor.episode(20, "unsent")
    status, plain = floor.get("ann", f"review/berlin/{offered}/film.json")
    assert status == 409 and "has not arrived" in plain["message"]


def test_two_that_agree_label_the_episode_and_neither_knows_of_the_other(floor: Floor) -> None:
    id = floor.episode(1, "agree")
    first = floor.next("ann", "agree")
    assert (
        floor.decide("ann", first, outcome="failure", cause="slip", note="at the rim")["stage"]
        == "done"
    )
    assert floor.next("ann", "agree") is None
    assert floor.labels(id) == floor.labels(id)
    second = floor.next("bob", "agree")
    assert second.keys() == first.keys()
    hidden = {key: second[key] for key in second if key not in ("claim", "until_s")}
    assert hidden == {key: first[key] for key in first if key not in ("claim", "until_s")}
    assert floor.ok("bob", f"review/history?site=berlin&id={id}")["decisions"] == []
    assert not [e for e in floor.labels(id) if e["by"] == "ann" and e["kind"] == "outcome"]
    assert floor.decide("bob", second, outcome="failure", cause="slip")["stage"] == "done"
    event = floor.until(
        lambda: [e for e in floor.labels(id) if e["by"] == "ann" and e["kind"] == "outcome"]
    )[0]
    assert (event["outcome"], event["cause"], event["note"]) == ("failure", "slip", "at the rim")
    agreement = floor.ok("root", "review/agreement")
    assert (
        next(p for p in agreement["pairs"] if (p["first"], p["second"]) == ("ann", "bob"))["agree"]
        == 1.0
    )
    assert floor.ok("cat", "review/agreement")["inspectors"] == []


def test_two_that_differ_go_to_a_third_who_sees_both_without_names(floor: Floor) -> None:
    id = floor.episode(2, "differ")
    item = floor.next("ann", "differ")
    floor.decide("ann", item)
    item = floor.next("bob", "differ")
    told = floor.decide("bob", item, usable=False, reason="bad_view", note="dark")
    assert told["stage"] == "done"
    assert floor.next("ann", "differ") is floor.next("bob", "differ") is None
    item = floor.next("cat", "differ")
    assert item["adjudicate"] is True
    assert [o["usable"] for o in item["opinions"]] == [True, False]
    assert not {"by", "who"} & {key for o in item["opinions"] for key in o}
    floor.decide("cat", item, usable=False, reason="bad_view")
    event = floor.until(
        lambda: [e for e in floor.labels(id) if e.get("name") == "rejected_in_review"]
    )[0]
    assert (event["by"], event["note"]) == ("cat", "bad_view")
    undone = floor.ok("cat", "review/undo", decision=None)
    assert undone["id"] == id and undone["claim"]
    floor.until(lambda: [e for e in floor.labels(id) if e["kind"] == "retraction"])
    assert floor.next("cat", "differ")["claim"] == undone["claim"]
    stages = [
        (d["by"], d["undone"]) for d in floor.ok("root", f"review/history?id={id}")["decisions"]
    ]
    assert stages == [("cat", True), ("bob", False), ("ann", False)]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"usable": False}, "needs a reason"),
        ({"reason": "other"}, "leave it empty"),
        ({"outcome": "success", "cause": "slip"}, "only a failure has a cause"),
        ({"outcome": "failure", "cause": "x" * 65}, "65 characters"),
        ({"note": "a\u202eb"}, "not allowed"),
    ],
)
def test_a_decision_that_cannot_be_labelled_is_refused_before_it_is_taken(
    floor: Floor, said: dict[str, Any], why: str
) -> None:
    if (item := floor.next("ann", "refused")) is None:
        floor.episode(3, "refused")
        item = floor.next("ann", "refused")
    body = {
        "outcome": "success",
        "site": "berlin",
        "id": item["id"],
        "claim": item["claim"],
        **said,
    }
    status, plain = floor.post("ann", "review/decide", **body)
    assert status == 422 and why in plain["message"]
    assert floor.ok("ann", "review/keep", claims=[item["claim"]])["lost"] == []


def test_a_lost_answer_is_given_again_and_a_lost_claim_is_a_conflict(floor: Floor) -> None:
    floor.episode(4, "lost")
    item = floor.next("ann", "lost")
    assert floor.decide("ann", item) == floor.decide("ann", item)
    body = {"site": "berlin", "id": item["id"], "claim": item["claim"], "outcome": "success"}
    assert floor.post("bob", "review/decide", **body)[0] == 409
    assert floor.post("ann", "review/release", claim="none")[0] == 409


def test_asking_puts_an_episode_first_and_names_unknown_ones(floor: Floor) -> None:
    id = floor.episode(5, "asked")
    told = floor.ok("ann", "review/ask", site="berlin", ids=[id, "none"])
    assert (told["asked"], told["unknown"]) == (1, ["none"])
    assert floor.next("bob", "asked")["why"] == "asked"


def test_the_queue_counts_and_says_what_oneself_has_done(floor: Floor) -> None:
    id = floor.episode(6, "counted", "accept")
    before = floor.ok("bob", "review/queue?task=counted")
    assert (before["open"], before["by_why"], before["by_site"]) == (
        1,
        {"sample": 1},
        {"berlin": 1},
    )
    done = floor.decide("bob", floor.next("bob", "counted"))
    after = floor.ok("bob", "review/queue?task=counted")
    assert after["mine"]["all"] == before["mine"]["all"] + 1
    assert after["mine"]["last"]["decision"] == done["decision"]
    assert (after["mine"]["last"]["id"], after["second"]) == (id, 1)
    assert "bad_view" in after["reasons"]


def test_quotas_are_set_by_admins_and_seen_by_inspectors(floor: Floor) -> None:
    assert floor.post("ann", "review/quotas", task="quota", target=3)[0] == 403
    number = floor.ok("root", "review/quotas", task="quota", target=1)["quota"]
    floor.episode(7, "quota", "accept")
    for user in ("ann", "bob"):
        floor.decide(user, floor.next(user, "quota"))
    [quota] = [q for q in floor.ok("ann", "review/quotas")["quotas"] if q["quota"] == number]
    assert (quota["good"], quota["full"], quota["by"]) == (1, True, "root")
    floor.episode(8, "quota", "accept")
    assert floor.next("cat", "quota") is None
    assert floor.ok("cat", "review/queue?task=quota")["rested"] == 1
    floor.ok("root", "review/quotas", task="quota", target=0)
    assert floor.next("cat", "quota")


def test_a_recall_is_counted_first_then_labels_and_can_be_undone(floor: Floor) -> None:
    ids = [floor.episode(number, "recalled") for number in (9, 10)]
    wanted = {"task": "recalled", "version": "7.1", "since": "2023-11-14"}
    assert floor.ok("ann", "review/recall", filter=wanted, dry=True)["count"] == 2
    serial = floor.ok("ann", "review/recall", filter=wanted, reason="loose wrist")["recall"]

    def state() -> Any:
        return next(r for r in floor.ok("bob", "review/recall")["recalls"] if r["recall"] == serial)

    done = floor.until(lambda: state() if state()["state"] == "recalled" else None)
    assert (done["found"], done["done"], done["failed"], done["by"]) == (2, 2, 0, "ann")
    assert done["filter"]["since"] == "2023-11-14T00:00:00Z"
    for id in ids:
        assert [e["note"] for e in floor.labels(id) if e.get("name") == "recalled"] == [
            f"recall {serial}: loose wrist"
        ]
    floor.ok("bob", "review/recall/undo", recall=serial, reason="it was tight")
    floor.until(lambda: state()["state"] == "undone")
    assert [e["kind"] for e in floor.labels(ids[0]) if e.get("name") == "recalled"] == [
        "annotation",
        "retraction",
    ]


def test_trends_tell_rates_lines_and_alarms(floor: Floor) -> None:
    floor.episode(11, "trend")
    until = "2023-11-16"
    rows = floor.ok("op", f"trends?side=version&until={until}")["rows"]
    assert {"7.1"} <= {row["name"] for row in rows}
    assert floor.ok("op", f"trends?side=robot&site=paris&until={until}")["rows"] == []
    streams = floor.ok("op", f"trends?side=stream&robot=full&until={until}")["rows"]
    assert {"w", "wrench"} <= {row["stream"] for row in streams}
    [line] = floor.ok("op", f"trends/drift?kind=force_bias&until={until}")["lines"]
    assert (line["stream"], line["unit"], line["slope_per_day"]) == ("w", "N", None)
    assert line["points"][0]["mean"] == 2.5
    assert floor.ok("op", f"trends/alarms?until={until}")["alarms"] == []


# -- odd episodes


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Any]:
    policy = tmp_path / "review.yaml"
    policy.write_text("sample_share: 1.0\nsecond_share: 0.0\nnewcomer_first: 0\n")
    with desk_in(tmp_path / "centre", review=policy) as opened:
        yield opened


def known(desk: Any, **odd: str) -> ReviewCounter:
    """Let a good episode and an odd one, which is more urgent, wait for reviews."""
    paper = PaperFloor(desk.reviews)
    paper.arrive(entry("odd", T0, Verdict.REJECT))
    paper.spoil("odd", **odd)
    paper.arrive(entry("good", T0 + 1))
    desk.episode = paper.episode
    return ReviewCounter(desk)


SAID = User("ann", UserRole.INSPECTOR)


@pytest.mark.announced("a number of seconds beyond all bounds")
def test_an_episode_that_cannot_be_shown_keeps_no_other_waiting(
    desk: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counter = known(desk)

    def item(one: Any, episode: Any, *rest: Any) -> Any:
        if one.id == "odd":
            raise OverflowError("a number of seconds beyond all bounds")
        return plain_item(one, episode, *rest)

    monkeypatch.setattr("robot_recorder.floor.centre.review.routes.plain_item", item)
    for _ in range(2):
        assert [one["id"] for one in counter.next("ann", NextReviews(count=1))["items"]] == ["good"]
    assert "odd of berlin cannot be shown" in caplog.text
    assert [one["id"] for one in counter.next("bob", NextReviews(count=2))["items"]] == []


@pytest.mark.parametrize(
    "odd",
    [
        {"quality": json.dumps({"verdict": "reject", "sentence": "\ud800", "findings": [], "passed": {}})},
        {"pre_roll_s": "nan"}, {"pre_roll_s": "1e300"}, {"streams": "[1]"}, {"stop_ns": str(10**40)},
    ],
)  # fmt: skip
def test_an_odd_episode_is_shown_and_decided_like_others(desk: Any, odd: dict[str, str]) -> None:
    counter = known(desk, **odd)
    told = counter.next("ann", NextReviews(count=1))
    (item,) = told["items"]
    assert item["id"] == "odd" and json.loads(bytes(SafeJson(told).body))["ok"]
    body = ReviewSaid(site="berlin", id="odd", claim=item["claim"], outcome="success")
    assert counter.decide(SAID, body)["ok"]
    (item,) = counter.next("ann", NextReviews(count=1))["items"]
    assert item["id"] == "good"
