"""What a killed recorder leaves behind, and what other libraries read of it."""

from __future__ import annotations

from pathlib import Path

from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import topic_metadata
from robot_recorder.bags.splitting import NO_LIMITS, FileLimits
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.topics import Channel, Sample
from support.samples import T0, wrench, wrench_topic

ID = "arm_20231114T221320_000_lift"
EVENTS = [
    LabelEvent(T0, ID, LabelKind.TASK, task="lift"),
    LabelEvent(T0, ID, LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="slip"),
]
TOPICS = ("/a", "/b", "/c")
ROUNDS, PER_ROUND = 8, 300


def record(
    root: Path, close: bool = False, limits: FileLimits = NO_LIMITS
) -> tuple[Path, dict[str, list[bytes]]]:
    """A ``.partial`` with eight synced chunks of three topics, as a killed recorder leaves it.

    /c is latched. Cut into files, only the last of them is unfinished.
    """
    store = EpisodeStore(root)
    partial = root / f"{ID}.partial"
    writer = McapWriter(limits)
    sent: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
    channels = [Channel(wrench_topic(topic), latched=topic == "/c") for topic in TOPICS]
    writer.open(partial, {})
    for channel in channels:
        writer.add_topic(channel)
    now = T0
    for _ in range(ROUNDS):
        samples = []
        for number in range(PER_ROUND):
            now += 1_000_000
            channel = channels[number % 3]
            data = wrench(now, frame_id=f"{channel.topic} {number}")
            sent[channel.topic].append(data)
            samples.append(Sample(channel, data, now, now))
        writer.write(samples)
        writer.sync()
    topics = [
        {**topic_metadata(c.bag_topic), "definition": c.bag_topic.definition} for c in channels
    ]
    facts = {"episode_id": ID, "robot": "arm", "start_ns": str(T0), **label_facts(EVENTS)}
    store.write_note(partial, Note(facts, topics))
    if close:
        writer.close()
    return partial, sent


def data_file(folder: Path) -> Path:
    (path,) = folder.glob("*.mcap")
    return path


def read_by_others(path: Path) -> list[int]:
    """Count the messages that the mcap and the rosbags library read from a bag directory."""
    with open(data_file(path), "rb") as file:
        by_mcap = sum(1 for _ in make_reader(file, validate_crcs=True).iter_messages())
    with Reader(path) as reader:
        return [by_mcap, sum(1 for _ in reader.messages())]
