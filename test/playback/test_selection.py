"""The selection decides which topics are played, and from where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.playback.selection import choose

SECOND = 10**9


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    messages = [(t, wrench(T0), T0 + i * SECOND) for i in range(11) for t in ("/a", "/b")]
    write_bag(McapWriter(), tmp_path / "bag", messages)
    return tmp_path / "bag"


def changed(bag: Path, change) -> Episode:
    path = bag / "metadata.yaml"
    content = yaml.safe_load(path.read_text())
    change(content["rosbag2_bagfile_information"])
    path.write_text(yaml.safe_dump(content))
    return Episode.open(bag)


def test_all_topics_or_some_can_be_selected(bag: Path) -> None:
    everything = choose(Episode.open(bag))
    assert {t.name: n for t, n in everything.topics.items()} == {"/a": 11, "/b": 11}
    assert everything.span_ns == (T0, T0, T0 + 10 * SECOND) and everything.duration_s == 10
    some = choose(Episode.open(bag), ["b"], 2.5)
    assert [t.name for t in some.topics] == ["/b"] and some.start_s == 2.5
    assert choose(Episode.open(bag), start_s=10.0).start_s == 10


@pytest.mark.parametrize("start_s", [-0.1, 10.1, float("nan"), float("inf")])
def test_a_start_outside_of_the_bag_is_an_error(bag: Path, start_s: float) -> None:
    with pytest.raises(ConfigError, match=r"is not within .*bag, which is 10\.0 s long"):
        choose(Episode.open(bag), start_s=start_s)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("serialization_format", "json", "its messages are json, not cdr"),
        ("type", "a/srv/B_Event", "a/srv/B_Event belongs to a service or an action"),
    ],
)
def test_topics_that_cannot_be_played_are_named(
    bag: Path, key: str, value: str, reason: str
) -> None:
    def change(content) -> None:
        content["topics_with_message_count"][0]["topic_metadata"][key] = value

    choice = choose(changed(bag, change))
    assert choice.unplayable == {"/a": reason}
    assert [t.name for t in choice.topics] == ["/b"]


def test_a_bag_without_messages_is_an_error(bag: Path) -> None:
    def change(content) -> None:
        for topic in content["topics_with_message_count"]:
            topic["message_count"] = 0

    with pytest.raises(BagError, match="holds no messages: there is nothing to play"):
        choose(changed(bag, change))
    with pytest.raises(BagError, match="holds no messages on /a: "):
        choose(Episode.open(bag), ["/a"])
