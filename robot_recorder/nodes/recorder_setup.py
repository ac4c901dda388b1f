"""Read the recorder's parameters and create the channels of its own messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rclpy.node import Node
from rclpy.serialization import serialize_message

from robot_recorder.bags.files import FILE_MODE
from robot_recorder.bags.splitting import file_limits
from robot_recorder.bags.writer import writer_factory
from robot_recorder.configuration.dds import large_data_profile
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.encoding.encoders import MOST_BYTES, Encoders
from robot_recorder.episodes.locks import SERVICE_WAIT_S, Claim
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.trash import TrashLimits
from robot_recorder.floor.store import open_store
from robot_recorder.messages.installed_types import message_definition, type_hash
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.qos import Durability, OfferedQos, Qos, Reliability
from robot_recorder.model.topics import BagTopic, Channel
from robot_recorder.msg import ClockModels, FrameLayout
from robot_recorder.nodes.conversions import to_dropout, to_label, to_task
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import episodes_root, parameter
from robot_recorder.quality.picture_worker import PictureWorker
from robot_recorder.recorder.disk_space import DiskLimits
from robot_recorder.recorder.live_stream import LiveStream
from robot_recorder.recorder.own_channels import OwnChannels
from robot_recorder.recorder.recorder import Settings

_LATCHED = Qos(Reliability.RELIABLE, Durability.TRANSIENT_LOCAL)
_MB = 1_000_000


def recorder_settings(node: Node, tasks: TaskRegistry, pictures: PictureWorker) -> Settings:
    """Declare and read the parameters of recording."""
    writer = parameter(node, "writer", "mcap", "bag writer: mcap or rosbag2_py")
    limits = file_limits(
        parameter(node, "max_file_mb", 0, "MB of an episode's data file; 0: no limit"),
        parameter(node, "max_file_s", 0.0, "s that an episode's data file covers; 0: no limit"),
    )
    max_episode_s = parameter(node, "max_episode_s", 600.0, "s; a longer episode is stopped")
    min_free_mb = parameter(node, "min_free_mb", 500, "MB of the disk that are always kept free")
    ring_mb = parameter(node, "max_ring_mb", 512, "MB of memory for the pre-roll")
    queue_mb = parameter(
        node, "max_queue_mb", 512, "MB that may wait for the disk; more is dropped"
    )
    pre_roll_s = parameter(node, "pre_roll_s", 2.0, "s before the start that belong to an episode")
    check = parameter(
        node, "check", True, "check the quality while recording; the verdict is known at stop"
    )
    return Settings(
        writer_factory(writer, limits),
        pre_roll_s,
        ring_mb * _MB,
        queue_mb * _MB,
        DiskLimits(max_episode_s, min_free_mb * _MB),
        check,
        tasks,
        pictures,
        trash_limits(node),
        str(large_data_profile()),
    )


def compresses(node: Node) -> bool:
    """Declare and read whether finished episodes are compressed while nothing is recorded.

    Raises:
        ConfigError: the parameter is neither never nor idle, or the library is missing.
    """
    when = parameter(node, "compress", "never", "compress finished episodes: never, idle")
    if when not in ("never", "idle"):
        raise ConfigError(f"parameter 'compress' is '{when}': give never or idle")
    if when == "never":
        return False
    from robot_recorder.episodes.compression import need_library  # off unless it is wanted

    need_library("compress:=idle")
    return True


def trash_limits(node: Node) -> TrashLimits:
    """Declare and read the limits of the trash."""
    days = parameter(node, "trash_days", 7.0, "days that discarded episodes are kept")
    gb = parameter(
        node, "trash_max_gb", 20.0, "GB of discarded episodes above which a warning is shown"
    )
    return TrashLimits(days, gb * 1e9)


def encoders_of(node: Node, streams: Sequence[LiveStream]) -> Encoders:
    """Declare and read the memory of the encoders, and start them; none, if no stream is encoded.

    Raises:
        ConfigError: an encoded stream would be recorded on the topic of another stream.
    """
    text = "MB of raw pictures that may wait to be encoded; more is dropped"
    mb = parameter(node, "max_encode_mb", MOST_BYTES // _MB, text)
    encoded = [stream.encoded for stream in streams if stream.encoded is not None]
    topics = Counter(s.channel.topic for s in {s.channel: s for s in streams}.values())
    for stream in encoded:
        if topics[stream.channel.topic] > 1:
            raise ConfigError(
                f"stream '{stream.config.name}': another stream is {stream.channel.topic}, on which it "
                "is recorded: remove one of them"
            )
    encoders = Encoders(encoded, max(1, mb) * _MB)
    encoders.start()
    return encoders


def episode_store(node: Node) -> EpisodeStore:
    """Declare and read root and file mode; return the store of episodes."""
    text = "mode of the files, octal text such as 0640; directories get x wherever files have r"
    mode = parameter(node, "file_mode", f"{FILE_MODE:04o}", text)
    return open_store(episodes_root(node), parse_mode(mode), SERVICE_WAIT_S)


def parse_mode(text: str) -> int:
    """Parse a file mode in octal text.

    Raises:
        ConfigError: it is not octal, or the owner could not read and write.
    """
    try:
        mode = int(text, 8)
    except ValueError:
        mode = 0
    if mode & 0o600 != 0o600 or mode & ~0o666:
        raise ConfigError(
            f"parameter 'file_mode' is {text!r}: give four octal digits as text: \"'0600'\" for the owner "
            "alone, 0640 for the group to read, 0660 for the group to label, 0644 for everybody to read"
        )
    return mode


def claim(node: Node, store: EpisodeStore, robot: str) -> Claim | None:
    """Claim the robot in the root unless ``second_recorder`` is set; log if it is taken."""
    text = "record although another recorder of the same robot records into the same root"
    if parameter(node, "second_recorder", False, text):
        return None
    claimed = Claim(store.root, robot)
    if problem := claimed.problem():
        NodeLog(node).error(problem)
    return claimed


def own_channels(node: Node, ingest: Ingest) -> OwnChannels:
    """Subscribe to the package's own topics; create the channels the recorder writes itself."""
    frames = ingest.subscribe("synchronizer/frames", "robot_recorder/msg/AlignedFrame")
    about_frames = frozenset(
        ingest.subscribe(topic, f"robot_recorder/msg/{kind.__name__}", _LATCHED)
        for topic, kind in (
            ("synchronizer/layout", FrameLayout),
            ("synchronizer/clocks", ClockModels),
        )
    )
    return OwnChannels(
        _own_channel(node, "labeller/labels", "robot_recorder/msg/Label"),
        frames,
        _own_channel(node, "recorder/dropouts", "robot_recorder/msg/Dropout"),
        _own_channel(node, "labeller/task", "robot_recorder/msg/Task", "transient_local"),
        lambda event: bytes(serialize_message(to_label(event))),
        lambda loss: bytes(serialize_message(to_dropout(loss))),
        lambda event: bytes(serialize_message(to_task(event))),
        about_frames,
    )


def _own_channel(node: Node, topic: str, kind: str, durability: str = "volatile") -> Channel:
    """Create a channel without subscription; messages published on its topic are not recorded."""
    name, qos = node.resolve_topic_name(topic), OfferedQos(durability=durability)
    described = BagTopic(name, kind, (qos,), type_hash(kind), message_definition(kind))
    return Channel(described, latched=durability == "transient_local")
