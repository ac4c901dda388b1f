"""Episodes whose recording ended without a stop: made whole, or put away; never deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.complete import copy_with_indexes
from robot_recorder.bags.files import is_real_directory, is_regular
from robot_recorder.bags.mcap_file import Declarations
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChannelRecord, SchemaRecord, span
from robot_recorder.bags.mcap_repair import repair
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
from robot_recorder.episodes.locks import HeldError, Lock
from robot_recorder.episodes.store import EpisodeStore, Note, lock_name
from robot_recorder.model.errors import BagError, DiskError


@dataclass(frozen=True)
class RecoveryResult:
    """What became of one leftover.

    Attributes:
        path: where it is now.
        ok: it is an episode; otherwise ``message`` says why not.
        messages: in the episode.
    """

    path: Path
    ok: bool
    message: str
    messages: int = 0


class RecordingLock(Lock):
    """Held for the ``.partial`` of a running episode, from before it is made, so that nobody recovers it."""

    def __init__(self, partial: Path) -> None:
        """
        Raises:
            BagError: somebody else holds it, or it cannot be held.
        """
        try:
            super().__init__(partial.parent, lock_name(partial), wait_s=0)
        except HeldError as error:
            raise HeldError(f"{partial} is being recorded by {error}: stop that first") from error
        except OSError as error:
            raise DiskError(f"{partial} cannot be locked: {error}") from error


def recover_all(
    store: EpisodeStore, told: Callable[[RecoveryResult], None] = lambda _: None
) -> list[RecoveryResult]:
    """Recover every leftover under a root that nobody is recording.

    Args:
        told: called after each one.
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
                if not partial.exists():  # it was finished, or recovered by somebody else
                    continue
                results.append(recover(store, partial))
        told(results[-1])
    return results


def recover(
    store: EpisodeStore,
    partial: Path,
    facts: Callable[[dict[str, int]], dict[str, str]] = lambda _: {},
) -> RecoveryResult:
    """Make an episode of a ``.partial`` directory, or put it into quarantine.

    Args:
        facts: custom_data to add, beside what was kept when it was recorded; called with the messages
            per topic that are in the file.
    """
    try:
        contents, counts, by = repair_partial(store, partial, facts)
    except DiskError as error:
        kept = "it is kept, and tried again at the next start" if partial.exists() else "it is gone"
        return RecoveryResult(partial, False, f"{error}; {kept}")
    except BagError as error:
        if isinstance(error.__cause__, OSError):  # of the machine, not of what lies there
            return RecoveryResult(partial, False, f"{error}; it is kept, and tried again")
        return _put_away(store, partial, str(error))
    except OSError as error:
        return RecoveryResult(partial, False, f"{partial}: {error}; it is kept, and tried again")
    except Exception as error:  # whatever was found there: the other leftovers have their turn, too
        return _put_away(store, partial, f"repairing failed: {type(error).__name__}: {error}")
    try:
        path = store.finalise(partial, {})
    except BagError as error:
        return RecoveryResult(partial, False, str(error))
    total, missing = sum(counts.values()), sum(contents.gaps.values())
    text = f"recovered {path.name}: {total} messages" + (f", {missing} missing" if missing else "")
    return RecoveryResult(path, True, f"{text}, {by}", total)


def _put_away(store: EpisodeStore, partial: Path, reason: str) -> RecoveryResult:
    try:
        return RecoveryResult(store.quarantine(partial, reason), False, reason)
    except BagError as error:
        return RecoveryResult(partial, False, f"{reason}; {error}")


def repair_partial(
    store: EpisodeStore, partial: Path, facts: Callable[[dict[str, int]], dict[str, str]]
) -> tuple[ScanResult, dict[str, int], str]:
    """Make a ``.partial`` directory a valid bag, still under its name.

    Returns:
        What the scan found, the messages per topic now in the bag, and who has confirmed them.

    Raises:
        BagError: it can not be repaired.
        DiskError: the disk does not take it now.
    """
    if not is_real_directory(partial):
        raise DiskError(f"{partial} can not be seen any more")
    files = sorted(partial.glob("*.mcap"))
    strange = [f.name for f in files if not is_regular(f) or f.stat().st_nlink > 1]
    if strange:  # repairing would change what is not below the root
        raise BagError(f"{partial} can not be repaired: {strange[0]} is a link, or no regular file")
    if len(files) != 1:
        found = "no data file" if not files else f"{len(files)} data files where one is expected"
        raise BagError(f"{partial} can not be repaired: {found}")
    note = store.read_note(partial)
    contents = repair(files[0], _noted(note))
    counts = counted(contents)
    _check_again(files[0], counts)
    if contents.unindexed:  # not every reader reads such chunks
        _copy_in_place(files[0])
    topics, per_topic = _topics(contents, note)
    summary = BagSummary(files[0].name, *span(contents.chunks), per_topic)
    custom = {
        "episode_id": partial.stem, **note.facts, "stop_ns": str(summary.end_ns),
        **_missing(contents, note), **_finalised_facts(partial), "recovered": "true", **facts(counts),
    }  # fmt: skip
    try:
        write_metadata(partial, build_metadata(topics, summary, custom))
    except OSError as error:
        raise DiskError(f"writing {partial / METADATA_FILE} failed: {error.strerror}") from error
    reader = confirm(partial, counts)
    by = f"read back by {reader}" if reader else "not read back: pip install rosbags"
    return contents, counts, by


def _copy_in_place(file: Path) -> None:
    """Replace a file by a copy of itself with every index there is."""
    copy = file.with_name(file.name + ".copy")
    try:
        copy_with_indexes(McapIndex.open(file), copy)
        os.replace(copy, file)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise DiskError(f"copying {file} failed: {error.strerror}") from error


def counted(contents: ScanResult) -> dict[str, int]:
    """Messages by topic; several channels may share a topic."""
    counts: dict[str, int] = {}
    for channel in contents.channels.values():
        counts[channel.topic] = counts.get(channel.topic, 0) + contents.counts.get(channel.id, 0)
    return counts


def _finalised_facts(partial: Path) -> dict[str, str]:
    """What was said of it when it was all but finished: that is better than what can be found out."""
    if not is_regular(partial / METADATA_FILE):
        return {}
    try:
        facts = custom_data_of(read_metadata(partial))
    except BagError:
        return {}
    return facts if "stop_ns" in facts else {}


def _check_again(path: Path, counts: dict[str, int]) -> None:
    """A repair is believed when the file reads like one that was never broken."""
    again = scan(path)
    now = counted(again)
    if not again.sound or {t: n for t, n in now.items() if n} != {
        t: n for t, n in counts.items() if n
    }:
        raise BagError(
            f"{path} can not be repaired: afterwards it held {sum(now.values())} messages instead of "
            f"{sum(counts.values())}"
        )


def _missing(contents: ScanResult, note: Note) -> dict[str, str]:
    """What a recovered episode says about itself. What had not reached the file is known to nobody."""
    streams: dict[str, dict[str, Any]] = {}
    for channel in contents.channels.values():
        written = contents.counts.get(channel.id, 0)
        lost: dict[str, int | None] = {"dds": None, "ring": None, "queue": None}
        streams[channel.topic] = {
            "written": written,
            "lost": {**lost, "writer": contents.gaps.get(channel.id, 0)},
        }
    missing = {
        "unreadable_bytes": sum(length for _, length in contents.damaged),
        "unreadable_messages": sum(contents.gaps.values()),
        "end": "up to the last second before the recording ended",
        **({"note": note.problem} if note.problem else {}),
    }
    return {"streams": json.dumps(streams), "missing": json.dumps(missing)}


def _noted(note: Note) -> Declarations:
    """Schemas and channels as the writer numbered them when it added a note's topics."""
    declared = Declarations()
    for topic in note.topics:
        declared.add(topic, str(topic.get("definition", "")))
    return declared


def _topics(contents: ScanResult, note: Note) -> tuple[list[dict[str, Any]], list[int]]:
    """Topics for ``metadata.yaml``, and the messages of each."""
    found: list[dict[str, Any]] = []
    counts: list[int] = []
    for channel in contents.channels.values():
        topic = _topic(channel, contents.schemas[channel.schema_id], note)
        count = contents.counts.get(channel.id, 0)
        if topic in found:
            counts[found.index(topic)] += count
        else:
            found.append(topic)
            counts.append(count)
    return found, counts


def _topic(channel: ChannelRecord, schema: SchemaRecord, note: Note) -> dict[str, Any]:
    """A topic for ``metadata.yaml``: as its channel says, and what that does not say as noted.

    Readers hold the two against each other, and skip a channel whose QoS differs in anything: the
    writer of the file may have stored it otherwise than it was told to.
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
