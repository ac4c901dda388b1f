"""An agent and a real centre, when all goes well and when it does not.

Holds also: beat.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("cryptography")
from support.agents import (
    DAY_NS,
    ROBOT,
    SITE,
    Station,
    outcome,
    proxy,
    reaches,
    record,
    row_of,
    station,
    until,
)
from support.centres import CentreProcess, centre
from support.episodes import make_episode

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.locks import Lock
from robot_recorder.episodes.store import EpisodeStore, lock_name
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.beat import CentreBeat
from robot_recorder.floor.agent.loops import AgentLoop
from robot_recorder.floor.agent.offers import Offers
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.retries import Retries
from robot_recorder.floor.agent.scan import EpisodeScan
from robot_recorder.floor.agent.sender import UploadAnswer
from robot_recorder.floor.agent.settings import AgentSettings
from robot_recorder.floor.client import HttpReply, refused_part
from robot_recorder.floor.manifest import FileFact, Manifest, data_files
from robot_recorder.floor.receipts import Receipt, load_signer
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, Outcome

pytestmark = pytest.mark.floor  # real centres as processes

S = SendState


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreProcess]:
    """One centre for all tests of this file; each has a root and names of its own."""
    with centre(tmp_path_factory.mktemp("centre"), part_mib=5) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, floor: CentreProcess) -> Station:
    return station(tmp_path, floor)


def objects(floor: CentreProcess, path: Path) -> dict[str, str]:
    """Return the SHA-256 of an episode's objects at the centre, by name."""
    folder = Path(floor.storage_url) / "bags" / SITE / path.name
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def assert_stored_once(floor: CentreProcess, *paths: Path) -> None:
    """Check that the centre's copies are the robot's, byte by byte."""
    for path in paths:
        own = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in data_files(path)}
        theirs = objects(floor, path)
        theirs.pop("metadata.yaml", None)
        assert theirs == own


def test_metadata_goes_at_once_and_data_in_parts_until_a_receipt_is_here(
    here: Station, floor: CentreProcess
) -> None:
    with here.agent() as agent:
        until(lambda: agent.unfinished()[0] == 0)
        began_s = time.monotonic()
        small, large = record(here.store, 1), record(here.store, 2, megabytes=12)
        reaches(agent, large, S.OFFERED, 5)
        assert time.monotonic() - began_s < 5
        for path in (small, large):
            reaches(agent, path, S.ACKNOWLEDGED)
        receipt = Receipt.from_plain(json.loads(row_of(agent, large).receipt))
        assert (receipt.site, receipt.episode) == (SITE, large.name)
        assert_stored_once(floor, small, large)
        assert agent.status()["waiting_episodes"] == 0 and not agent.alarms.sentences()
    assert f"acknowledged {large.name}" in here.said


def test_a_label_reaches_the_centre_within_seconds_and_makes_the_robot_offer_again(
    here: Station, floor: CentreProcess
) -> None:
    with here.agent() as agent:
        path = record(here.store)
        reaches(agent, path, S.ACKNOWLEDGED)
        here.store.append_label(outcome(path.name, Outcome.FAILURE))
        until(
            lambda: (
                "failure"
                in (
                    Path(floor.storage_url) / "bags" / SITE / path.name / "metadata.yaml"
                ).read_text()
            ),
            timeout_s=10,
        )
        until(lambda: row_of(agent, path).is_offered)


@pytest.mark.floor
def test_labels_of_the_centre_reach_the_robot_and_both_end_with_the_same(
    here: Station, floor: CentreProcess
) -> None:
    with here.agent() as agent:
        path = record(here.store)
        reaches(agent, path, S.ACKNOWLEDGED)
        # Another copy of the same robot's episode was labelled meanwhile: its offer has that label.
        text = (path / "metadata.yaml").read_text()
        elsewhere = open_elsewhere(here, path)
        elsewhere.store.append_label(outcome(path.name, Outcome.FAILURE, by="inspector"))
        here.store.append_label(outcome(path.name, Outcome.SUCCESS))
        with elsewhere.agent() as other:
            until(lambda: other.unfinished()[0] == 0)

            def logs() -> list[str]:
                paths = [one.root / path.name for one in (here, elsewhere)]
                return [Episode.open(p).facts["labels"] for p in paths]

            until(lambda: len(set(logs())) == 1 and "inspector" in logs()[0])
        assert (path / "metadata.yaml").read_text() != text
        until(lambda: row_of(agent, path).is_offered)
        assert row_of(agent, path).state is S.ACKNOWLEDGED


def open_elsewhere(here: Station, path: Path) -> Station:
    """Return a second station with the same token and a copy of an episode, as after a restore."""
    root = here.root.parent / "elsewhere"
    root.mkdir()
    shutil.copytree(path, root / path.name)
    return Station(root, here.settings)


@pytest.mark.floor
def test_an_agent_that_lost_its_outbox_sends_nothing_twice(
    here: Station, floor: CentreProcess
) -> None:
    with here.agent() as agent:
        path = record(here.store, megabytes=6)
        reaches(agent, path, S.ACKNOWLEDGED)
        sent = agent._limiter.sent_bytes
    assert sent > 6e6
    shutil.rmtree(here.root / ".agent")
    with here.agent() as agent:
        reaches(agent, path, S.ACKNOWLEDGED)
        assert agent._limiter.sent_bytes == 0
    assert_stored_once(floor, path)


@pytest.mark.floor
def test_an_interrupted_upload_goes_on_where_it_ended(here: Station, floor: CentreProcess) -> None:
    path = record(here.store, megabytes=24)
    slow = replace(here.settings, parallel_parts=1)
    with here.agent(slow) as agent:
        until(lambda: agent._limiter.sent_bytes > 12e6)
    with here.agent() as agent:
        reaches(agent, path, S.ACKNOWLEDGED)
        assert 0 < agent._limiter.sent_bytes < 19e6  # of 24 MB
    assert_stored_once(floor, path)


def test_the_discarded_are_told_and_not_sent_and_come_back_when_restored(
    here: Station, floor: CentreProcess
) -> None:
    paused = replace(here.settings, bandwidth=replace(here.settings.bandwidth, otherwise=0.0))
    path = record(here.store)
    with here.agent(paused) as agent:
        reaches(agent, path, S.OFFERED)
        here.store.discard(path)
        until(lambda: row_of(agent, path).offered == "discarded")
        assert agent.outbox.to_send() is None
    here.store.restore(path.name)
    with here.agent() as agent:
        reaches(agent, path, S.ACKNOWLEDGED)
        assert not row_of(agent, path).is_discarded


@pytest.mark.floor
@pytest.mark.parametrize(
    "path_of", ["/agent/upload", "/agent/complete", "/agent/stored", "PUT", "/agent/offer"]
)
def test_lost_answers_lead_to_neither_losses_nor_doubles(
    tmp_path: Path, floor: CentreProcess, path_of: str
) -> None:
    with proxy(floor.url) as between:
        here = station(tmp_path, floor, between.url)
        between.faults.only, between.faults.drop_answers = path_of, 2
        paths = [record(here.store, n, megabytes=6) for n in range(2)]
        with here.agent() as agent:
            for path in paths:
                reaches(agent, path, S.ACKNOWLEDGED, 60)
        assert between.faults.happened == 2
    assert_stored_once(floor, *paths)


@pytest.mark.floor
@pytest.mark.parametrize("cut_after", [100, 300_000])
def test_a_proxy_that_truncates_requests_costs_time_only(
    tmp_path: Path, floor: CentreProcess, cut_after: int
) -> None:
    with proxy(floor.url) as between:
        here = station(tmp_path, floor, between.url)
        between.faults.only, between.faults.cut_after = (
            "PUT" if cut_after > 1000 else "POST",
            cut_after,
        )
        between.faults.most = 3
        path = record(here.store, megabytes=12)
        with here.agent() as agent:
            reaches(agent, path, S.ACKNOWLEDGED, 60)
        assert between.faults.happened >= 3
    assert_stored_once(floor, path)


@pytest.mark.floor
def test_truncated_answers_are_never_taken_for_whole_ones(
    tmp_path: Path, floor: CentreProcess
) -> None:
    with proxy(floor.url) as between:
        here = station(tmp_path, floor, between.url)
        between.faults.cut_answer_after, between.faults.chance = 150, 0.5
        between.faults.most = 12
        path = record(here.store, megabytes=6)
        with here.agent() as agent:
            reaches(agent, path, S.ACKNOWLEDGED, 90)
        assert between.faults.happened >= 4
    assert_stored_once(floor, path)


@pytest.mark.floor
def test_a_dead_network_loses_nothing_and_is_over_when_it_is_back(
    tmp_path: Path, floor: CentreProcess
) -> None:
    with proxy(floor.url) as between:
        here = station(tmp_path, floor, between.url)
        between.faults.is_dead = True
        with here.agent() as agent:
            path = record(here.store)
            until(lambda: agent._beat_link.problem and agent.outbox.row(path.name))
            assert row_of(agent, path).state is S.RECORDED
            between.faults.is_dead = False
            reaches(agent, path, S.ACKNOWLEDGED)
            until(lambda: not agent._beat_link.problem)


@pytest.mark.floor
def test_expired_addresses_are_asked_for_again(here: Station, floor: CentreProcess) -> None:
    path = record(here.store, megabytes=6)
    with here.agent() as agent:
        client = agent._client
        spoilt: list[str] = []
        put = client.put

        def expired(url: str, *rest: object) -> str:
            if len(spoilt) < 3:
                spoilt.append(url)
                url = url.replace("signature=", "signature=0") if "signature=" in url else url + "0"
            return put(url, *rest)  # type: ignore[arg-type]

        client.put = expired  # type: ignore[method-assign, assignment]
        reaches(agent, path, S.ACKNOWLEDGED, 60)
        assert len(spoilt) == 3
    assert_stored_once(floor, path)


def test_an_episode_of_many_files_is_sent_in_several_turns(
    here: Station, floor: CentreProcess
) -> None:
    path = record(here.store)
    for number in range(120):
        (path / f"note_{number}.txt").write_text(f"{number}")
    with here.agent() as agent:
        asked = []
        post = agent._sender._link.post

        def noted(url: str, body: dict) -> dict:
            answer = post(url, body)
            if url == "/agent/upload":
                files = answer["files"].values()
                asked.append(sum(bool(f["upload"]) and not f["done"] for f in files))
            return answer

        agent._sender._link.post = noted  # type: ignore[method-assign, assignment]
        reaches(agent, path, S.ACKNOWLEDGED, 60)
        assert max(asked) == 50 and len(asked) == 3
    assert_stored_once(floor, path)


@pytest.mark.parametrize("answer", ["nothing", "everything"])
def test_an_answer_to_an_upload_may_leave_files_for_later(answer: str) -> None:
    manifest = Manifest((FileFact("a", 1, "0" * 64), FileFact("b", 1, "1" * 64)))
    upload = "u" if answer == "everything" else ""
    files = {name: {"upload": upload, "have": [], "done": False} for name in "ab"}
    files["a"]["done"] = True
    plain = {"state": "upload", "part_bytes": 5, "files": files}
    told = UploadAnswer.from_plain(plain, manifest)
    assert told.is_whole is (answer == "everything")
    assert [told.files[name].is_open for name in "ab"] == [False, answer == "everything"]


def test_a_full_bucket_is_an_alarm_at_once_and_everything_is_sent_later(
    here: Station, floor: CentreProcess
) -> None:
    path = record(here.store, megabytes=6)
    with here.agent() as agent:
        client, puts = agent._client, []
        put = client.put

        def full(url: str, *rest: object) -> str:
            puts.append(url)
            body = b"<Error><Code>QuotaExceeded</Code></Error>"
            raise refused_part(HttpReply(403, {}, body))

        client.put = full  # type: ignore[method-assign, assignment]
        until(lambda: agent.alarms.stands(AlarmKind.STORAGE))
        assert len(puts) <= 8 and "QuotaExceeded" in " ".join(agent.alarms.sentences())
        client.put = put  # type: ignore[method-assign]
        reaches(agent, path, S.ACKNOWLEDGED, 60)
        until(lambda: not agent.alarms.stands(AlarmKind.STORAGE))
    assert_stored_once(floor, path)


@pytest.mark.floor
def test_a_revoked_token_is_an_alarm_and_everything_is_kept(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor, robot="thief")
    with here.agent() as agent:
        until(lambda: agent.unfinished()[0] == 0)
        floor.revoke(SITE, "thief")
        until(lambda: agent.alarms.stands(AlarmKind.TOKEN))
        path = record(here.store)
        until(lambda: agent.outbox.row(path.name) is not None)
        assert "token" in agent.alarms.sentences()[0] and path.is_dir()
        assert row_of(agent, path).state is S.RECORDED


def test_a_forged_receipt_is_an_alarm_and_never_believed(
    here: Station, tmp_path: Path, floor: CentreProcess
) -> None:
    forger = load_signer(tmp_path / "forged.key")
    path = record(here.store)
    with here.agent() as agent:
        beat = agent._quick.post

        def forged(url: str, body: dict) -> dict:
            answer = beat(url, body)
            for id, plain in answer["receipts"].items():
                answer["receipts"][id] = forger.sign(Receipt.from_plain(plain)).to_plain()
            return answer

        agent._quick.post = forged  # type: ignore[method-assign, assignment]
        until(lambda: agent.alarms.stands(AlarmKind.RECEIPT))
        assert "not the centre's" in agent.alarms.sentences()[0]
        assert row_of(agent, path).state is S.STORED and not agent.outbox.begin_free(path.name)
        agent._quick.post = beat  # type: ignore[method-assign]
        reaches(agent, path, S.ACKNOWLEDGED)
        assert not agent.alarms.stands(AlarmKind.RECEIPT)


@pytest.mark.floor
@pytest.mark.parametrize(
    "field, value",
    [("sha256", "0" * 64), ("size_bytes", 1), ("episode", "other"), ("site", "rome")],
)
def test_a_changed_receipt_or_one_for_other_data_is_not_believed(
    here: Station, floor: CentreProcess, field: str, value: object
) -> None:
    path = record(here.store)
    signer = load_signer(floor.folder / "receipts.key")
    with here.agent() as agent:
        beat = agent._quick.post

        def other(url: str, body: dict) -> dict:
            answer = beat(url, body)
            for id, plain in answer["receipts"].items():
                changed = Receipt.from_plain({**plain, field: value})  # by the centre's own key
                answer["receipts"][id] = signer.sign(changed).to_plain()
            return answer

        agent._quick.post = other  # type: ignore[method-assign, assignment]
        until(lambda: agent.alarms.stands(AlarmKind.RECEIPT))
        assert row_of(agent, path).state is S.STORED


@pytest.mark.floor
def test_other_data_under_a_stored_id_is_refused_and_kept(
    here: Station, floor: CentreProcess
) -> None:
    with here.agent() as agent:
        path = record(here.store)
        reaches(agent, path, S.ACKNOWLEDGED)
    before = objects(floor, path)
    elsewhere = open_elsewhere(here, path)
    (data,) = data_files(elsewhere.root / path.name)
    data.write_bytes(data.read_bytes() + b"x")
    with elsewhere.agent() as agent:
        until(lambda: agent.alarms.stands(AlarmKind.CONFLICT))
        assert row_of(agent, path).state is S.UPLOADING
    assert (
        objects(floor, path).items()
        >= {k: v for k, v in before.items() if k != "metadata.yaml"}.items()
    )


@pytest.mark.floor
def test_a_clock_that_is_off_is_an_alarm(
    here: Station, floor: CentreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with here.agent() as agent:
        beat = agent._quick.post

        def late(url: str, body: dict) -> dict:
            answer = beat(url, body)
            answer["now_ns"] -= DAY_NS
            return answer

        agent._quick.post = late  # type: ignore[method-assign, assignment]
        until(lambda: agent.alarms.stands(AlarmKind.CLOCK))
        assert "86400 s ahead of" in agent.alarms.sentences()[0]
        agent._quick.post = beat  # type: ignore[method-assign]
        until(lambda: not agent.alarms.stands(AlarmKind.CLOCK))


@pytest.mark.floor
def test_a_centre_restored_from_a_backup_gets_everything_again(
    tmp_path: Path,
) -> None:
    with centre(tmp_path / "centre") as floor:
        here = station(tmp_path, floor)
        with here.agent() as agent:
            first = record(here.store, 1)
            reaches(agent, first, S.ACKNOWLEDGED)
            beat, history = agent._quick.post, [1]

            def told(url: str, body: dict) -> dict:
                return {**beat(url, body), "history": history[0]}

            agent._quick.post = told  # type: ignore[method-assign, assignment]
            until(lambda: agent.outbox.note("history") == 1)
            history[0] = 2
            until(lambda: row_of(agent, first).state is not S.ACKNOWLEDGED)
            reaches(agent, first, S.ACKNOWLEDGED)
            assert any("restored" in text for text in here.said)


class AnsweringLink:
    """Stands for the link to a centre that takes every offer and has one label for each."""

    def __init__(self, label: LabelEvent) -> None:
        self.label = label
        self.meanwhile: Callable[[], object] = lambda: None

    def post(self, path: str, body: dict) -> dict:
        asked = body["episodes"]
        labels = [self.label.to_dict()]
        self.meanwhile()
        return {"results": {e["id"]: {"ok": True, "message": "", "labels": labels} for e in asked}}


@dataclass
class Desk:
    """A root whose episode has a label at the centre, without an agent or a centre."""

    store: EpisodeStore
    outbox: Outbox
    path: Path

    def __post_init__(self) -> None:
        self.label = outcome(self.path.name, Outcome.FAILURE, by="inspector")
        self.link = AnsweringLink(self.label)
        self.alarms = AgentAlarms()
        self.scan = EpisodeScan(self.store, self.outbox, self.alarms)
        self.offers = Offers(self.store, self.outbox, self.link, Retries(0.0, 0.0))  # type: ignore[arg-type]
        settings = AgentSettings("https://c", SITE, ROBOT, "t", ())
        self.beat = CentreBeat(
            settings, self.store, self.outbox, self.link, self.alarms, dict  # type: ignore[arg-type]
        )  # fmt: skip

    def has_label(self) -> bool:
        return "inspector" in [event.by for event in Episode.open(self.path).events]

    def row(self) -> OutboxRow:
        row = self.outbox.row(self.path.name)
        assert row is not None
        return row

    def settle(self) -> None:
        """Look and offer until nothing is left to do."""
        for _ in range(5):
            self.scan.all()
            self.offers.send()
        assert self.outbox.to_offer(9) == []


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "root"
    root.mkdir()
    store, outbox = open_store(root, wait_s=0.1), Outbox(root)
    yield Desk(store, outbox, make_episode(store))
    outbox.close()


def test_labels_of_the_centre_are_on_the_disk_before_it_is_noted_that_the_offer_was_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.scan.all()
    noted = []
    monkeypatch.setattr(desk.outbox, "offer", lambda *_: noted.append(desk.has_label()))
    desk.offers.send()
    assert noted == [True], "else a power cut between the two costs the label"


@pytest.mark.parametrize("happens", ["locked", "discarded", "asked again"])
def test_labels_that_cannot_be_taken_with_an_offer_come_with_a_later_one(
    desk: Desk, happens: str
) -> None:
    desk.scan.all()
    if happens == "locked":
        with Lock(desk.path.parent, lock_name(desk.path), 0):
            desk.offers.send()
        assert "labels of the centre cannot be taken" in desk.row().problem
    elif happens == "discarded":  # and restored before anybody noticed
        desk.link.meanwhile = lambda: desk.store.discard(desk.path)
        desk.offers.send()
        desk.link.meanwhile = lambda: None
        desk.store.restore(desk.path.name)
    else:
        desk.link.meanwhile = lambda: desk.outbox.offer_again(desk.path.name)
        desk.offers.send()
        desk.link.meanwhile = lambda: None
    assert desk.row().state is S.OFFERED and not desk.row().is_offered
    desk.settle()
    assert desk.has_label()


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_label_of_the_centre_reaches_an_episode_that_is_in_the_trash_when_it_comes(
    desk: Desk, is_noted: bool
) -> None:
    desk.scan.all()
    desk.outbox.offer([(desk.path.name, desk.row().offer_key)])
    desk.store.discard(desk.path)
    if is_noted:
        desk.scan.all()
    desk.beat._take_labels(desk.path.name, [desk.label.to_dict()])
    desk.store.restore(desk.path.name)  # before the centre was told of the discarding
    desk.settle()
    assert desk.has_label() and desk.row().is_offered


@pytest.mark.floor
def test_an_agent_for_another_site_sends_everything_to_it(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)
    path = record(here.store)
    with here.agent() as agent:
        reaches(agent, path, S.ACKNOWLEDGED)
    moved = replace(here.settings, site="rome", token=floor.token("rome", ROBOT))
    with here.agent(moved) as agent:
        reaches(agent, path, S.ACKNOWLEDGED)
        assert json.loads(row_of(agent, path).receipt)["site"] == "rome"
    assert any("everything is offered again" in text for text in here.said)


@pytest.mark.announced("thinking failed")
def test_a_bug_in_one_loop_is_an_alarm_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.loops._AFTER_BUG_S", 0.01)
    alarms, steps, done = AgentAlarms(), [], threading.Event()

    def step() -> float:
        steps.append(1)
        if len(steps) < 3:
            raise ZeroDivisionError("oops")
        done.set()
        return 0.01

    loop = AgentLoop("thinking", step, alarms)
    loop.start()
    assert done.wait(5)
    loop.stop()
    assert loop.join(5) and loop.errors == 2
    assert alarms.sentences() == [
        "a bug in the agent (thinking): ZeroDivisionError: oops; it goes on"
    ]


@pytest.mark.floor
def test_asked_for_episodes_are_sent_first_and_rejected_last(
    here: Station, floor: CentreProcess
) -> None:
    paths = [
        record(here.store, n, verdict=verdict)
        for n, verdict in enumerate(("reject", "accept", "reject", "review"))
    ]
    paused = replace(here.settings, bandwidth=replace(here.settings.bandwidth, otherwise=0.0))
    with here.agent(paused) as agent:
        for path in paths:
            reaches(agent, path, S.OFFERED)
        agent.outbox.ask([paths[2].name])
    here.said.clear()
    with here.agent() as agent:
        for path in paths:
            reaches(agent, path, S.ACKNOWLEDGED)
    sent = [text.split()[1].rstrip(":") for text in here.said if text.startswith("sent ")]
    assert sent == [paths[n].name for n in (2, 1, 3, 0)]
    assert ROBOT in sent[0]
