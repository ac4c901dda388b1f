"""The ``metadata.yaml`` of episodes at the centre: what a robot offered, with the labels that are valid now."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.metadata import (
    custom_data_of,
    metadata_text,
    parse_metadata,
    without_repeats,
)
from robot_recorder.catalogue.entry import Entry, entry_of
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.label_rules import MOST_MERGED
from robot_recorder.floor.centre.ingest.labels import whole_text
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import dump_plain, load_events, load_plain, merged
from robot_recorder.model.plain_data import check_count, load_json

_MOST_VALUES = 100_000  # of a YAML document; a robot with 300 topics has 10,000
MOST_METADATA_BYTES = 2_000_000  # libyaml holds all threads up while it reads
# Custom_data that follows from the labels.
_OF_LABELS = {"labels", "outcome", "cause", "task", "instruction", "operator"}
_RUBBISH = (
    AttributeError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError,
)  # fmt: skip
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # perhaps half a character, in JSON


@dataclass(frozen=True)
class OfferedEpisode:
    """What the text of a ``metadata.yaml`` says.

    Attributes:
        episode: it lies elsewhere.
        entry: of it.
        text: as it is kept: without halves of characters.
        digest: SHA-256 of all but the labels.
        bag: SHA-256 of what it says of the bag itself: files, topics, counts, times.
    """

    episode: Episode
    entry: Entry
    text: str
    digest: str
    bag: str


def read_offered(
    site: str, id: str, text: str, size_bytes: int, stamp_ns: int, most: int = MOST_METADATA_BYTES
) -> OfferedEpisode:
    """Return what the text of an episode's metadata says.

    Args:
        site: of the robot.
        id: that it was offered as.
        text: of its ``metadata.yaml``, from anybody.
        size_bytes: of its files, as far as it is known.
        stamp_ns: when it was offered.
        most: characters that the text may have.

    Raises:
        BagError: the text is invalid; the message says why.
    """
    if len(text) > most:
        raise BagError(f"the metadata.yaml of {id} is larger than {most} characters")
    path = Path(site) / id
    try:
        check_count(text, _MOST_VALUES)
        text, metadata = _whole(whole_text(text), path)
        episode = Episode(path, without_repeats(metadata))
        entry = entry_of(episode, stamp_ns, size_bytes)
        plain_log(episode)
        # Here, where odd values are refused, and not in the transaction that takes it.
        digest, bag = digest_without_labels(metadata), _digest_of_bag(metadata)
    except _RUBBISH as error:
        raise BagError(f"the metadata.yaml of {id} has impossible values: {error}") from error
    if episode.id != id:
        raise BagError(f"the metadata.yaml of {id} is of another episode, {episode.id[:80]!r}")
    texts = (entry.robot, entry.task, entry.operator, entry.cause, entry.reason, entry.skew_stream)
    if any("\0" in value or len(value) > 1000 for value in texts):
        raise BagError(
            f"the metadata.yaml of {id} has a text with a NUL or of over 1000 characters"
        )
    return OfferedEpisode(episode, entry, text, digest, bag)


def _whole(text: str, path: Path) -> tuple[str, dict[str, Any]]:
    """Return a text without halves of characters, also in the JSON of custom_data, and its content."""
    metadata = parse_metadata(text, path)
    custom = custom_data_of(metadata)
    whole = {whole_text(key): _whole_json(value) for key, value in custom.items()}
    if whole == custom:
        return text, metadata
    metadata = {**metadata, "custom_data": whole}
    return metadata_text(metadata), metadata


def _whole_json(value: str) -> str:
    value = whole_text(value)
    if not _HALF.search(value):
        return value
    try:
        plain = load_json(value)
    except ValueError:  # a text that happens to look like it
        return value
    whole = whole_text(plain)
    return value if whole == plain else json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def plain_log(episode: Episode) -> list[dict[str, Any]]:
    """Return the label events of an episode in plain form.

    Raises:
        BagError: they are invalid, or too many.
    """
    try:
        events = load_plain(episode.facts.get("labels", ""))
    except (ValueError, TypeError) as error:
        raise BagError(f"the labels of {episode.path.name} are invalid: {error}") from error
    if len(events) > MOST_MERGED:
        raise BagError(f"{episode.path.name} has {len(events)} labels, more than {MOST_MERGED}")
    return events


def digest_without_labels(metadata: dict[str, Any]) -> str:
    """Return a SHA-256 that changes when something other than the labels changes."""
    custom = {k: v for k, v in custom_data_of(metadata).items() if k not in _OF_LABELS}
    return _digest({**metadata, "custom_data": custom})


def digest_of_text(text: str) -> str:
    """Return the same for the text of a ``metadata.yaml``; for one that is broken a digest of its bytes."""
    try:
        return digest_without_labels(parse_metadata(text, Path("metadata")))
    except (BagError, *_RUBBISH):
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest_of_bag(metadata: Mapping[str, Any]) -> str:
    return _digest({key: value for key, value in metadata.items() if key != "custom_data"})


def _digest(plain: Any) -> str:
    text = json.dumps(_sortable(plain), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _sortable(value: Any) -> Any:
    """Return what JSON and its sorting take: YAML has keys of all kinds, and sets without an order."""
    if isinstance(value, dict):
        return {str(key): _sortable(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return [_sortable(item) for item in value] if isinstance(value, list | tuple) else value


def labelled(text: str, log: Sequence[dict[str, Any]]) -> str:
    """Return the text of a ``metadata.yaml`` with a label log; as it is, if it has that log already.

    Raises:
        BagError: the text is invalid.
    """
    metadata = parse_metadata(text, Path("metadata"))
    custom = custom_data_of(metadata)
    if not log or _same_log(custom.get("labels", ""), log):
        return text
    plain = dump_plain(log)
    custom = {**custom, **label_facts(load_events(plain)), "labels": plain}
    return metadata_text({**metadata, "custom_data": custom})


def _same_log(text: str, log: Sequence[dict[str, Any]]) -> bool:
    try:
        return merged(load_plain(text)) == list(log)
    except (ValueError, TypeError):
        return False


def packed(text: str) -> bytes:
    """Return a text as the database keeps it."""
    return zlib.compress(text.encode("utf-8", "replace"), 6)


def unpacked(data: bytes) -> str:
    """Return the text that ``packed`` got."""
    return zlib.decompress(data).decode()
