"""Bags of every ROS 2 distribution that docs/distributions.md lists: written for it, and read from it.

No rosbag2 is on the package index, so its versions are emulated by their sources (release repositories of
Humble 0.15.16, Jazzy 0.26.10, Kilted 0.32.0 and Lyrical 0.33.3).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from rosbags.rosbag2 import Reader
from support.samples import T0, WRENCH, wrench, wrench_topic

from robot_recorder.bags import metadata as metadata_module
from robot_recorder.bags.bag import opened
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import read_metadata, write_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.bags.rebuild import complete
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.playback.recorded_qos import recorded_offers

OFFER = OfferedQos("best_effort", "transient_local", "keep_last", 7, deadline_ns=40_000_000)
MESSAGES = [("/w", wrench(T0 + i), T0 + i) for i in range(5)]


# -- how Humble reads: metadata_io.cpp of rosbag2_storage, qos.cpp of rosbag2_transport


def as_humble_reads_offers(text: Any) -> list[dict[str, Any]]:
    """Convert as yaml-cpp does: ``as<std::string>`` of the text, ``as<int>`` of the policies."""
    assert isinstance(text, str), "bad conversion"
    offers = yaml.safe_load(text) or []
    for offer in offers:
        for key in ("history", "depth", "reliability", "durability", "liveliness"):
            assert type(offer[key]) is int, f"bad conversion of {key}"
        for key in ("deadline", "lifespan", "liveliness_lease_duration"):
            assert {type(offer[key][unit]) for unit in ("sec", "nsec")} == {int}
        assert type(offer["avoid_ros_namespace_conventions"]) is bool
    return list(offers)


def as_humble_reads(bag: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the offers of each topic of a bag that Humble's ``ros2 bag`` can read."""
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 5
    for key in ("storage_identifier", "compression_format", "compression_mode"):
        assert isinstance(metadata[key], str)
    for holder in (metadata, *metadata["files"]):
        assert type(holder["starting_time"]["nanoseconds_since_epoch"]) is int
        assert type(holder["duration"]["nanoseconds"]) is int
        assert type(holder["message_count"]) is int
    return {
        topic["topic_metadata"]["name"]: as_humble_reads_offers(
            topic["topic_metadata"]["offered_qos_profiles"]
        )
        for topic in metadata["topics_with_message_count"]
    }


def write(path: Path) -> None:
    """Write a bag of one topic with the distribution's metadata."""
    writer = McapWriter()
    writer.open(path, {"who": "test"})
    topic = wrench_topic("/w")
    channel = Channel(BagTopic(topic.name, topic.type, (OFFER,), topic.type_hash, topic.definition))
    writer.add_topic(channel)
    writer.write([Sample(channel, data, at, at) for _, data, at in MESSAGES])
    writer.close()


def channel_offers(path: Path) -> str:
    """Return what the MCAP file's only channel says of QoS, which ``ros2 bag play`` reads, too."""
    from mcap.reader import make_reader

    with open(path / f"{path.name}_0.mcap", "rb") as file:
        (channel,) = make_reader(file).get_summary().channels.values()  # type: ignore[union-attr]
    return str(channel.metadata["offered_qos_profiles"])


def test_on_humble_metadata_is_written_as_humble_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "humble")
    write(tmp_path / "bag")
    wanted = {"history": 1, "depth": 7, "reliability": 2, "durability": 1, "liveliness": 1}
    (offer,) = as_humble_reads(tmp_path / "bag")["/w"]
    assert wanted.items() <= offer.items() and offer["deadline"] == {"sec": 0, "nsec": 40_000_000}
    assert as_humble_reads_offers(channel_offers(tmp_path / "bag")) == [offer]
    # What version 5 does not have is there all the same: Humble skips it, later readers use it.
    found = read_metadata(tmp_path / "bag")
    assert found["custom_data"] == {"who": "test"} and found["ros_distro"] == "humble"


@pytest.mark.parametrize("distro", ["jazzy", "kilted", "lyrical", ""])
def test_elsewhere_policies_have_names(
    distro: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distro)
    write(tmp_path / "bag")
    found = read_metadata(tmp_path / "bag")
    assert found["version"] == 9
    (topic,) = found["topics_with_message_count"]
    assert topic["topic_metadata"]["offered_qos_profiles"] == [OFFER.to_dict()]
    assert yaml.safe_load(channel_offers(tmp_path / "bag")) == [OFFER.to_dict()]


def aged(metadata: dict[str, Any], version: int) -> dict[str, Any]:
    """Return metadata as an earlier version of rosbag2 writes it."""
    older = {**metadata, "version": version}
    entries = []
    for entry in metadata["topics_with_message_count"]:
        topic = dict(entry["topic_metadata"])
        if version < 9:
            offers = topic["offered_qos_profiles"]
            topic["offered_qos_profiles"] = metadata_module.offers_text(offers, version)
        if version < 7:
            del topic["type_description_hash"]
        if version < 4:
            topic["offered_qos_profiles"] = ""
        entries.append({**entry, "topic_metadata": topic})
    for key, since in (("files", 5), ("custom_data", 6), ("ros_distro", 8)):
        if version < since:
            del older[key]
    return {**older, "topics_with_message_count": entries}


@pytest.mark.parametrize("version", [3, 4, 5, 6, 7, 8, 9])
def test_metadata_of_every_version_is_read(version: int, tmp_path: Path) -> None:
    write(tmp_path / "bag")
    write_metadata(tmp_path / "bag", aged(read_metadata(tmp_path / "bag"), version))
    assert [(m.topic, m.data, m.receive_ns) for m in read_messages(tmp_path / "bag")] == MESSAGES
    with opened(tmp_path / "bag") as bag:
        (topic,) = bag.metadata["topics_with_message_count"]
        assert recorded_offers(topic["topic_metadata"]) == ((OFFER,) if version > 3 else ())
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == len(MESSAGES)


def test_a_bag_of_humble_that_is_recovered_elsewhere_gets_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "humble")
    write(tmp_path / "bag")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    complete(tmp_path / "bag")
    found = read_metadata(tmp_path / "bag")
    (topic,) = found["topics_with_message_count"]
    assert found["version"] == 9
    assert topic["topic_metadata"]["offered_qos_profiles"] == [OFFER.to_dict()]


def test_service_events_are_read_as_they_are(tmp_path: Path) -> None:
    """Recorded since Jazzy: a topic of type ``pkg/srv/Name_Event``, its schema is the service's."""
    rule = "=" * 80
    text = f"{rule}\nSRV: std_srvs/srv/SetBool\nbool data\n---\nbool success\nstring message\n"
    events = BagTopic("/arm/_service_event", "std_srvs/srv/SetBool_Event", (), "", text)
    writer = McapWriter()
    writer.open(tmp_path / "bag", {})
    channels = [Channel(wrench_topic("/w")), Channel(events)]
    for channel in channels:
        writer.add_topic(channel)
    writer.write([Sample(c, wrench(T0), T0 + i, T0) for i, c in enumerate(channels)])
    writer.close()
    found = [(m.topic, m.data) for m in read_messages(tmp_path / "bag")]
    assert found == [("/w", wrench(T0)), ("/arm/_service_event", wrench(T0))]


# -- rosbag2_py of each distribution: what _writer.cpp and _storage.cpp bind


@dataclass
class Emulated:
    """A rosbag2_py, and what it was asked to do."""

    module: ModuleType
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    topics: list[dict[str, Any]] = field(default_factory=list)


_OPTIONS = (
    "uri", "storage_id", "max_bagfile_size", "max_bagfile_duration", "max_cache_size",
    "storage_preset_profile", "storage_config_uri", "snapshot_mode",
)  # fmt: skip
STORAGE_OPTIONS = {
    "humble": _OPTIONS,
    "jazzy": (*_OPTIONS, "start_time_ns", "end_time_ns", "custom_data"),
    "kilted": (*_OPTIONS, "start_time_ns", "end_time_ns", "custom_data"),
    "lyrical": (
        *_OPTIONS, "start_time_ns", "end_time_ns", "custom_data", "max_bag_files",
        "max_cache_duration",
    ),
}  # fmt: skip


def strict(names: tuple[str, ...]) -> Any:
    """Return a class whose keywords are checked as pybind11 checks them."""

    class Options:
        def __init__(self, **given: Any) -> None:
            if unknown := given.keys() - set(names):
                raise TypeError(f"incompatible constructor arguments: {unknown}")
            self.given = given

    return Options


def emulate(distro: str) -> Emulated:
    """Return a rosbag2_py with the signatures of a distribution."""
    module = ModuleType("rosbag2_py")
    emulated = Emulated(module)
    later = distro != "humble"

    class Writer:
        def open(self, storage: Any, converter: Any) -> None:
            emulated.options = storage.given

        def create_topic(self, topic: Any) -> None:
            emulated.topics.append(topic.given)

        def write(self, *given: Any, **named: Any) -> None:
            emulated.calls.append(bound(distro, given, named))

        def close(self) -> None:
            pass

    if later:
        Writer.split_bagfile = lambda self: None  # type: ignore[attr-defined]
        module.to_rclcpp_qos_vector = lambda text, version: (text, version)  # type: ignore[attr-defined]
    names = ("name", "type", "serialization_format", "offered_qos_profiles")
    module.TopicMetadata = strict((*names, "id", "type_description_hash") if later else names)  # type: ignore[attr-defined]
    module.StorageOptions = strict(STORAGE_OPTIONS[distro])  # type: ignore[attr-defined]
    module.ConverterOptions = lambda *given: given  # type: ignore[attr-defined]
    module.SequentialWriter = Writer  # type: ignore[attr-defined]
    return emulated


def bound(distro: str, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Return (topic, data, receive, send, number) as the overloads of ``write`` take them.

    Raises:
        TypeError: no overload fits.
    """
    if distro == "humble":
        if len(given) != 3 or named:
            raise TypeError("incompatible function arguments")
        return (*given, given[2], 0)
    if distro == "jazzy":
        if len(given) not in (3, 4) or named:
            raise TypeError("incompatible function arguments")
        return (*given, given[2], 0) if len(given) == 3 else (*given, 0)
    order = ("topic_name", "message", "recv_timestamp", "send_timestamp", "sequence_number")
    short = ("topic_name", "message", "time_stamp", "sequence_number")
    for names in (short, order):  # pybind11 tries overloads in their order
        values = {**dict(zip(names, given)), **named}
        needed = set(names) - {"sequence_number"}
        if len(given) <= len(names) and needed <= values.keys() <= set(names):
            if names is short and not 0 <= values.get("sequence_number", 0) < 2**32:
                continue  # not a uint32_t
            receive = values.get("recv_timestamp", values.get("time_stamp"))
            send = values.get("send_timestamp", receive)
            number = values.get("sequence_number", 0)
            return values["topic_name"], values["message"], receive, send, number
    raise TypeError("incompatible function arguments")


@pytest.fixture(params=["humble", "jazzy", "kilted", "lyrical"])
def emulated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """The rosbag2_py of a distribution in the place of the installed one, if any."""
    fake = emulate(request.param)
    monkeypatch.setitem(sys.modules, "rosbag2_py", fake.module)
    monkeypatch.delitem(sys.modules, "robot_recorder.bags.rosbag2_writer", raising=False)
    monkeypatch.setenv("ROS_DISTRO", request.param)
    yield fake
    sys.modules.pop("robot_recorder.bags.rosbag2_writer", None)


def test_rosbag2_py_is_called_as_its_distribution_wants(emulated: Emulated, tmp_path: Path) -> None:
    writer = importlib.import_module("robot_recorder.bags.rosbag2_writer").Rosbag2Writer()
    humble = not hasattr(emulated.module, "to_rclcpp_qos_vector")
    writer.open(tmp_path / "bag", {"who": "test"})
    channel = Channel(BagTopic("/w", WRENCH, (OFFER,), "RIHS01_" + "0" * 64))
    writer.add_topic(channel)
    # A simulated clock begins at 0: such a send stamp must not be taken for a sequence number.
    samples = [Sample(channel, b"a", T0, 5), Sample(channel, b"b", T0 + 1, T0)]
    writer.write(samples)
    writer._writer = None  # nothing is on the disk to be synced
    assert emulated.options["storage_id"] == "mcap" and emulated.options["max_cache_size"] == 0
    assert emulated.options.get("custom_data") == (None if humble else {"who": "test"})
    (topic,) = emulated.topics
    if humble:
        (offer,) = as_humble_reads_offers(topic["offered_qos_profiles"])
        assert (offer["reliability"], offer["durability"]) == (2, 1)
        assert [c[:3] for c in emulated.calls] == [("/w", b"a", T0), ("/w", b"b", T0 + 1)]
    else:
        text, version = topic["offered_qos_profiles"]
        assert version == 9 and yaml.safe_load(text) == [OFFER.to_dict()]
        assert emulated.calls == [("/w", b"a", T0, 5, 0), ("/w", b"b", T0 + 1, T0, 0)]


def test_files_are_split_only_where_rosbag2_py_can(emulated: Emulated) -> None:
    from robot_recorder.bags.splitting import FileLimits

    rosbag2_writer = importlib.import_module("robot_recorder.bags.rosbag2_writer")
    limits = FileLimits(max_bytes=1_000_000)
    if hasattr(emulated.module.SequentialWriter, "split_bagfile"):
        rosbag2_writer.Rosbag2Writer(limits)
    else:
        with pytest.raises(ConfigError, match="cannot split files"):
            rosbag2_writer.Rosbag2Writer(limits)


def test_types_without_a_hash_are_written_and_read(tmp_path: Path) -> None:
    """Humble computes no type hashes."""
    writer = McapWriter()
    topic = wrench_topic("/w")
    channel = Channel(BagTopic(topic.name, topic.type, (), "", topic.definition))
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    writer.write([Sample(channel, data, at, at) for _, data, at in MESSAGES])
    writer.close()
    assert [m.data for m in read_messages(tmp_path / "bag")] == [m[1] for m in MESSAGES]
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == len(MESSAGES)
