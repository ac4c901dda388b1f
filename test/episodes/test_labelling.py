"""Labels of finished episodes: many processes append them, and the sensor data stays untouched."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import Reader
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.labelling import LabelledEpisode, look_up
from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, fold

ID = "arm_20260101T000000_000_lift"
OWN = parse_tasks("tasks: {lift: {instruction: Lift it., failure_causes: [slip]}}").find("lift")
# Labels an episode again and again, with a name of its own on each label; argv: path, name, count.
WRITER = """
import itertools, sys
from pathlib import Path
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.episodes.store import EpisodeStore
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = EpisodeStore(path.parent)
print("ready", flush=True)
for number in itertools.islice(itertools.count(), count or None):
    cause = f"{name}_{number}"
    store.append_label(LabelEvent(number + 1, path.name, LabelKind.OUTCOME, by=name,
                                  outcome=Outcome.FAILURE, cause=cause))
"""


@pytest.fixture
def episode(tmp_path: Path) -> Path:
    """A finished episode of one second."""
    store = EpisodeStore(tmp_path)
    partial = store.new_partial(ID)
    messages = [("/wrist/wrench", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(100)]
    write_bag(McapWriter(), partial, messages)
    begin = LabelEvent(T0, ID, LabelKind.TASK, task="lift", instruction="Lift it.", by="ann")
    return store.finalise(partial, {
        "episode_id": ID, "robot": "arm", "start_ns": str(T0), "stop_ns": str(T0 + 10**9),
        "pre_roll_s": "0.5", "task_yaml": OWN.text, **label_facts([begin]),
    })  # fmt: skip


def marked(outcome: Outcome, cause: str = "", by: str = "eve") -> LabelEvent:
    return LabelEvent(T0, ID, LabelKind.OUTCOME, by=by, outcome=outcome, cause=cause, previous="?")


def assert_a_chain(log: list[LabelEvent]) -> None:
    """Check that each event names the outcome before it."""
    outcomes = [e for e in log if e.kind is LabelKind.OUTCOME]
    assert outcomes[0].previous == "unlabelled"
    for before, after in pairwise(outcomes):
        assert after.previous == fold([before]).outcome_text


def test_only_the_metadata_changes_and_each_label_names_the_outcome_before_it(
    episode: Path,
) -> None:
    store = EpisodeStore(episode.parent)
    data = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in episode.glob("*.mcap")}
    facts = dict(Episode.open(episode).facts)
    store.append_label(marked(Outcome.SUCCESS))
    after = store.append_label(marked(Outcome.FAILURE, "slip"))
    assert after.facts == Episode.open(episode).facts
    assert after.labels.outcome_text == "failure: slip"
    assert [e.previous for e in after.events] == ["", "unlabelled", "success"]
    same = {k: v for k, v in after.facts.items() if k not in ("outcome", "cause", "labels")}
    assert same == {k: v for k, v in facts.items() if k in same} and same["task"] == "lift"
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in data} == data
    assert sorted(p.suffix for p in episode.iterdir()) == [".mcap", ".yaml"]


def test_many_processes_label_at_once_and_nothing_is_lost(episode: Path) -> None:
    count = 15
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, episode, f"p{n}", str(count)])
        for n in range(4)
    ]
    store = EpisodeStore(episode.parent)

    def label(by: str) -> None:
        for number in range(count):
            store.append_label(marked(Outcome.FAILURE, f"{by}_{number}", by))

    threads = [threading.Thread(target=label, args=(f"t{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    while any(w.poll() is None for w in writers):
        now = Episode.open(episode)  # a reader always finds it complete meanwhile
        assert now.events and now.size_bytes > 10_000
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert [w.returncode for w in writers] == [0] * 4
    log = Episode.open(episode).events
    given = [e.cause for e in log if e.kind is LabelKind.OUTCOME]
    names = [f"p{n}" for n in range(4)] + ["t0", "t1"]
    assert sorted(given) == sorted(f"{name}_{n}" for name in names for n in range(count))
    for name in names:  # each writer's labels in the order in which it gave them
        own = [int(c.partition("_")[2]) for c in given if c.startswith(f"{name}_")]
        assert own == list(range(count))
    assert_a_chain(log)


def test_a_killed_writer_leaves_the_old_or_the_new_metadata(episode: Path) -> None:
    chance = random.Random(7)
    before: list[LabelEvent] = Episode.open(episode).events
    for number in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, episode, f"w{number}", "0"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        while number % 2 and len(Episode.open(episode).events) < len(before) + 3:
            time.sleep(0.01)  # half of them are killed in full flow, however slow the machine
        time.sleep(chance.uniform(0.0, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        log = Episode.open(episode).events
        assert log[: len(before)] == before
        assert [e.cause for e in log[len(before) :]] == [
            f"w{number}_{n}" for n in range(len(log) - len(before))
        ]
        before = log
    assert len(before) > 8
    assert_a_chain(before)
    again = EpisodeStore(episode.parent).append_label(marked(Outcome.SUCCESS))
    assert again.events[-1].previous == before[-1].outcome.text + f": {before[-1].cause}"
    assert not (episode / "metadata.yaml.tmp").exists()


def test_no_other_process_labels_while_labels_are_decided(episode: Path) -> None:
    store = EpisodeStore(episode.parent)
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait()
        store.append_label(marked(Outcome.SUCCESS, by="other"))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    def decide(now: Episode) -> list[LabelEvent]:
        inside.set()
        assert not done.wait(0.2)
        assert now.labels.outcome is Outcome.UNLABELLED
        return [marked(Outcome.FAILURE, "a"), marked(Outcome.FAILURE, "b")]

    store.append_labels(episode, decide)
    thread.join()
    log = Episode.open(episode).events
    assert [e.previous for e in log[1:]] == ["unlabelled", "failure: a", "failure: b"]


def test_a_rejection_and_a_full_disk_change_nothing(
    episode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EpisodeStore(episode.parent)
    before = (episode / "metadata.yaml").read_bytes()

    def refuse(now: Episode) -> list[LabelEvent]:
        raise BagError("no")

    with pytest.raises(BagError, match="no"):
        store.append_labels(episode, refuse)

    def full(path: Path, metadata: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robot_recorder.episodes.store.write_metadata", full)
    with pytest.raises(BagError, match=r"No space left.*it is unchanged"):
        store.append_label(marked(Outcome.SUCCESS))
    assert (episode / "metadata.yaml").read_bytes() == before


def rewrite(path: Path, change) -> dict:
    file = path / "metadata.yaml"
    content = yaml.safe_load(file.read_text())
    change(content["rosbag2_bagfile_information"])
    file.write_text(yaml.safe_dump(content))
    return content["rosbag2_bagfile_information"]


@pytest.mark.parametrize("version", [5, 9])
def test_a_bag_of_another_recorder_can_be_labelled(tmp_path: Path, version: int) -> None:
    """Also if its version has no custom_data: readers use keys and skip unknown ones."""
    path = tmp_path / "their_bag"
    write_bag(McapWriter(), path, [("/a", wrench(T0 + i), T0 + i) for i in range(5)])

    def age(metadata: dict) -> None:
        metadata["version"] = version
        del metadata["custom_data"]
        if version < 9:
            del metadata["ros_distro"]
            for topic in metadata["topics_with_message_count"]:
                topic["topic_metadata"]["offered_qos_profiles"] = ""

    metadata = rewrite(path, age)
    event = LabelEvent(T0, "their_bag", LabelKind.OUTCOME, by="eve", outcome=Outcome.SUCCESS)
    labelled = EpisodeStore(tmp_path).append_label(event)
    assert labelled.labels.outcome is Outcome.SUCCESS
    after = Episode.open(path).metadata
    assert {k: v for k, v in after.items() if k != "custom_data"} == metadata
    with Reader(path) as reader:
        assert reader.message_count == 5


def test_custom_data_of_other_programs_is_kept(episode: Path) -> None:
    rewrite(episode, lambda m: m.update(custom_data={"task": "theirs", "episode_id": ID}))
    after = EpisodeStore(episode.parent).append_label(marked(Outcome.SUCCESS))
    assert after.facts["task"] == "theirs" and after.facts["outcome"] == "success"


def test_an_invalid_log_is_reported_and_not_changed(episode: Path) -> None:
    rewrite(episode, lambda m: m["custom_data"].update(labels="{rubbish"))
    before = (episode / "metadata.yaml").read_bytes()
    for use in (
        Episode.open(episode).__getattribute__,
        lambda _: LabelledEpisode.of(Episode.open(episode)),
    ):
        with pytest.raises(BagError, match="'labels' of custom_data"):
            use("events")
    with pytest.raises(BagError, match="'labels' of custom_data"):
        EpisodeStore(episode.parent).append_label(marked(Outcome.SUCCESS))
    assert (episode / "metadata.yaml").read_bytes() == before


def test_the_episodes_own_task_comes_before_the_registrys(episode: Path) -> None:
    now = LabelledEpisode.of(Episode.open(episode))
    registry = parse_tasks(
        "tasks: {lift: {instruction: Lift., failure_causes: [drop]}, fold: {instruction: Fold.}}"
    )
    assert now.task(registry) == OWN
    assert now.task(registry, "fold") == registry.find("fold")
    assert now.task(registry, "nobody") is None
    broken = LabelledEpisode(
        now.id, {"task_yaml": "tasks: {lift: {mood: good}}"}, now.events, now.span
    )
    assert broken.task(registry) == registry.find("lift")


def test_running_and_finished_episodes_are_found(episode: Path) -> None:
    store = EpisodeStore(episode.parent)
    found = look_up(store, ID)
    assert (found.id, found.labels.task) == (ID, "lift")
    assert (found.span.from_ns, found.span.to_ns) == (T0 - 5 * 10**8, T0 + 10**9)
    running = store.new_partial("arm_20260101T000001_000")
    running.mkdir()
    assert look_up(store, "arm_20260101T000001_000").facts == {}
    facts = {"start_ns": str(T0), "pre_roll_s": "0.5", **label_facts([marked(Outcome.SUCCESS)])}
    store.write_note(running, Note(facts, []))
    found = look_up(store, "arm_20260101T000001_000")
    assert found.labels.outcome is Outcome.SUCCESS and found.span.to_ns is None
    store.write_note(running, Note({"labels": "{"}, []))
    with pytest.raises(BagError, match="cannot be read"):
        look_up(store, "arm_20260101T000001_000")
    with pytest.raises(BagError, match=r"arm_20260101T000001_000.*recover"):
        store.append_label(LabelEvent(1, "arm_20260101T000001_000", LabelKind.OUTCOME))
    store.discard(episode)
    with pytest.raises(BagError, match="in the trash: restore it"):
        look_up(store, ID)
    with pytest.raises(BagError, match="in the trash: restore it"):
        store.append_label(marked(Outcome.SUCCESS))
