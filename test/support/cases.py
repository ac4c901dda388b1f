"""Bags as other tools and robots leave them, and what each command must print for each of them.

A case is a function that makes a bag in a directory. Its decorator lists what commands answer:
``says(exit code, words ...)``; a command that is not listed must only not fail unexpectedly.
To add a case, write a function with ``@case(...)``; test/cli/test_matrix.py runs every command on
it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zstandard
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapLibraryWriter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from robot_recorder.bags import mcap_records
from support import ros1

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
JOINT_STATE = "sensor_msgs/msg/JointState"
NAMES = tuple(f"j{i}" for i in range(6))
STEP = 10_000_000  # 100 Hz

COMMANDS = ("check", "show", "view", "align", "certificate", "play", "profile guess", "episodes",
            "label", "recover")  # fmt: skip


@dataclass(frozen=True)
class Says:
    """What a command answers.

    Attributes:
        code: exit code.
        words: texts that its output contains, on either stream.
        never: texts that its output does not contain.
    """

    code: int
    words: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def says(code: int, *words: str, never: Sequence[str] = ()) -> Says:
    return Says(code, words, tuple(never))


@dataclass(frozen=True)
class Case:
    """A bag and the expected answers.

    Attributes:
        name: of the function.
        make: makes the bag in an empty directory, and returns the path to call commands with.
        expected: answers by command.
        messages: number that every command that counts must find; None: not compared.
    """

    name: str
    make: Callable[[Path], Path]
    expected: Mapping[str, Says]
    messages: int | None


CASES: dict[str, Case] = {}


def case(messages: int | None = None, **expected: Says) -> Callable[..., Callable[[Path], Path]]:
    """Register a case; ``profile_guess`` is the command ``profile guess``."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        named = {command.replace("_", " "): said for command, said in expected.items()}
        assert set(named) <= set(COMMANDS), named
        CASES[make.__name__] = Case(make.__name__, make, named, messages)
        return make

    return register


# -- messages and bags


def header(stamp_ns: int, frame_id: str = "") -> Any:
    time = TYPES["builtin_interfaces/msg/Time"](stamp_ns // NS, stamp_ns % NS)
    return TYPES["std_msgs/msg/Header"](time, frame_id)


def joint_state(
    stamp_ns: int,
    names: Sequence[str],
    positions: Iterable[float],
    velocities: Iterable[float] = (),
    efforts: Iterable[float] = (),
) -> Any:
    values = [np.array(list(part), dtype=np.float64) for part in (positions, velocities, efforts)]
    return TYPES[JOINT_STATE](header(stamp_ns), list(names), *values)


def swing(number: int, joints: int = 6) -> np.ndarray:
    """Return the positions of sample ``number``, rad; every joint swings slowly."""
    return np.sin(np.arange(joints) + number / 40)


def cdr(message: Any, type_name: str = JOINT_STATE) -> bytes:
    return bytes(STORE.serialize_cdr(message, type_name))


def definition(type_name: str = JOINT_STATE) -> bytes:
    return STORE.generate_msgdef(type_name, ros_version=2)[0].encode()


def write_bag(
    path: Path,
    types: Mapping[str, str],
    messages: Iterable[tuple[str, int, Any]],
    plugin: StoragePlugin = StoragePlugin.MCAP,
) -> Path:
    """Write a bag with the rosbags library.

    Args:
        path: of the bag.
        types: type by topic.
        messages: (topic, log time, message), in the order of the file.
        plugin: format of the file.
    """
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {
            topic: writer.add_connection(topic, type_name, typestore=STORE)
            for topic, type_name in types.items()
        }
        for topic, log_ns, message in messages:
            writer.write(connections[topic], log_ns, cdr(message, types[topic]))
    return path


def steady(count: int = 300, topic: str = "/joint_states") -> list[tuple[str, int, Any]]:
    """Return joint states at 100 Hz."""
    stamps = [T0 + k * STEP for k in range(count)]
    return [(topic, t, joint_state(t, NAMES, swing(k))) for k, t in enumerate(stamps)]


def write_mcap(path: Path, messages: Iterable[tuple[str, int, bytes]], **how: Any) -> Path:
    """Write an MCAP file with the mcap library.

    Args:
        path: of the file.
        messages: (topic, log time, payload).
        how: ``schema``: (name, encoding, data); ``encoding``: of the messages; ``chunked``;
            ``indexed``;
            ``compression``; ``profile``.
    """
    indexed = how.get("indexed", True)
    with open(path, "wb") as file:
        writer = McapLibraryWriter(
            file,
            use_chunking=how.get("chunked", True),
            chunk_size=how.get("chunk_size", 100_000),
            compression=how.get("compression", CompressionType.ZSTD),
            index_types=how.get("index_types", IndexType.ALL if indexed else IndexType.NONE),
            repeat_channels=indexed,
            repeat_schemas=indexed,
            use_statistics=how.get("statistics", indexed),
            use_summary_offsets=indexed,
        )
        writer.start(profile=how.get("profile", "ros2"), library="somebody's")
        schema = writer.register_schema(*how.get("schema", (JOINT_STATE, "ros2msg", definition())))
        channels: dict[str, int] = {}
        for number, (topic, log_ns, data) in enumerate(messages):
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, how.get("encoding", "cdr"), schema)
            writer.add_message(channels[topic], log_ns, data, log_ns, number)
        writer.finish()
    return path


def as_bytes(messages: Iterable[tuple[str, int, Any]]) -> list[tuple[str, int, bytes]]:
    return [(topic, log_ns, cdr(message)) for topic, log_ns, message in messages]


# -- cases


@case(
    300,
    check=says(0, "accept"),
    show=says(0),
    align=says(0, "100.0% complete"),
    certificate=says(0, "100.0% complete"),
    play=says(0),
    profile_guess=says(0, "/joint_states"),
    episodes=says(0),
    label=says(0, "marked as success"),
)
def plain(folder: Path) -> Path:
    """A bag without defects."""
    return write_bag(folder / "plain", {"/joint_states": JOINT_STATE}, steady())


@case(
    300,
    check=says(0, "accept", "not checked: delays: all messages have one log time"),
    align=says(0, "100.0% complete", "all messages have one log time: header stamps are used"),
    certificate=says(
        0, "100.0% complete", "all messages have one log time: header stamps are used"
    ),
    profile_guess=says(0, "rate_hz: 100", "# All messages have one log time"),
)
def one_log_time(folder: Path) -> Path:
    """Recorded while simulated time stood still."""
    messages = [(topic, T0, message) for topic, _, message in steady()]
    return write_bag(folder / "bag", {"/joint_states": JOINT_STATE}, messages)


@case(
    300,
    check=says(1, "review", "(the profile is guessed)", never=("joint_jump", "reject")),
    align=says(0, "% complete"),
    profile_guess=says(0, "disorder_ms: "),
)
def log_order_not_header_order(folder: Path) -> Path:
    """Messages that were written again in another order."""
    order = np.argsort(np.arange(300) + np.random.default_rng(0).uniform(0, 20, 300))
    messages = [
        (topic, T0 + i * STEP, message)
        for i, (topic, _, message) in enumerate(steady()[k] for k in order.tolist())
    ]
    return write_bag(folder / "bag", {"/joint_states": JOINT_STATE}, messages)


# -- paths that are opened, and paths that are errors


NOT_A_BAG = "give a bag directory, an .mcap, .db3 or .bag file, or a folder of episodes"
REFUSED = {
    command: says(2, NOT_A_BAG)
    for command in (
        "check",
        "show",
        "view",
        "align",
        "certificate",
        "play",
        "profile_guess",
        "recover",
    )
}
READ_WHOLE = {
    "check": says(0, "accept", "300 messages"),
    "show": says(0),
    "view": says(0),
    "align": says(0, "100.0% complete"),
    "certificate": says(0, "100.0% complete"),
    "play": says(0, "300 messages of 300"),
    "profile_guess": says(0, "/joint_states"),
}
NO_METADATA = {**READ_WHOLE, "label": says(1, "has no metadata.yaml, where labels are kept"),
               "recover": says(0, "300 messages, read back by rosbags")}  # fmt: skip


@case(300, **NO_METADATA, episodes=says(0, "without metadata.yaml"))
def no_metadata(folder: Path) -> Path:
    """A directory with only an MCAP file."""
    path = folder / "no_metadata"
    path.mkdir()
    write_mcap(path / "no_metadata_0.mcap", as_bytes(steady()))
    return path


@case(300, **NO_METADATA)
def file_alone(folder: Path) -> Path:
    """A single MCAP file, as Foxglove writes it."""
    return write_mcap(folder / "alone.mcap", as_bytes(steady()))


@case(300, **NO_METADATA)
def db3_alone(folder: Path) -> Path:
    """A database of rosbag2 without its directory."""
    bag = write_bag(folder / "bag", {"/joint_states": JOINT_STATE}, steady(), StoragePlugin.SQLITE3)
    (file,) = bag.glob("*.db3")
    target = folder / "alone" / "alone.db3"
    target.parent.mkdir()
    return file.rename(target)


@case(
    300,
    **READ_WHOLE,
    label=says(1, "is a ROS 1 bag, which has no place for labels", "rosbags-convert --src"),
    recover=says(2, "is a ROS 1 bag, which is read as it is", "rosbag reindex"),
)
def ros1_bag(folder: Path) -> Path:
    """A bag of ROS 1."""
    sent = [m for m in ros1.kuavo_messages() if m[0] == "/joint_states"]
    return ros1.write_bag(folder / "ros1.bag", {"/joint_states": JOINT_STATE}, sent)


@case(
    None,
    check=says(1, "300 messages", "has no index, it was not ended", "rosbag reindex"),
    show=says(0, "has no index, it was not ended"),
    align=says(1, "has no index, it was not ended", "100.0% complete"),
    certificate=says(0, "100.0% complete"),
    play=says(1, "300 messages of 300", "has no index"),
    recover=says(2, "rosbag reindex"),
)
def ros1_active(folder: Path) -> Path:
    """A bag of ROS 1 whose recording was never ended."""
    return ros1.without_index(ros1_bag(folder)).rename(folder / "ros1.bag.active")


@case(
    None,
    check=says(1, "300 messages", "is cut off or damaged at byte"),
    show=says(0, "is cut off or damaged at byte"),
    align=says(1, "is cut off or damaged at byte", "100.0% complete"),
    certificate=says(0, "100.0% complete"),
    play=says(1, "300 messages of 300", "is cut off or damaged at byte"),
    recover=says(0, "300 messages, read back by rosbags"),
)
def cut_off(folder: Path) -> Path:
    """The end of the file is missing: index and footer, but no message."""
    path = write_mcap(folder / "cut.mcap", as_bytes(steady()), statistics=True)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 30)
    return path


@case(300, **NO_METADATA)
def no_message_indexes(folder: Path) -> Path:
    """Chunk indexes without message indexes: valid, but read as empty by some libraries."""
    return write_mcap(folder / "unindexed.mcap", as_bytes(steady()), index_types=IndexType.CHUNK)


@case(300, **NO_METADATA)
def no_chunks(folder: Path) -> Path:
    """Neither chunks nor an index."""
    return write_mcap(folder / "plain.mcap", as_bytes(steady()), chunked=False, indexed=False)


@case(300, **READ_WHOLE)
def two_part_types(folder: Path) -> Path:
    """sensor_msgs/JointState stands for sensor_msgs/msg/JointState."""
    schema = ("sensor_msgs/JointState", "ros2msg", definition())
    return write_mcap(folder / "short.mcap", as_bytes(steady()), schema=schema)


@case(300, **READ_WHOLE)
def storage_unnamed(folder: Path) -> Path:
    """``storage_identifier: ''``, as ``ros2 bag reindex`` writes it."""
    path = write_bag(folder / "unnamed", {"/joint_states": JOINT_STATE}, steady())
    _edit(path, "storage_identifier: mcap", "storage_identifier: ''")
    return path


@case(
    300,
    **{**READ_WHOLE, "check": says(1, "accept", "file: metadata.yaml says it lasts 50.000 s")},
)
def wrong_duration(folder: Path) -> Path:
    """The duration contradicts the messages."""
    path = write_bag(folder / "wrong", {"/joint_states": JOINT_STATE}, steady())
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["duration"]["nanoseconds"] = 50 * NS
    (path / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return path


@case(300, **READ_WHOLE)
def stored_out_of_order(folder: Path) -> Path:
    """Log times and stamps are right, but the file has its messages in another order."""
    messages = as_bytes(steady())
    order = np.random.default_rng(0).permutation(len(messages))
    return write_mcap(folder / "mixed.mcap", [messages[i] for i in order], chunk_size=20_000)


@case(
    None,
    check=says(0, "300 messages", "/config: its 30 messages are json, not cdr: not read"),
    show=says(0, "are json, not cdr: not read"),
    view=says(0, "are json, not cdr: not read"),
    align=says(0, "100.0% complete"),
    certificate=says(0),
    play=says(0, "300 messages of 300", "not played: /config"),
    profile_guess=says(0, "/joint_states", never=["/config"]),
)
def json_beside_cdr(folder: Path) -> Path:
    """One channel is JSON."""
    path = folder / "json.mcap"
    with open(path, "wb") as file:
        writer = McapLibraryWriter(file)
        writer.start("ros2", "somebody's")
        schema = writer.register_schema(JOINT_STATE, "ros2msg", definition())
        other = writer.register_schema("Config", "jsonschema", b"{}")
        joints = writer.register_channel("/joint_states", "cdr", schema)
        config = writer.register_channel("/config", "json", other)
        for number, (_, log_ns, data) in enumerate(as_bytes(steady())):
            writer.add_message(joints, log_ns, data, log_ns)
            if number % 10 == 0:
                writer.add_message(config, log_ns, b"{}", log_ns)
        writer.finish()
    return path


@case(None, **REFUSED, episodes=says(2, "not a bag but a folder of empty"))
def empty_folder(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


@case(None, **REFUSED)
def nothing_there(folder: Path) -> Path:
    return folder / "nothing"


@case(None, **REFUSED)
def a_pipe(folder: Path) -> Path:
    """Opening it would block without end."""
    path = folder / "pipe.mcap"
    os.mkfifo(path)
    return path


@case(
    check=says(1, "a FIFO, not a file"),
    align=says(2, "a FIFO, not a file"),
    show=says(2, "a FIFO, not a file"),
)
def a_pipe_in_a_bag(folder: Path) -> Path:
    path = write_bag(folder / "piped", {"/joint_states": JOINT_STATE}, steady())
    (file,) = path.glob("*.mcap")
    file.unlink()
    os.mkfifo(file)
    return path


@case(
    check=says(1, "its aliases stand for more than"),
    align=says(2, "its aliases stand for more than"),
    episodes=says(0, "its aliases stand for more than"),
)
def aliases(folder: Path) -> Path:
    """A few lines that expand to a billion values."""
    path = write_bag(folder / "aliases", {"/joint_states": JOINT_STATE}, steady())
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 10):
        bomb += f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n"
    with open(path / "metadata.yaml", "a") as file:
        file.write(bomb)
    return path


@case(
    check=says(1, "more than 256 MB are not unpacked"),
    align=says(2, "more than 256 MB are not unpacked"),
    recover=says(2, "more than 256 MB are not unpacked"),
)
def chunk_bomb(folder: Path) -> Path:
    """92 kB that claim to be 3 GB."""
    size = 3_000_000_000
    packer = zstandard.ZstdCompressor(level=1).compressobj(size=size)
    block = bytes(10_000_000)
    stored = b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()
    fixed = struct.pack("<QQQI", T0, T0 + NS, size, 0) + mcap_records.text("zstd")
    content = fixed + struct.pack("<Q", len(stored)) + stored
    begin = mcap_records.MAGIC + mcap_records.header("ros2", "somebody's")
    data = begin + mcap_records.record(mcap_records.Op.CHUNK, content) + mcap_records.data_end()
    path = folder / "bomb.mcap"
    path.write_bytes(data + mcap_records.tail(len(begin) + len(content) + 22, []))
    return path


@case(
    check=says(1, "must be at most 10000"),
    align=says(2, "must be at most 10000"),
    certificate=says(2, "must be at most 10000"),
)
def fifty_million_frames_a_second(folder: Path) -> Path:
    profile = (
        "robot: arm\nframe_rate_hz: 5.0e+7\nstreams:\n  joints: {topic: joint_states, "
        "type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}\n"
    )
    path = write_bag(folder / "fast", {"/joint_states": JOINT_STATE}, steady())
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["custom_data"] = {"profile_yaml": profile}
    (path / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return path


def _edit(path: Path, before: str, after: str) -> None:
    file = path / "metadata.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
