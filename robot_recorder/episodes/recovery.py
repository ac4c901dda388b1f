"""Recover episodes whose recording ended without a stop; move them to quarantine if that fails."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import is_real_directory, is_regular
from robot_recorder.bags.mcap_file import Declarations
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChannelRecord, SchemaRecord, is_repeated, span
from robot_recorder.bags.mcap_repair import is_blank, repair
from robot_recorder.bags.mcap_scan import ScanResult, scan
from robot_recorder.bags.metadata import (
    METADATA_FILE,
    BagSummary,
    build_metadata,
    custom_data_of,
    parse_qos,
    read_metadata,
    write_metadata,
)
from robot_recorder.bags.read_back import confirm
from robot_recorder.bags.rebuild import copy_with_indexes
from robot_recorder.episodes.facts import encoded_topics
from robot_recorder.episodes.locks import HeldError, Lock
from robot_recorder.episodes.store import EpisodeStore, Note, lock_name
from robot_recorder.model.errors import BagError, DiskError
from robot_recorder.model.ids import PARTIAL


@dataclass(frozen=True)
class RecoveryResult:
    """The result of recovering one ``.partial`` directory.

    Attributes:
        path: where it is now.
        ok: whether it is an episode now.
        message: what was recovered, or why it failed.
        messages: message count of the episode.
    """

    path: Path
    ok: bool
    message: str
    messages: int = 0


class RecordingLock(Lock):
    """The lock of a running episode; keeps others from recovering its ``.partial`` directory."""

    def __init__(self, partial: Path) -> None:
        """Take the lock, before the directory is created.

        Raises:
            HeldError: another process holds it.
            DiskError: the lock file cannot be created.
        """
        try:
            super().__init__(partial.parent, lock_name(partial), wait_s=0)
        except HeldError as error:
            raise HeldError(f"{partial} is being recorded by {error}: stop that first") from error
        except OSError as error:
            raise DiskError(f"{partial} cannot be locked: {error}") from error


def recover_all(
    store: EpisodeStore, on_result: Callable[[RecoveryResult], None] = lambda _: None
) -> list[RecoveryResult]:
    """Recover every ``.partial`` directory below a root that is not being recorded.

    Args:
        store: the store of the root.
        on_result: called with each result.
    """
    results = []
    for partial in store.unfinished():
        try:
            lock = RecordingLock(partial)
        except HeldError:
            continue
        except DiskError as error:
            results.append(RecoveryResult(partial, False, str(error)))
        else:
            with lock:
                if not partial.exists():  # finished or recovered meanwhile
                    continue
                results.append(recover(store, partial))
        on_result(results[-1])
    return results


def recover(
    store: EpisodeStore,
    partial: Path,
    facts: Callable[[dict[str, int]], dict[str, str]] = lambda _: {},
) -> RecoveryResult:
    """Turn a ``.partial`` directory into an episode, or move it to quarantine.

    Args:
        store: the store of its root.
        partial: the directory.
        facts: returns custom_data to add to what the recorder noted, given the message count of
            each topic in the file.
    """
    try:
        contents, counts, by = repair_partial(store, partial, facts)
    except DiskError as error:
        kept = "it is kept; the next start tries again" if partial.exists() else "it is gone"
        return RecoveryResult(partial, False, f"{error}; {kept}")
    except BagError as error:
        if isinstance(error.__cause__, OSError):  # the machine's fault, not the file's
            return RecoveryResult(
                partial, False, f"{error}; it is kept; the next start tries again"
            )
        return _put_away(store, partial, str(error))
    except OSError as error:
        return RecoveryResult(
            partial, False, f"{partial}: {error}; it is kept; the next start tries again"
        )
    except Exception as error:  # whatever is wrong with this one: the others come next
        return _put_away(store, partial, f"repairing failed: {type(error).__name__}: {error}")
    try:
        path = store.finalise(partial, {})
    except BagError as error:
        return RecoveryResult(partial, False, str(error))
    total, missing = sum(counts.values()), sum(sum(file.gaps.values()) for file in contents)
    text = f"recovered {path.name}: {total} messages" + (f", {missing} missing" if missing else "")
    return RecoveryResult(path, True, f"{text}, {by}", total)


def _put_away(store: EpisodeStore, partial: Path, reason: str) -> RecoveryResult:
    try:
        return RecoveryResult(store.quarantine(partial, reason), False, reason)
    except BagError as error:
        return RecoveryResult(partial, False, f"{reason}; {error}")


def repair_partial(
    store: EpisodeStore, partial: Path, facts: Callable[[dict[str, int]], dict[str, str]]
) -> tuple[list[ScanResult], dict[str, int], str]:
    """Turn a ``.partial`` directory into a valid bag, without renaming it.

    Returns:
        The scan's result of each file, the message count of each topic in the bag without what files
        repeat of earlier ones, and which reader confirmed it.

    Raises:
        BagError: it cannot be repaired.
        DiskError: the disk is full, failing or gone; it can be tried again.
    """
    note = store.read_note(partial)
    contents, unreadable = _repair_files(_data_files(partial), _noted(note))
    files, every = list(contents), list(contents.values())
    counts: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    for file, found in contents.items():
        _check_again(file, counted(found))
        if found.unindexed:  # some readers skip chunks without index
            _copy_in_place(file)
        counts.update(counted(found))
        if file != files[0]:
            repeated.update(_repeats(found))
    topics, summaries = _topics(contents, note)
    custom = {
        "episode_id": partial.stem, **note.facts,
        "stop_ns": str(max(summary.end_ns for summary in summaries)),
        **_missing(every, counts - repeated, unreadable, note), **_finalised_facts(partial),
        "recovered": "true", **facts(dict(counts - repeated)),
    }  # fmt: skip
    try:
        write_metadata(partial, build_metadata(topics, summaries, custom))
    except OSError as error:
        raise DiskError(f"writing {partial / METADATA_FILE} failed: {error.strerror}") from error
    reader = confirm(partial, counts)
    by = f"read back by {reader}" if reader else "not read back: pip install rosbags"
    return every, dict(counts - repeated), by


def _data_files(partial: Path) -> list[Path]:
    """Return the data files of a ``.partial`` directory, in the order in which they were written.

    Raises:
        BagError: the bag has no data files, or one is not of this bag.
        DiskError: the directory is gone.
    """
    if not is_real_directory(partial):
        raise DiskError(f"{partial} is gone: check that its disk is mounted")
    files = list(partial.glob("*.mcap"))
    if not files:
        raise BagError(f"{partial} cannot be repaired: no data file")
    strange = [f.name for f in files if not is_regular(f) or f.stat().st_nlink > 1]
    if strange:  # repairing it would change a file outside of the root
        raise BagError(
            f"{partial} cannot be repaired: {strange[0]} is a link or not a regular file"
        )
    if len(files) == 1:
        return files
    # Some may have been renamed already, after the final name of the directory.
    own = re.compile(rf"{re.escape(partial.stem)}(?:{PARTIAL})?_(\d+)\.mcap")
    numbers = {file: match[1] for file in files if (match := own.fullmatch(file.name))}
    if len(set(numbers.values())) != len(files):
        other = [file.name for file in files if file not in numbers] or [max(f.name for f in files)]
        raise BagError(f"{partial} cannot be repaired: {other[0]} is not one of its data files")
    return sorted(files, key=lambda file: int(numbers[file]))


def _repair_files(
    files: list[Path], known: Declarations
) -> tuple[dict[Path, ScanResult], list[str]]:
    """Repair each file; put those aside that hold no message.

    The last file holds none if the recorder was killed when it had just begun it.

    Returns:
        The scan's results by file, and the names of files that hold something unreadable.

    Raises:
        BagError: no file can be repaired.
        DiskError: the disk is full or failing.
    """
    contents: dict[Path, ScanResult] = {}
    failed: dict[Path, str] = {}  # why; an error would keep the frames that it passed alive
    for file in files:
        try:
            contents[file] = repair(file, known)
        except BagError as error:
            if isinstance(error.__cause__, OSError):
                raise
            failed[file] = str(error)
    if not contents:
        raise BagError(next(iter(failed.values())))
    aside = [file for file in failed if not is_blank(file)]
    try:
        for file in failed:
            if file in aside:
                os.replace(file, file.with_name(f"{file.name}.unreadable"))
            else:
                file.unlink()
    except OSError as error:
        raise DiskError(f"{files[0].parent} cannot be repaired: {error}") from error
    return contents, [file.name for file in aside]


def _copy_in_place(file: Path) -> None:
    """Replace a file by a copy with all indexes."""
    copy = file.with_name(file.name + ".copy")
    try:
        copy_with_indexes(McapIndex.open(file), copy)
        os.replace(copy, file)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise DiskError(f"copying {file} failed: {error.strerror}") from error


def counted(contents: ScanResult) -> dict[str, int]:
    """Return the message count of each topic in a file; several channels may share a topic."""
    counts: dict[str, int] = {}
    for channel in contents.channels.values():
        counts[channel.topic] = counts.get(channel.topic, 0) + contents.counts.get(channel.id, 0)
    return counts


def _repeats(contents: ScanResult) -> dict[str, int]:
    """Return how many messages of each topic repeat an earlier file."""
    found: Counter[str] = Counter()
    for id, channel in contents.channels.items():
        if is_repeated(channel) and contents.counts.get(id):
            found[channel.topic] += contents.counts[id]
    return dict(found)


def _finalised_facts(partial: Path) -> dict[str, str]:
    """Return the facts written when finalising had begun: more exact than recovered ones."""
    if not is_regular(partial / METADATA_FILE):
        return {}
    try:
        facts = custom_data_of(read_metadata(partial))
    except BagError:
        return {}
    return facts if "stop_ns" in facts else {}


def _check_again(path: Path, counts: dict[str, int]) -> None:
    """Scan the repaired file and compare; raise BagError if it is still damaged."""
    again = scan(path)
    now = counted(again)
    if not again.sound or {t: n for t, n in now.items() if n} != {
        t: n for t, n in counts.items() if n
    }:
        raise BagError(
            f"{path} cannot be repaired: after the repair it has {sum(now.values())} messages "
            f"instead of {sum(counts.values())}"
        )


def _missing(
    contents: list[ScanResult], counts: Counter[str], unreadable: list[str], note: Note
) -> dict[str, str]:
    """Return the facts about what is missing; losses before the files were written are unknown."""
    gaps: Counter[str] = Counter()
    for file in contents:
        for channel in file.channels.values():
            gaps[channel.topic] += file.gaps.get(channel.id, 0)
    lost: dict[str, int | None] = {"dds": None, "ring": None, "queue": None}
    at_encoder = {topic: {"encoder": None} for topic in encoded_topics(note.facts)}
    streams = {
        topic: {
            "written": counts[topic],
            "lost": {**lost, "writer": gap, **at_encoder.get(topic, {})},
        }
        for topic, gap in gaps.items()
    }
    missing = {
        "unreadable_bytes": sum(length for file in contents for _, length in file.damaged),
        "unreadable_messages": gaps.total(),
        **({"unreadable_files": unreadable} if unreadable else {}),
        "end": "up to the last second before the recording ended",
        **({"note": note.problem} if note.problem else {}),
    }
    return {"streams": json.dumps(streams), "missing": json.dumps(missing)}


def _noted(note: Note) -> Declarations:
    """Return schemas and channels, numbered as by the writer when it added the note's topics."""
    declared = Declarations()
    for topic in note.topics:
        declared.add(topic, str(topic.get("definition", "")))
    return declared


def _topics(
    contents: dict[Path, ScanResult], note: Note
) -> tuple[list[dict[str, Any]], list[BagSummary]]:
    """Return the topics for ``metadata.yaml``, and the content of each file."""
    topics: list[dict[str, Any]] = []
    summaries: list[BagSummary] = []
    for path, file in contents.items():
        counts: Counter[int] = Counter()
        for channel in file.channels.values():
            topic = _topic(channel, file.schemas[channel.schema_id], note)
            if topic not in topics:
                topics.append(topic)
            counts[topics.index(topic)] += file.counts.get(channel.id, 0)
        in_order = [counts[number] for number in range(len(topics))]
        repeated = _repeats(file) if summaries else {}
        summaries.append(BagSummary(path.name, *span(file.chunks), in_order, repeated))
    return topics, summaries


def _topic(channel: ChannelRecord, schema: SchemaRecord, note: Note) -> dict[str, Any]:
    """Return a topic for ``metadata.yaml``: from its channel, missing values from the note.

    The QoS comes from the channel, because the writer may have stored another one than noted, and
    readers skip a channel whose QoS differs from the metadata.
    """
    noted = next((topic for topic in note.topics if topic["name"] == channel.topic), {})
    hash = channel.metadata.get("topic_type_hash", "")
    return {
        "name": channel.topic,
        "type": schema.name,
        "serialization_format": channel.message_encoding,
        "offered_qos_profiles": parse_qos(channel.metadata.get("offered_qos_profiles", "")),
        "type_description_hash": hash or noted.get("type_description_hash", ""),
    }
