"""The recording half of a light robot: takes, late labels, discards, and a journal of all of it.

The journal lies outside of the robot's root. It is what the accounting believes: what it names was
recorded, whatever agent, centre or disk say.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import make_folder, replace_text
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.configuration.tasks import Task
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.manifest import read_manifest
from robot_recorder.floor.sim.take import TakeReplay, draw_facts
from robot_recorder.model.errors import BagError, RecorderError
from robot_recorder.model.labels import (
    LabelEvent,
    LabelKind,
    Outcome,
    event_id,
    load_plain,
)

_SHIFT_FOLDER = ".shift"
# Share of turns in which something else happens than a take.
_RELABEL, _DISCARD, _RESTORE = 0.15, 0.03, 0.03


class SimJournal:
    """What one robot did, one JSON object a line, each on disk before the next thing is done."""

    def __init__(self, path: Path) -> None:
        """Name the file; its folder is created."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, **facts: Any) -> None:
        """Append a line, durably. It begins with a line break, in case the last one was cut short."""
        line = "\n" + json.dumps({**facts, "at_ns": time.time_ns()}, ensure_ascii=False) + "\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line.encode())
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines; one that a crash cut short is left out."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


class SimRecorder:
    """Records, relabels and discards episodes of one light robot. One thread uses it.

    Attributes:
        recording: whether ``turn`` records; labels go on.
        taken: number of takes since the start.
    """

    def __init__(
        self,
        store: EpisodeStore,
        robot: str,
        replay: TakeReplay,
        journal: SimJournal,
        tasks: list[Task],
        target: int,
        clock: Callable[[], int],
        rng: random.Random,
    ) -> None:
        """Create it; ``begin`` looks at what is there.

        Args:
            store: of its root.
            robot: its name.
            replay: the episode that it replays.
            journal: of what it does.
            tasks: that it performs.
            target: number of takes of its shift.
            clock: returns ns since the epoch, the robot's clock.
            rng: source of chance.
        """
        self.recording = True
        self.taken = 0
        self._store = store
        self._robot = robot
        self._replay = replay
        self._journal = journal
        self._tasks = tasks
        self._target = target
        self._clock = clock
        self._rng = rng
        self._operators = tuple(f"{name}_{robot}" for name in ("ann", "bob"))
        self._discarded: list[str] = []

    @property
    def next_task(self) -> str:
        """Return the task of the shift."""
        return self._tasks[0].id

    @property
    def operator(self) -> str:
        """Return who drives the robot."""
        return self._operators[0]

    def begin(self) -> None:
        """Recover what a crash left, and note in the journal what is not in it yet."""
        self._store.make_root()
        recover_all(self._store)
        known = {line["id"] for line in self._journal.lines() if "files" in line}
        self.taken = len(known)
        for path in self._store.paths():
            if path.name not in known:
                self._note(path)
        self._save_shift()

    def turn(self) -> None:
        """Record one take, or do what else happens to takes; a full disk costs this turn.

        Raises:
            RecorderError: something else than the disk fails.
        """
        chance = self._rng.random()
        try:
            if chance < _RELABEL:
                self._relabel()
            elif chance < _RELABEL + _DISCARD:
                self._discard()
            elif chance < _RELABEL + _DISCARD + _RESTORE:
                self._restore()
            if self.recording:
                self._record()
        except (BagError, OSError):
            if not is_full(self._store.root):
                recover_all(self._store)
                self.note_new()

    def note_new(self) -> None:
        """Note episodes that the journal does not name: those that were recovered."""
        known = {line["id"] for line in self._journal.lines() if "files" in line}
        for path in self._store.paths():
            if path.name not in known:
                self._note(path)

    def _record(self) -> None:
        if self._store.unfinished():  # left by a full disk
            recover_all(self._store)
            self.note_new()
        start_ns = self._clock() - self._replay.duration_ns
        facts = draw_facts(self._rng, self._robot, self._operators, self._tasks, start_ns)
        self._note(self._replay.record(self._store, facts))
        self.taken += 1
        self._save_shift()

    def _note(self, path: Path) -> None:
        try:
            manifest = read_manifest(path)
            events = label_ids(path)
        except BagError:
            if not path.is_dir():  # freed already: only what was noted before can be freed
                raise
            return
        self._journal.add(id=path.name, files=manifest.to_plain(), labels=events)

    def _relabel(self) -> None:
        path = self._any(self._store.paths())
        if path is None:
            return
        event = LabelEvent(
            self._clock(),
            path.name,
            LabelKind.OUTCOME,
            by=self._rng.choice(self._operators),
            outcome=self._rng.choice((Outcome.SUCCESS, Outcome.FAILURE)),
            note=f"seen again {self._rng.random():.6f}",
        )
        before = set(label_ids(path))
        changed = self._store.append_labels(path, lambda _: [event])
        new = [id for id in ids_of(changed) if id not in before]
        self._journal.add(id=path.name, relabelled=new)

    def _discard(self) -> None:
        path = self._any(self._store.paths())
        if path is not None:
            self._store.discard(path)
            self._discarded.append(path.name)
            self._journal.add(id=path.name, discarded=True)

    def _restore(self) -> None:
        if self._discarded:
            id = self._discarded.pop()
            self._store.restore(id)
            self._journal.add(id=id, discarded=False)

    def _any(self, paths: Iterable[Path]) -> Path | None:
        recent = list(paths)[-8:]
        return self._rng.choice(recent) if recent else None

    def _save_shift(self) -> None:
        """Write the file of a shift as the operator's node does."""
        done = self.taken % self._target
        take = {"warm_up": False, "outcome": "success", "cause": "", "verdict": "accept",
                "sentence": "", "discarded": False, "finished": True}  # fmt: skip
        plan = {"task": self._tasks[0].id, "instruction": self._tasks[0].instruction,
                "operator_name": self._operators[0], "target": self._target}  # fmt: skip
        takes = [{"id": f"take {number}", **take} for number in range(done)]
        shift = {"plan": plan, "state": "ready", "takes": takes, "decisions": [], "message": ""}
        folder = self._store.root / _SHIFT_FOLDER
        try:
            make_folder(folder)
            text = json.dumps({"shift": shift, "answers": []})
            replace_text(folder / f"{self._robot}.json", text)
        except OSError:
            return  # a full disk; the next take writes it again


def is_full(root: Path) -> bool:
    """Return whether the disk of a root has less than a megabyte left."""
    free = os.statvfs(root)
    return free.f_bavail * free.f_frsize < 1_000_000


def label_ids(path: Path) -> list[str]:
    """Return the ids of an episode's label events, in the order of its log.

    Raises:
        BagError: it cannot be read.
    """
    return ids_of(Episode.open(path)) if (path / METADATA_FILE).exists() else []


def ids_of(episode: Episode) -> list[str]:
    """Return the ids of the label events of an opened episode.

    Raises:
        RecorderError: its log is invalid.
    """
    try:
        return [event_id(plain) for plain in load_plain(episode.facts.get("labels", ""))]
    except (ValueError, TypeError) as error:
        raise RecorderError(f"{episode.path}: its labels are no log: {error}") from error
