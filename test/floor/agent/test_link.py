"""The link to the centre, the loops and the offers, against a centre that does what it likes.

Holds also: loops.py, offers.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from support.episodes import make_episode

from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.beat import CentreBeat
from robot_recorder.floor.agent.link import CentreLink
from robot_recorder.floor.agent.loops import AgentLoop
from robot_recorder.floor.agent.offers import Offers
from robot_recorder.floor.agent.outbox import CURSOR, Outbox, SeenEpisode, SendState
from robot_recorder.floor.agent.retries import Retries
from robot_recorder.floor.agent.scan import EpisodeScan
from robot_recorder.floor.agent.settings import AgentSettings
from robot_recorder.floor.client import CentreClient, CentreError, UnreachableError
from robot_recorder.floor.store import open_store

Answer = Callable[[str, Mapping[str, Any]], dict[str, Any]]
SETTINGS = AgentSettings("https://c", "berlin", "arm", "t", ("key",))


@dataclass
class FakeClient:
    """Answers as the test wants."""

    answer: Answer = lambda path, body: {"ok": True}
    came: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request."""
        self.came.append((path, body))
        return self.answer(path, body)


def refuse(error: Exception) -> Answer:
    def answer(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        raise error

    return answer


def linked(
    client: FakeClient,
    alarms: AgentAlarms,
    about: str = "",
    clock: Callable[[], float] = lambda: 0.0,
) -> CentreLink:
    return CentreLink(cast(CentreClient, client), alarms, about=about, clock=clock)


def test_a_link_that_works_does_not_end_the_alarms_of_the_other() -> None:
    said: list[str] = []
    alarms, now_s = AgentAlarms(said.append), [0.0]
    bad, good = FakeClient(refuse(UnreachableError("no route"))), FakeClient()
    data, beat = (
        linked(c, alarms, a, lambda: now_s[0]) for c, a in ((bad, "data"), (good, "beat"))
    )
    for _ in range(5):
        now_s[0] += 20.0
        with pytest.raises(UnreachableError):
            data.post("/agent/offer", {})
        beat.post("/agent/beat", {})
    assert said == ["alarm: the centre cannot be reached: no route"]
    bad.answer = good.answer
    data.post("/agent/offer", {})
    assert len(said) == 2 and not alarms.sentences()


def test_the_alarms_of_a_link_that_nobody_uses_any_more_end() -> None:
    alarms, now_s = AgentAlarms(), [0.0]
    link = linked(FakeClient(refuse(CentreError(401, "no"))), alarms, "data", lambda: now_s[0])
    with pytest.raises(CentreError):
        link.post("/agent/offer", {})
    now_s[0] = 60.0
    link.look()
    assert alarms.stands(AlarmKind.TOKEN)
    now_s[0] = 121.0
    link.look()
    assert not alarms.stands(AlarmKind.TOKEN) and link.problem == ""


@pytest.mark.announced("thinking failed")
def test_the_alarm_of_a_bug_ends_when_it_did_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.loops._AFTER_BUG_S", 0.01)
    monkeypatch.setattr("robot_recorder.floor.agent.loops._BUG_STANDS_S", 0.05)
    said: list[str] = []
    ended = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        if text.startswith("over"):
            ended.set()

    steps: list[int] = []

    def step() -> float:
        steps.append(1)
        return 1 / (len(steps) - 1) * 0.01

    loop = AgentLoop("thinking", step, AgentAlarms(tell))
    loop.start()
    assert ended.wait(5)
    loop.stop()
    assert loop.join(5) and len(said) == 2


@pytest.mark.announced("thinking failed")
def test_a_loop_goes_on_when_even_its_alarm_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.loops._AFTER_BUG_S", 0.01)
    done, steps = threading.Event(), []

    def tell(_: str) -> None:
        raise OSError(28, "No space left on device")

    def step() -> float:
        steps.append(1)
        if len(steps) < 3:
            raise ZeroDivisionError("oops")
        done.set()
        return 0.01

    loop = AgentLoop("thinking", step, AgentAlarms(tell))
    loop.start()
    assert done.wait(5)
    loop.stop()
    assert loop.join(5)


@dataclass
class Offering:
    """A root with episodes that are to be offered."""

    root: Path

    def __post_init__(self) -> None:
        self.store, self.outbox, self.alarms = (
            open_store(self.root, wait_s=0.1), Outbox(self.root), AgentAlarms(),
        )  # fmt: skip
        self.names = [make_episode(self.store, 60.0 * n).name for n in range(3)]
        EpisodeScan(self.store, self.outbox, self.alarms).all()
        self.client = FakeClient()
        self.link = linked(self.client, self.alarms)
        self.offers = Offers(self.store, self.outbox, self.link, Retries(5.0, 300.0))

    def state(self, name: str) -> SendState:
        row = self.outbox.row(name)
        assert row is not None
        return row.state


@pytest.fixture
def offering(tmp_path: Path) -> Iterator[Offering]:
    found = Offering(tmp_path)
    yield found
    found.outbox.close()


def taken(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"ok": True, "results": {e["id"]: {"ok": True} for e in body["episodes"]}}


def test_an_episode_that_makes_the_centre_stumble_does_not_hold_back_the_others(
    offering: Offering,
) -> None:
    bad, *good = offering.names

    def answer(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if any(episode["id"] == bad for episode in body["episodes"]):
            raise CentreError(500, "internal error")
        return taken(body)

    offering.client.answer = answer
    for _ in range(2):
        with pytest.raises(CentreError):
            offering.offers.send()
    assert offering.offers.send() == 2
    assert {offering.state(name) for name in good} == {SendState.OFFERED}
    assert offering.state(bad) is SendState.RECORDED
    assert "internal error" in offering.outbox.problems()[bad]
    asked = len(offering.client.came)
    assert offering.offers.send() == 0 and len(offering.client.came) == asked  # later


def test_a_centre_without_its_database_costs_no_episode_its_turn(offering: Offering) -> None:
    offering.client.answer = refuse(CentreError(503, "no database", "unavailable"))
    for _ in range(5):
        with pytest.raises(CentreError):
            offering.offers.send()
    assert offering.outbox.problems() == {}
    offering.client.answer = lambda _, body: taken(body)
    assert offering.offers.send() == 3


def test_a_refused_message_of_deleted_episodes_holds_back_nothing(offering: Offering) -> None:
    for name in ("bad", "good"):
        offering.outbox.see(name, SeenEpisode(1, 2, "", 3, ""))
    with offering.outbox._writing() as db:
        db.execute("UPDATE episodes SET state = 'freed', told = 0 WHERE name IN ('bad', 'good')")

    def answer(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if "bad" in body.get("ids", ()):
            raise CentreError(403, "not yours")
        return taken(body) if "episodes" in body else {"ok": True}

    offering.client.answer = answer
    assert offering.offers.send() == 3
    offering.offers.tell_freed()
    assert offering.outbox.untold() == []
    assert ("/agent/freed", {"ids": ["good"]}) in offering.client.came


@pytest.mark.parametrize(
    "wrong", [{"cursor": 10**30}, {"cursor": -1}, {"now_ns": 10**30}, {"now_ns": True}]
)
def test_a_beat_with_a_number_out_of_range_is_not_of_the_centre(
    offering: Offering, wrong: dict[str, Any]
) -> None:
    usual = {"ok": True, "now_ns": 10**18, "cursor": 5, "history": 10**30}
    beat = CentreBeat(
        SETTINGS, offering.store, offering.outbox, offering.link, offering.alarms, lambda: {}
    )
    offering.client.answer = lambda *_: {**usual, **wrong}
    with pytest.raises(UnreachableError):
        beat.exchange()
    offering.client.answer = lambda *_: usual
    beat.exchange()  # a history that makes no sense is as one that is unknown
    assert offering.outbox.note(CURSOR) == 5
