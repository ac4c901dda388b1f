"""Looks at every episode of the soak as soon as it is there, and counts at the end what became of each.

The light robot numbers its joint states, so a message that is neither in an episode nor among its reported losses shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from processes import Background
from soak_floor import SITE, robot_name
from soak_robot import BOOT, NUMBERED

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.manifest import Manifest, read_manifest
from robot_recorder.floor.sim.account import (
    CentreHolding,
    FloorAccount,
    RobotTruth,
    count_floor,
)
from robot_recorder.floor.sim.recorder import ids_of
from robot_recorder.model.errors import RecorderError

_LOOK_S = 3.0
_TRIES = 5  # an episode that cannot be read so often in a row is damaged


@dataclass
class SeenEpisodeFacts:
    """What was found in an episode.

    Attributes:
        manifest: of its data files.
        seen_ns: when it was found first.
        labels: ids of its label events, as they were seen last.
        label_bytes: of its log of labels.
        written: messages of all topics.
        lost, lost_known: messages reported as lost, and whether that is all.
        missing: numbered messages that are not in it between its first and its last; None: not numbered.
        reported: of the numbered topics, reported as lost; None: unknown.
        recovered: whether its recorder was killed.
        verdict: of the checks.
    """

    manifest: Manifest
    seen_ns: int
    labels: set[str]
    label_bytes: int
    written: int
    lost: int
    lost_known: bool
    missing: int | None
    reported: int | None
    recovered: bool
    verdict: str


def gaps(numbers: list[int]) -> int:
    """Return how many numbers are missing between the first and the last, of each start of the robot."""
    ordered = sorted(set(numbers))
    return sum(b - a - 1 for a, b in pairwise(ordered) if a // BOOT == b // BOOT)


def look_at(path: Path, physics: bool) -> SeenEpisodeFacts:
    """Read an episode.

    Raises:
        RecorderError, OSError: it cannot be read.
    """
    episode = Episode.open(path)
    lost, lost_known = episode.lost
    missing = reported = None
    if not physics:
        numbers: dict[str, list[int]] = {f"/{topic}": [] for topic in NUMBERED}
        for message in episode.messages(list(numbers)):
            numbers[message.topic].append(int.from_bytes(message.data[-8:], "little"))
        missing = sum(gaps(found) for found in numbers.values())
        places = [episode.streams.get(topic, {}).get("lost", {"": None}) for topic in numbers]
        every = [n for place in places for n in place.values()]
        reported = None if None in every else sum(every)
    return SeenEpisodeFacts(
        read_manifest(path), time.time_ns(), set(ids_of(episode)), len(episode.facts.get("labels", "")),
        sum(episode.counts.values()), lost, lost_known, missing, reported, episode.is_recovered,
        episode.quality.verdict.text,
    )  # fmt: skip


@dataclass
class Watcher(Background):
    """Looks through the root again and again, in a thread.

    Attributes:
        seen: episodes by id.
        damaged: sentences about those that cannot be read.
        newest: id of the one that was found last; empty: none.
    """

    root: Path
    physics: bool
    seen: dict[str, SeenEpisodeFacts] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    newest: str = ""

    def __post_init__(self) -> None:
        """Prepare the thread."""
        self._store = EpisodeStore(self.root)
        self._stamps: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        super().__init__("watcher")

    def stop(self) -> None:
        """Look for the last time."""
        super().stop()
        self.look()

    def _run(self) -> None:
        while not self._ending.wait(_LOOK_S):
            self.look()

    def look(self) -> None:
        """Look at what is new or has other labels."""
        if not self.root.is_dir():
            return
        for path in [*self._store.paths(), *self._store.trashed()]:
            try:
                stamp = (path / "metadata.yaml").stat().st_mtime_ns
                if self._stamps.get(path.name) != stamp:
                    self._take(path)
                    self._stamps[path.name] = stamp
                    self._failed.pop(path.name, None)
            except (RecorderError, OSError) as error:
                if not path.exists():
                    continue  # deleted or moved to the trash meanwhile
                self._failed[path.name] = self._failed.get(path.name, 0) + 1
                if self._failed[path.name] >= _TRIES:
                    self.damaged[path.name] = str(error)

    def _take(self, path: Path) -> None:
        known = self.seen.get(path.name)
        if known is None:
            self.seen[path.name] = look_at(path, self.physics)
            self.newest = path.name
            return
        episode = Episode.open(path)
        known.labels |= set(ids_of(episode))
        known.label_bytes = len(episode.facts.get("labels", ""))

    def truth(self, discarded: set[str]) -> RobotTruth:
        """Return what was recorded, for the floor's accounting.

        Args:
            discarded: what was put into the trash; of it, what is no longer there is not counted.
        """
        on_disk = {path.name: path for path in self._store.paths()}
        trashed = {path.name: path for path in self._store.trashed()}
        gone = discarded - on_disk.keys() - trashed.keys()
        kept = {id: facts for id, facts in self.seen.items() if id not in gone}
        return RobotTruth(
            SITE, robot_name(self.physics), {id: facts.manifest for id, facts in kept.items()},
            {id: facts.seen_ns for id, facts in kept.items()},
            {id: facts.labels for id, facts in kept.items()}, on_disk, trashed,
        )  # fmt: skip


def account_of(
    watcher: Watcher, started: dict[str, float], discarded: set[str], holdings: list[CentreHolding],
    publics: tuple[str, ...], broken_at: Callable[[float, float], list[str]],
) -> tuple[dict[str, Any], FloorAccount]:  # fmt: skip
    """Return what became of every episode and message, plain values, and the floor's account.

    Args:
        watcher: after its last look.
        started: when each take began, s since the beginning, by id.
        discarded: ids that were put into the trash and not taken back.
        holdings: all of the centre.
        publics: its public keys.
        broken_at: returns what broke between two times.
    """
    truth = watcher.truth(discarded)
    known = [held for held in holdings if not (held.discarded and held.episode not in truth.bags)]
    floor = count_floor([truth], known, publics)
    seen = watcher.seen
    absent = {id: broken_at(at_s - 5, at_s + 60) for id, at_s in started.items() if id not in seen}
    silent = {
        id: facts.missing - facts.reported
        for id, facts in seen.items()
        if facts.missing is not None
        and facts.reported is not None
        and facts.missing > facts.reported
    }
    lost_counts = [facts.lost for facts in seen.values()]
    return {
        "episodes_started": len(started),
        "episodes_finished": len(seen),
        "started_and_absent": absent,
        "finished_and_not_started": sorted(seen.keys() - started.keys()),
        "discarded": len(discarded),
        "discarded_and_deleted": len(discarded - truth.on_disk.keys() - truth.trashed.keys()),
        "recovered": sum(facts.recovered for facts in seen.values()),
        "damaged": watcher.damaged,
        "verdicts": {v: sum(f.verdict == v for f in seen.values()) for v in sorted({f.verdict for f in seen.values()})},
        "messages_written": sum(facts.written for facts in seen.values()),
        "messages_reported_lost": sum(lost_counts),
        "episodes_with_reported_losses": sum(map(bool, lost_counts)),
        "episodes_whose_losses_are_unknown": sum(not facts.lost_known for facts in seen.values()),
        "numbered_messages_missing": None
        if watcher.physics
        else sum(facts.missing or 0 for facts in seen.values()),
        "missing_and_not_reported": silent,
        "missing_where_losses_are_unknown": sum(
            facts.missing or 0 for facts in seen.values() if facts.reported is None
        ),
        "label_log_bytes_most": max((facts.label_bytes for facts in seen.values()), default=0),
        "at_centre": dict(floor.rows()),
        "complaints": floor.complaints,
    }, floor  # fmt: skip
