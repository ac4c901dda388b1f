"""Read and write rosbag2's ``metadata.yaml``.

Source: rosbag2_storage/include/rosbag2_storage/yaml.hpp, metadata version 9 (Jazzy, Kilted, Lyrical), and
rosbag2_storage/src/rosbag2_storage/metadata_io.cpp and rosbag2_transport/src/rosbag2_transport/qos.cpp
of Humble, version 5, which cannot read a later one. What version 5 does not know, Humble skips.
"""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from robot_recorder.bags.files import read_text, replace_text
from robot_recorder.bags.latched import MOST_LATCHED
from robot_recorder.model.errors import BagError
from robot_recorder.model.plain_data import MOST_BYTES, load_yaml
from robot_recorder.model.qos import POLICY_NAMES
from robot_recorder.model.topics import BagTopic

METADATA_FILE = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"
_NEEDED = ("topics_with_message_count", "message_count", "relative_file_paths")
_NEEDED_TIMES = (("starting_time", "nanoseconds_since_epoch"), ("duration", "nanoseconds"))
_EMPTY_START_NS = 2**63 - 1  # rosbag2's starting time of a bag without messages
REPEATED = "repeated"  # key of custom_data: the latched messages at the heads of later files


@dataclass(frozen=True)
class BagSummary:
    """Content of one data file, for the metadata of its bag.

    Attributes:
        file: name of the data file inside the directory.
        start_ns, end_ns: first and last receive time; ignored when there are no messages.
        counts: messages per topic, in the order of the topics; later topics may be left out.
        repeated: how many of them, by topic, an earlier file of the bag has, too.
    """

    file: str
    start_ns: int
    end_ns: int
    counts: Sequence[int]
    repeated: Mapping[str, int] = field(default_factory=dict)


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
        "offered_qos_profiles": offers_text(topic["offered_qos_profiles"], metadata_version()),
        "topic_type_hash": topic["type_description_hash"],
    }


def metadata_version() -> int:
    """Return the version that this ROS distribution reads; 9 without one."""
    return 5 if os.environ.get("ROS_DISTRO") == "humble" else 9


def offers_text(offers: Sequence[Any], version: int) -> str:
    """Return offered QoS as YAML, with the policies by number up to version 8, else by name.

    Args:
        offers: with the nine keys of rosbag2; policies by number or by name.
        version: of the metadata.
    """
    return dump_yaml([_offer(offer, version) for offer in offers])


def _offer(offer: Any, version: int) -> Any:
    """Return offered QoS as a version has it; what is neither number nor name of a policy stays."""
    if not isinstance(offer, Mapping):  # of a damaged bag
        return offer
    changed = dict(offer)
    for policy, names in POLICY_NAMES.items():
        value = offer.get(policy)
        if version < 9 and value in names:
            changed[policy] = names.index(value)
        elif version >= 9 and type(value) is int and 0 <= value < len(names):
            changed[policy] = names[value]
    return changed


def _described(topic: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a topic's entry as a version has it."""
    offers = topic["offered_qos_profiles"]
    if version < 9:
        return {**topic, "offered_qos_profiles": offers_text(offers, version)}
    return {**topic, "offered_qos_profiles": [_offer(offer, version) for offer in offers]}


def build_metadata(
    topics: list[dict[str, Any]],
    summary: BagSummary | Sequence[BagSummary],
    custom_data: dict[str, str],
) -> dict[str, Any]:
    """Build the content of a ``metadata.yaml`` for MCAP files, of the version that is read here.

    Args:
        topics: outputs of ``topic_metadata``.
        summary: content of the bag's data file, or of its files in order.
        custom_data: texts by key.
    """
    files = [summary] if isinstance(summary, BagSummary) else list(summary)
    counts = [sum(column) for column in zip_longest(*(f.counts for f in files), fillvalue=0)]
    counts += [0] * (len(topics) - len(counts))
    used = [file for file in files if any(file.counts)]
    first = min((file.start_ns for file in used), default=0)
    last = max((file.end_ns for file in used), default=0)
    repeated = [dict(file.repeated) for file in files]
    total, version = sum(counts), metadata_version()
    return {
        "version": version,
        "storage_identifier": "mcap",
        "duration": _duration(first, last, total),
        "starting_time": _starting_time(first, total),
        "message_count": total,
        "topics_with_message_count": [
            {"topic_metadata": _described(topic, version), "message_count": count}
            for topic, count in zip(topics, counts, strict=True)
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.file for file in files],
        "files": [
            {
                "path": file.file,
                "starting_time": _starting_time(file.start_ns, sum(file.counts)),
                "duration": _duration(file.start_ns, file.end_ns, sum(file.counts)),
                "message_count": sum(file.counts),
            }
            for file in files
        ],
        "custom_data": custom_data | ({REPEATED: json.dumps(repeated)} if any(repeated) else {}),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }


def _starting_time(start_ns: int, messages: int) -> dict[str, int]:
    return {"nanoseconds_since_epoch": start_ns if messages else _EMPTY_START_NS}


def _duration(start_ns: int, end_ns: int, messages: int) -> dict[str, int]:
    return {"nanoseconds": end_ns - start_ns if messages else 0}


def repeats_of(metadata: dict[str, Any]) -> list[dict[str, int]]:
    """Return for each data file how many messages of which topics it repeats at its head.

    These are latched messages of an earlier file, there so that each file can be played alone. The
    first file repeats none. Invalid values count as none.
    """
    files = len(metadata["relative_file_paths"])
    try:
        found = json.loads(custom_data_of(metadata).get(REPEATED, "[]"))
        counts = [{t: int(n) for t, n in file.items() if 0 < n <= MOST_LATCHED} for file in found]
    except (ValueError, TypeError, AttributeError, RecursionError):
        counts = []
    padded = counts[:files] + [{}] * (files - len(counts))
    return [{}, *padded[1:]] if files else []


def without_repeats(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return ``metadata.yaml`` content whose message counts leave out what its files repeat.

    The counts of ``files`` stay, and so does the key that says what is repeated.
    """
    if REPEATED not in custom_data_of(metadata):
        return metadata
    repeated = Counter[str]()
    for file in repeats_of(metadata):
        repeated.update(file)
    entries = []
    for entry in metadata["topics_with_message_count"]:
        name = entry["topic_metadata"]["name"]
        fewer = min(repeated.pop(name, 0), entry["message_count"])
        entries.append({**entry, "message_count": entry["message_count"] - fewer})
    total = sum(entry["message_count"] for entry in entries)
    return {**metadata, "topics_with_message_count": entries, "message_count": total}


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
    replace_text(directory / METADATA_FILE, metadata_text(metadata))


def read_metadata(directory: Path) -> dict[str, Any]:
    """Read the content of a bag's ``metadata.yaml``.

    Raises:
        BagError: the file is missing or invalid.
    """
    path = directory / METADATA_FILE
    try:
        text = read_text(path, MOST_BYTES)
    except FileNotFoundError as error:
        hint = "give the directory of an episode" if directory.exists() else "it does not exist"
        raise BagError(f"{directory} is not a bag, it has no {METADATA_FILE}: {hint}") from error
    except (OSError, ValueError) as error:
        raise _unreadable(directory, error) from error
    return parse_metadata(text, directory)


def parse_metadata(text: str, directory: Path) -> dict[str, Any]:
    """Parse the text of a bag's ``metadata.yaml``.

    Args:
        text: of the file.
        directory: of the bag, for messages.

    Raises:
        BagError: the text is invalid.
    """
    try:
        metadata = pickle.loads(_parsed(text))[_ROOT]
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
    except (ValueError, yaml.YAMLError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(directory, error) from error
    return dict(metadata)


def _unreadable(directory: Path, error: Exception) -> BagError:
    why = " ".join(str(error).split())
    return BagError(
        f"{directory / METADATA_FILE} cannot be read ({why}); "
        f"`robot-recorder recover {directory}` rebuilds it"
    )


def metadata_text(metadata: dict[str, Any]) -> str:
    """Return the text of a ``metadata.yaml`` with this content."""
    return dump_yaml({_ROOT: metadata})


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
