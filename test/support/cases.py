"""Bags as other people's tools and robots leave them, and what each command has to say of each.

A case is a function that makes a bag in a folder. Beside it stands what every command answers:
``says(exit code, words ...)``; a command that is not named must only not fail in a way nobody thought of.
To add a case, write a function with ``@case(...)``; test/cli/test_matrix.py runs it through every command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapLibraryWriter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

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
        words: all of them are in what it prints, on either stream.
        never: none of them is.
    """

    code: int
    words: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def says(code: int, *words: str, never: Sequence[str] = ()) -> Says:
    return Says(code, words, tuple(never))


@dataclass(frozen=True)
class Case:
    """A bag, and what is right to say of it.

    Attributes:
        make: makes it in an empty folder, and gives the path that commands are called with.
        expected: by command.
        messages: how many every command that counts has to find; None: not compared.
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
    """Positions of sample ``number``: every joint swings, slowly and smoothly. rad."""
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
    """A bag by the rosbags library.

    Args:
        types: type by topic.
        messages: (topic, log time, message), in the order of the file.
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
    """Joint states at 100 Hz."""
    stamps = [T0 + k * STEP for k in range(count)]
    return [(topic, t, joint_state(t, NAMES, swing(k))) for k, t in enumerate(stamps)]


def write_mcap(path: Path, messages: Iterable[tuple[str, int, bytes]], **how: Any) -> Path:
    """An MCAP file by the mcap library.

    Args:
        messages: (topic, log time, payload).
        how: ``schema``: (name, encoding, data); ``encoding``: of the messages; ``chunked``; ``indexed``;
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
    """Nothing is wrong with it."""
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
    """Recorded with simulated time that stood still."""
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
