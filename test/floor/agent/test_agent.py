"""A station agent as a process of its own, against a real centre: killed at random, and counted afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("cryptography")
from support.agents import (
    DAY_NS,
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
from support.disks import fill, small_disk

from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.agent.agent import StationAgent
from robot_recorder.floor.agent.alarms import AlarmKind
from robot_recorder.floor.agent.bandwidth import BandwidthPlan, SendingPaused
from robot_recorder.floor.agent.live import RecorderView
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.sender import DataConflictError, known_manifest
from robot_recorder.floor.agent.settings import WhileRecording
from robot_recorder.floor.client import CentreError
from robot_recorder.floor.manifest import data_files
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome, load_plain

pytestmark = pytest.mark.floor
S = SendState


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreProcess]:
    with centre(tmp_path_factory.mktemp("centre"), part_mib=5) as running:
        yield running


def contents(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def states(root: Path) -> set[SendState]:
    outbox = Outbox(root)
    found = {row.state for row in outbox.rows()}
    outbox.close()
    return found


def test_kill_9_at_any_moment_loses_nothing_and_stores_nothing_twice(
    tmp_path: Path, floor: CentreProcess
) -> None:
    """Agents are killed again and again while episodes are recorded and labelled, on a bad network."""
    rng = random.Random(11)
    recorded: list[Path] = []
    own: dict[str, dict[str, str]] = {}
    seen: set[SendState] = set()
    with proxy(floor.url) as between:
        here = station(tmp_path, floor, between.url)
        between.faults.chance, between.faults.drop_answers = 0.05, 10**6
        for _ in range(25):
            for _more in range(rng.randrange(3)):
                path = record(here.store, len(recorded), megabytes=rng.choice((0, 0, 6)))
                own[path.name] = contents(path, [p.name for p in data_files(path)])
                recorded.append(path)
            agent = here.process()
            time.sleep(rng.uniform(0.5, 3.0))
            if recorded:
                name = rng.choice(recorded).name
                here.store.append_label(outcome(name, rng.choice(list(Outcome)[1:])))
            os.kill(agent.pid, signal.SIGKILL)
            agent.communicate()
            seen |= states(here.root)
        between.faults.chance = 0.0
        last = here.process("--once")
        said = last.communicate(timeout=180)[0]
        assert last.returncode == 0, said
    assert seen & {S.RECORDED, S.OFFERED} and S.ACKNOWLEDGED in seen and len(recorded) > 10
    storage = Path(floor.storage_url) / "bags" / SITE
    assert {path.name for path in recorded} <= {p.name for p in storage.iterdir()}
    for path in recorded:
        assert contents(storage / path.name, list(own[path.name])) == own[path.name]
        kept = {p.name for p in (storage / path.name).iterdir()} - {"metadata.yaml"}
        assert kept == set(own[path.name]) == {p.name for p in data_files(path)}
        until(partial(same_labels, storage / path.name, path))
    outbox = Outbox(here.root)
    assert {row.state for row in outbox.rows()} == {S.ACKNOWLEDGED}
    assert not outbox.to_offer(999)
    outbox.close()


def same_labels(one: Path, other: Path) -> bool:
    return labels(one) == labels(other)


def labels(path: Path) -> list[dict]:
    return load_plain(Episode.open(path).facts["labels"])


def test_an_old_episode_is_deleted_on_the_centres_receipt_and_the_centre_is_told(
    tmp_path: Path, floor: CentreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.agent._FREE_S", 0.3)
    here = station(tmp_path, floor, keep_days=7)
    old, young = record(here.store, 1, days_ago=8), record(here.store, 2, days_ago=6)
    with here.agent() as agent:
        for path in (old, young):
            reaches(agent, path, S.ACKNOWLEDGED)
        # Sent as late as this, their age counts from when the agent saw them first.
        with agent.outbox._writing() as db:
            for path, days in ((old, 7.5), (young, 6.5)):
                first_ns = time.time_ns() - round(days * DAY_NS)
                db.execute("UPDATE episodes SET first_ns = ? WHERE name = ?", (first_ns, path.name))
        reaches(agent, old, S.FREED)
        reaches(agent, young, S.ACKNOWLEDGED)
        until(lambda: not agent.outbox.untold())
        assert not old.exists() and young.is_dir()
        events = floor.events("freed")
        assert any(event["robot"] == "arm" for event in events)
    assert (Path(floor.storage_url) / "bags" / SITE / old.name / "metadata.yaml").is_file()
    assert any(text.startswith(f"freed {old.name}") for text in here.said)


def test_a_full_storage_is_an_alarm_and_over_when_there_is_room(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)
    with here.agent() as agent:
        until(lambda: agent.unfinished()[0] == 0)
        post, full = agent._client.post, [True]

        def refusing(url: str, body: dict) -> dict:
            if full[0] and url == "/agent/parts":
                raise CentreError(503, "the bucket is full", "full")
            return post(url, body)

        agent._client.post = refusing  # type: ignore[method-assign, assignment]
        path = record(here.store)
        until(lambda: agent.alarms.stands(AlarmKind.STORAGE))
        assert "the bucket is full" in agent.alarms.sentences()[0]
        full[0] = False
        reaches(agent, path, S.ACKNOWLEDGED)
        until(lambda: not agent.alarms.stands(AlarmKind.STORAGE))


def test_a_copy_that_rots_at_the_centre_before_it_is_read_back_is_sent_again(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)
    with here.agent() as agent:
        until(lambda: agent.unfinished()[0] == 0)
        path = record(here.store, megabytes=6)
        post = agent._client.post
        rotten: list[Path] = []

        def rotting(url: str, body: dict) -> dict:
            if url == "/agent/stored" and not rotten:
                (data,) = data_files(path)
                copy = Path(floor.storage_url) / "bags" / SITE / path.name / data.name
                content = bytearray(copy.read_bytes())
                content[1000] ^= 1
                copy.chmod(0o600)
                copy.write_bytes(content)
                rotten.append(copy)
            return post(url, body)

        agent._client.post = rotting  # type: ignore[method-assign, assignment]
        reaches(agent, path, S.ACKNOWLEDGED, 60)
        assert rotten and rotten[0].read_bytes() == data_files(path)[0].read_bytes()
        assert any("is sent again" in text for text in here.said)


def test_nothing_is_sent_while_an_episode_is_recorded_but_its_metadata_is(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)
    running = here.root / "arm_20260101T000000_000_lift.partial"
    running.mkdir()
    growing = threading.Event()

    def grow() -> None:
        while not growing.wait(0.2):
            (running / "a.mcap").write_bytes(b"x")

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        until(lambda: (running / "a.mcap").exists())
        with here.agent(replace(here.settings, while_recording=WhileRecording.PAUSE)) as agent:
            path = record(here.store)
            reaches(agent, path, S.OFFERED)
            time.sleep(1.5)
            assert row_of(agent, path).state is S.OFFERED and agent._limiter.sent_bytes == 0
            assert agent.status()["state"] == "recording"
            growing.set()
            thread.join()
            for file in running.iterdir():
                os.utime(file, (time.time() - 60,) * 2)
            reaches(agent, path, S.ACKNOWLEDGED)
    finally:
        growing.set()
        thread.join()


def test_a_second_agent_of_the_same_root_is_refused_by_name(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)
    with here.agent(), pytest.raises(ConfigError, match="another agent sends the episodes of"):
        StationAgent(here.root, here.settings)
    with here.agent() as agent:
        until(lambda: agent.unfinished()[0] == 0)


def test_the_centre_sees_a_robot_live_and_misses_it_soon(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor, robot="alive")

    def shown() -> dict:
        robots = floor.get("/api/robots")[1]["robots"]
        return next((robot for robot in robots if robot["robot"] == "alive"), {"vanished": True})

    with here.agent() as agent:
        until(lambda: not shown()["vanished"])
        assert shown()["status"]["state"] == "idle"
        assert abs(agent._beat.clock_off_s or 0) < 1
        time.sleep(2)
        assert not shown()["vanished"]
    ended_s = time.monotonic()
    until(lambda: shown()["vanished"])
    assert time.monotonic() - ended_s < 5
    assert (here.root / ".agent/status.json").is_file()


def test_an_idle_agent_costs_little(tmp_path: Path, floor: CentreProcess) -> None:
    """The budget is 3 % of a core while an episode is recorded; a shared machine is given more."""
    here: Station = station(tmp_path, floor)
    for number in range(20):
        record(here.store, number, days_ago=DAY_NS / DAY_NS)
    done = here.process("--once")
    assert done.communicate(timeout=60)[0] and done.returncode == 0
    agent = here.process()
    try:
        time.sleep(4)
        before = cpu_s(agent.pid)
        time.sleep(10)
        share = (cpu_s(agent.pid) - before) / 10
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=30)
    print(f"agent_cpu_share {share:.4f}")
    assert share < 0.06


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def still(tmp_path: Path, floor: CentreProcess) -> Iterator[StationAgent]:
    """An agent that was not started: a test takes its steps."""
    here = station(tmp_path, floor)
    agent = StationAgent(here.root, here.settings, here.said.append)
    yield agent
    agent.stop()


def test_on_a_disk_without_a_free_byte_episodes_are_deleted_and_it_is_an_alarm(
    tmp_path: Path, floor: CentreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.agent._FREE_S", 0.3)
    with small_disk(tmp_path / "disk", "60m") as disk:
        here = station(disk, floor, keep_days=1e-7)
        with here.agent(replace(here.settings, keep_days=None)) as agent:
            path = record(here.store, 1, days_ago=8)
            reaches(agent, path, S.ACKNOWLEDGED)
        fill(disk / "ballast")
        with here.agent() as agent:  # it even starts
            reaches(agent, path, S.FREED)
            until(lambda: agent.alarms.stands(AlarmKind.DISK_FULL))
            assert not path.exists()
            (disk / "ballast").unlink()
            until(lambda: not agent.alarms.stands(AlarmKind.DISK_FULL))
            until(lambda: (here.root / ".agent/reserve").exists())
            fill(disk / "ballast")
            agent.outbox.set_note("n", 1)
            (disk / "ballast").unlink()


def test_a_token_of_another_robot_is_an_alarm_and_ends_once(
    tmp_path: Path, floor: CentreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.agent._NO_BEAT_S", 0.5)
    here = station(tmp_path, floor)
    record(here.store)
    with here.agent(replace(here.settings, robot="leg")) as agent:
        until(lambda: agent.alarms.stands(AlarmKind.BEAT))
        (sentence,) = [text for text in agent.alarms.sentences() if "no beat" in text]
        assert len(sentence) > len("no beat gets through to the centre: ")
        until(lambda: agent._problem() != "")
        until(lambda: json.loads((here.root / ".agent/status.json").read_text())["problem"])
        assert agent.unfinished()[1]


def test_on_a_slow_link_short_pauses_do_not_keep_data_from_arriving(
    tmp_path: Path, floor: CentreProcess
) -> None:
    """Each part takes longer than any time between two recordings."""
    here = station(tmp_path, floor)
    path = record(here.store, megabytes=12)
    slow = replace(
        here.settings,
        while_recording=WhileRecording.PAUSE,
        bandwidth=BandwidthPlan.parse("4 MB/s"),
        parallel_parts=1,
    )
    ended = threading.Event()
    with here.agent(slow) as agent:

        def takes() -> None:
            view = RecorderView("recording", "now")
            while not ended.is_set():
                agent.live.hear(view)
                ended.wait(0.7)
                agent.live.hear(replace(view, state="idle"))
                ended.wait(0.7)

        recorder = threading.Thread(target=takes)
        recorder.start()
        try:
            reaches(agent, path, S.ACKNOWLEDGED, 40)
            assert agent._sender.accepted_bytes >= 12e6
        finally:
            ended.set()
            recorder.join()


def test_hashing_waits_while_nothing_may_be_sent_and_ends_with_the_agent(
    still: StationAgent,
) -> None:
    path = record(still._store, megabytes=2)
    still._look_step()
    row = row_of(still, path)
    still.outbox.offer([(row.name, row.offer_key)])
    still._throttle.rate = lambda: 0.0  # type: ignore[method-assign]
    paused: list[Exception] = []

    def send() -> None:
        try:
            still._sender.send(row)
        except SendingPaused as error:
            paused.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive() and row_of(still, path).state is S.OFFERED
    still._stopped.set()
    thread.join(5)
    assert not thread.is_alive() and len(paused) == 1


def test_marks_that_could_not_be_looked_at_are_looked_at_next_time(
    still: StationAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    still._look_step()
    path = record(still._store)
    some = still._scan.some
    monkeypatch.setattr(still._scan, "some", failing)
    with pytest.raises(BagError):
        still._look_step()
    monkeypatch.setattr(still._scan, "some", some)
    still._look_step()
    assert row_of(still, path).state is S.RECORDED


def failing(*_: object) -> bool:
    raise BagError("the outbox is locked")


def test_a_new_outbox_is_filled_at_once_and_nothing_is_called_finished_before(
    still: StationAgent,
) -> None:
    path = record(still._store)
    still._look_step()
    shutil.rmtree(still._root / ".agent")
    still.outbox.look()
    assert still.unfinished() == (1, "")
    still._look_step()
    assert row_of(still, path).state is S.RECORDED


def test_an_episode_that_the_centre_refuses_does_not_keep_others_from_being_asked_for(
    still: StationAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [record(still._store, n) for n in range(3)]
    still._look_step()
    for path in paths:
        row = row_of(still, path)
        still.outbox.offer([(row.name, row.offer_key)])
        manifest, files = known_manifest(path, row)
        still.outbox.upload(row.name, manifest, files)
        still.outbox.store(row.name)

    def is_known(row: OutboxRow) -> bool:
        if row.name == paths[0].name:
            raise DataConflictError(409, "other data")
        if row.name == paths[1].name:
            raise CentreError(422, "not like that")
        return False

    monkeypatch.setattr(still._sender, "is_known", is_known)
    still._recheck_stored()
    assert row_of(still, paths[2]).state is S.OFFERED
    assert still.alarms.stands(AlarmKind.CONFLICT)
    assert still.outbox.problems()[paths[1].name] == "not like that"


def test_a_deleted_lock_is_taken_again_and_an_agent_that_lost_it_ends(
    still: StationAgent,
) -> None:
    locks = still._root / ".locks"
    shutil.rmtree(locks)
    still._watch_step()
    with pytest.raises(ConfigError, match="another agent"):
        StationAgent(still._root, still._settings)
    assert not still.is_over
    shutil.rmtree(locks)
    other = StationAgent(still._root, still._settings)
    still._watch_step()
    assert still.is_over and "so this one ends" in still.alarms.sentences()[-1]
    other.stop()


def test_an_agent_whose_output_is_on_a_full_disk_goes_on(
    tmp_path: Path, floor: CentreProcess
) -> None:
    here = station(tmp_path, floor)

    def say(_: str) -> None:
        raise OSError(28, "No space left on device")

    agent = StationAgent(here.root, here.settings, say)
    agent.start()
    try:
        path = record(here.store)
        reaches(agent, path, S.ACKNOWLEDGED)
        agent.alarms.begin(AlarmKind.NAMES, "said to nobody")
    finally:
        agent.stop()
