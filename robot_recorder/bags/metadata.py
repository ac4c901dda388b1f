"""Read and write rosbag2's ``metadata.yaml``.

Source: rosbag2_storage/include/rosbag2_storage/yaml.hpp, metadata version 9 (Jazzy, Kilted).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from robot_recorder.bags.files import read_text, replace_text
from robot_recorder.model.errors import BagError
from robot_recorder.model.plain_data import MOST_BYTES, load_yaml
from robot_recorder.model.topics import BagTopic

METADATA_FILE = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"
_NEEDED = ("topics_with_message_count", "message_count", "relative_file_paths")
_NEEDED_TIMES = (("starting_time", "nanoseconds_since_epoch"), ("duration", "nanoseconds"))
_EMPTY_START_NS = 2**63 - 1  # rosbag2's starting time of a bag without messages


@dataclass(frozen=True)
class BagSummary:
    """Content of a bag, for its metadata.

    Attributes:
        file: name of the data file inside the directory.
        start_ns, end_ns: first and last receive time; ignored when there are no messages.
        counts: messages per topic, in the order of the topics.
    """

    file: str
    start_ns: int
    end_ns: int
    counts: Sequence[int]


def topic_metadata(topic: BagTopic) -> dict[str, Any]:
    """Return a topic's entry for ``metadata.yaml``."""
    return {
        "name": topic.name,
        "type": topic.type,
        "serialization_format": "cdr",
        "offered_qos_profiles": [q.to_dict() for q in topic.offered_qos],
        "type_description_hash": topic.type_hash,
    }


def channel_metadata(topic: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of a topic's MCAP channel, with the keys of rosbag2_storage_mcap.

    Args:
        topic: output of ``topic_metadata``.
    """
    return {
        "offered_qos_profiles": dump_yaml(topic["offered_qos_profiles"]),
        "topic_type_hash": topic["type_description_hash"],
    }


def build_metadata(
    topics: list[dict[str, Any]], summary: BagSummary, custom_data: dict[str, str]
) -> dict[str, Any]:
    """Build the content of a version 9 ``metadata.yaml`` for one MCAP file.

    Args:
        topics: outputs of ``topic_metadata``.
        summary: content of the bag.
        custom_data: texts by key.
    """
    total = sum(summary.counts)
    start_ns = summary.start_ns if total else _EMPTY_START_NS
    starting_time = {"nanoseconds_since_epoch": start_ns}
    duration = {"nanoseconds": summary.end_ns - summary.start_ns if total else 0}
    return {
        "version": 9,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": starting_time,
        "message_count": total,
        "topics_with_message_count": [
            {"topic_metadata": topic, "message_count": count}
            for topic, count in zip(topics, summary.counts, strict=True)
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [summary.file],
        "files": [
            {
                "path": summary.file,
                "starting_time": starting_time,
                "duration": duration,
                "message_count": total,
            }
        ],
        "custom_data": dict(custom_data),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write every value in full: people do not resolve aliases."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    # A shell passes invalid UTF-8 on as lone surrogates, which no YAML reader accepts.
    value = value.encode("utf-8", "replace").decode()
    # YAML takes these characters for line breaks unless they are escaped.
    style = '"' if any(end in value for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text)


def dump_yaml(value: Any) -> str:
    """Return YAML as rosbag2 writes it: keys in order, lines unfolded, no aliases."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=2**31, allow_unicode=True, indent=2
    )


def write_metadata(directory: Path, metadata: dict[str, Any]) -> None:
    """Write ``metadata.yaml`` atomically and flush it to the disk."""
    replace_text(directory / METADATA_FILE, dump_yaml({_ROOT: metadata}))


def read_metadata(directory: Path) -> dict[str, Any]:
    """Read the content of a bag's ``metadata.yaml``.

    Raises:
        BagError: the file is missing or invalid.
    """
    path = directory / METADATA_FILE
    try:
        metadata = pickle.loads(_parsed(read_text(path, MOST_BYTES)))[_ROOT]
        for key in _NEEDED:
            if key not in metadata:
                raise KeyError(key)
        if type(metadata["message_count"]) is not int:
            raise TypeError("message_count is not a number")
        for entry in metadata["topics_with_message_count"]:
            described = entry["topic_metadata"]
            if not isinstance(described["name"], str) or not isinstance(described["type"], str):
                raise TypeError("a topic has no name or no type")
            if type(entry["message_count"]) is not int:
                raise TypeError(f"the message_count of {described['name']} is not a number")
        for key, unit in _NEEDED_TIMES:
            if type(metadata[key][unit]) is not int:
                raise TypeError(f"{key} is not a number")
        if not isinstance(metadata.get("custom_data") or {}, dict):
            raise TypeError("custom_data is not a mapping")
    except FileNotFoundError as error:
        hint = "give the directory of an episode" if directory.exists() else "it does not exist"
        raise BagError(f"{directory} is not a bag, it has no {METADATA_FILE}: {hint}") from error
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise BagError(
            f"{path} cannot be read ({why}); `robot-recorder recover {directory}` rebuilds it"
        ) from error
    return dict(metadata)


@lru_cache(maxsize=4)
def _parsed(text: str) -> bytes:
    """Return parsed YAML, pickled: a bag is opened several times in a row, and parsing is slow.

    Every caller gets a copy of its own, which it may change.
    """
    return pickle.dumps(load_yaml(text))


def parse_qos(offers: Any) -> list[Any]:
    """Return ``offered_qos_profiles`` as a list, parsed if it is YAML text; empty: unknown."""
    try:
        offers = load_yaml(offers) if isinstance(offers, str) else offers
    except (ValueError, yaml.YAMLError):
        return []
    return offers if isinstance(offers, list) else []


def custom_data_of(metadata: dict[str, Any]) -> dict[str, str]:
    """Return the custom_data of ``metadata.yaml`` content; empty: it has no custom_data."""
    custom = metadata.get("custom_data") or {}
    return {str(k): "" if v is None else str(v) for k, v in custom.items()}
