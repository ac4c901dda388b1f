"""Delete episodes from the robot's disk: only on a valid receipt, and for nothing less.

What must hold is checked twice: before, and once more under the episode's lock, so that nobody can label
it in between.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from robot_recorder.episodes.store import EpisodeStore, others_in
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.beat import receipt_refused
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.settings import AgentSettings, DeleteWhen
from robot_recorder.floor.agent.signatures import files_signature, metadata_signature
from robot_recorder.floor.manifest import Manifest, data_files, read_manifest
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import shown_id

_DAY_NS = 86_400 * 10**9
_FUTILE_EPISODES = 10  # deleted without effect; then nothing more is
_FUTILE_SHARE = 0.1  # and of the space that is to be free
_FUTILE_S = 3600.0  # until it is tried again
_EARLIEST_NS = 10**18  # 2001: an episode from before was recorded by a clock that had not been set
_S = SendState


@dataclass(frozen=True)
class ClockEvidence:
    """What time it is, as far as it can be known.

    Attributes:
        own_ns: this machine's clock.
        centre_ns: the latest time of the centre that was ever heard; None: none.
    """

    own_ns: int
    centre_ns: int | None


def kept_because(
    settings: AgentSettings, row: OutboxRow, receipt_ns: int, clocks: ClockEvidence
) -> str:
    """Return why an episode is not to be deleted yet; empty: it is old enough. Pure.

    A clock that is wrong must not make it old: both this machine's and the centre's have to say so,
    and the receipt, which the centre stamped, cannot be older than the episode. If the receipt makes it
    old already, it was sent late, or recorded by a clock that was behind: then its age counts from when
    it was first seen, or from the receipt if that is unknown.

    Args:
        settings: of the agent.
        row: the episode.
        receipt_ns: when the centre read it back, by its clock.
        clocks: what time it is.
    """
    if row.state not in (_S.ACKNOWLEDGED, _S.DELETABLE):
        return f"it is {row.state.value}, not acknowledged"
    if row.is_discarded:
        return "it was discarded: the trash decides when it is deleted"
    if not row.is_offered:
        return "its labels or other metadata changed, and the centre does not know that yet"
    if settings.keep_days is None:
        return "keep_days is never"
    if clocks.centre_ns is None:
        return "the centre's time is unknown"
    recorded_ns = row.seen.stop_ns
    keep_ns = round(settings.keep_days * _DAY_NS)
    if recorded_ns < _EARLIEST_NS or receipt_ns - recorded_ns > keep_ns:
        recorded_ns = max(recorded_ns, min(row.first_ns or receipt_ns, receipt_ns))
    if receipt_ns < recorded_ns - 60 * 10**9:
        return "its receipt is older than the episode: a clock was wrong"
    if min(clocks.own_ns, max(clocks.centre_ns, receipt_ns)) < recorded_ns + keep_ns:
        return f"it is younger than {settings.keep_days:g} days"
    return ""


class SpaceWatch:
    """Watches whether deleting helps: a snapshot or another name of the files may hold their data.

    One thread uses it.
    """

    def __init__(self, least_bytes: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Create it.

        Args:
            least_bytes: that are deleted before it is believed that this does not help.
            clock: monotonic, s.
        """
        self._least_bytes = least_bytes
        self._clock = clock
        self._begin(0)

    def _begin(self, free_bytes: int) -> None:
        self._free_bytes = free_bytes
        self._episodes = self._bytes = 0
        self._at_s = self._clock()

    def look(self, free_bytes: int) -> None:
        """Take what is free now."""
        is_over = self._clock() - self._at_s > _FUTILE_S
        if free_bytes > self._free_bytes or not self._episodes or is_over:
            self._begin(free_bytes)

    def deleted(self, size_bytes: int) -> None:
        """Take that an episode was deleted."""
        self._episodes += 1
        self._bytes += size_bytes

    def futile(self) -> str:
        """Return that deleting does not help; empty: it does, or nobody knows yet."""
        if self._episodes < _FUTILE_EPISODES or self._bytes < self._least_bytes:
            return ""
        return (
            f"{self._episodes} episodes of {self._bytes / 1e9:.1f} GB were deleted, and the disk has no more free "
            "space than before: see what holds their data, such as snapshots; until then no more are deleted"
        )


class Freeing:
    """Deletes episodes of a root that are safe at the centre. One thread uses it."""

    def __init__(
        self,
        settings: AgentSettings,
        store: EpisodeStore,
        outbox: Outbox,
        alarms: AgentAlarms,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create it; nothing is deleted yet.

        Args:
            settings: of the agent.
            store: the episodes.
            outbox: with the receipts.
            alarms: nothing is deleted while the clock is off.
            say: called with a sentence for each deleted episode.
        """
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._alarms = alarms
        self._say = say
        self._space = SpaceWatch(settings.free_below_bytes * _FUTILE_SHARE)
        self._differing: dict[
            str, str
        ] = {}  # what stands for files that are not what the centre has

    def run(self, clocks: ClockEvidence, free_bytes: Callable[[], int | None]) -> int:
        """Delete what may and has to be deleted; return how many episodes.

        Args:
            clocks: what time it is.
            free_bytes: returns the free bytes of the disk; None: unknown.

        Raises:
            BagError: the outbox cannot be used.
        """
        if self._alarms.stands(AlarmKind.CLOCK):
            return 0
        rows = self._outbox.rows(_S.ACKNOWLEDGED, _S.DELETABLE)
        freed = 0
        for row in sorted(rows, key=lambda row: (row.seen.stop_ns, row.name)):
            if not self._has_to(free_bytes()):
                break
            if self._is_due(row, clocks):
                freed += self._free(row, clocks)
        return freed

    def _has_to(self, free_bytes: int | None) -> bool:
        if self._settings.delete is DeleteWhen.AGED:
            return True
        if free_bytes is None:
            return False
        self._space.look(free_bytes)
        futile = self._space.futile()
        self._alarms.set(AlarmKind.FREEING, futile)
        return not futile and free_bytes < self._settings.free_below_bytes

    def _is_due(self, row: OutboxRow, clocks: ClockEvidence) -> bool:
        return not kept_because(self._settings, row, _checked_ns(row), clocks)

    def _free(self, row: OutboxRow, clocks: ClockEvidence) -> bool:
        path = self._store.root / row.name
        if not os.path.lexists(path):
            return False  # deleted before the process ended, or by somebody: the scan notes which
        why = self._refused(row.name, clocks)
        if not why:
            if not self._outbox.begin_free(row.name):
                return False
            try:
                stored = _names(row)
                why = self._store.free(path, lambda _: self._refused(row.name, clocks), stored)
            except BagError as error:  # such as: it is being changed
                why = str(error)
        if why:
            self._keep(row)
            return False
        self._outbox.free(row.name)
        self._space.deleted(row.seen.size_bytes)
        for kind in (AlarmKind.RECEIPT, AlarmKind.UNSENT, AlarmKind.CONFLICT):
            self._alarms.end(kind, row.name)
        at = datetime.fromtimestamp(_checked_ns(row) / 1e9, timezone.utc)
        self._say(
            f"freed {row.name}: {row.seen.size_bytes / 1e6:.1f} MB; the centre read its copy back on {at:%Y-%m-%d %H:%M} UTC"
        )
        return True

    def _refused(self, name: str, clocks: ClockEvidence) -> str:
        """Return why an episode, whose lock is held, must stay; everything is looked at anew."""
        row, path = self._outbox.row(name), self._store.root / name
        if row is None:
            return "it is unknown"
        if why := self._receipt_refused(row) or _also_holds(path, row):
            return why
        if why := kept_because(self._settings, row, _checked_ns(row), clocks):
            return why
        if metadata_signature(path) != row.seen.metadata:
            return "its labels or other metadata were changed a moment ago"
        try:
            if files_signature(path) != row.files:
                return "its files were touched since they were hashed"
        except OSError as error:
            return f"its files cannot be looked at: {error}"
        return ""

    def _receipt_refused(self, row: OutboxRow) -> str:
        if not row.receipt:
            return "it has no receipt"
        why = receipt_refused(self._settings, row, json.loads(row.receipt))
        return f"its receipt is not valid: {why}" if why else ""

    def _keep(self, row: OutboxRow) -> None:
        """Note that an episode stays, and why if that is for a person to see to."""
        path, now = self._store.root / row.name, self._outbox.row(row.name)
        if now is not None and now.state is _S.DELETABLE:
            self._outbox.keep(row.name)
        if not os.path.lexists(path):
            return
        receipt, unsent = self._receipt_refused(row), _also_holds(path, row)
        about = f"{row.name} is not deleted here: "
        self._alarms.set(AlarmKind.RECEIPT, about + receipt if receipt else "", row.name)
        if unsent:
            self._alarms.begin(AlarmKind.UNSENT, about + unsent, row.name)
        if problem := receipt or unsent:
            self._trouble(row, problem)
        else:
            self._compare_files(row)

    def _trouble(self, row: OutboxRow, problem: str) -> None:
        if row.problem != problem:
            self._outbox.trouble(row.name, problem)

    def _compare_files(self, row: OutboxRow) -> None:
        """Hash an episode anew whose files were touched: are they still what the centre has?"""
        path = self._store.root / row.name
        try:
            files = files_signature(path)
            if files in (row.files, self._differing.get(row.name)):
                return
            acknowledged = Manifest.from_plain(json.loads(row.manifest))
            manifest = read_manifest(path)
        except (OSError, BagError) as error:
            self._trouble(row, f"it cannot be compared with what the centre has: {error}")
            return
        if manifest == acknowledged:
            self._alarms.end(AlarmKind.CONFLICT, row.name)
            self._outbox.keep(row.name, files)
            return
        problem = f"the data of {row.name} on this disk differ from what the centre acknowledged: they are kept"
        self._differing[row.name] = files
        self._alarms.begin(AlarmKind.CONFLICT, problem, row.name)
        self._trouble(row, problem)


def _names(row: OutboxRow) -> set[str]:
    """Return the names of the files that the centre has of an episode."""
    return {str(name) for name, *_ in json.loads(row.manifest or "[]")}


def _also_holds(path: Path, row: OutboxRow) -> str:
    """Return that an episode's directory holds more than the centre has; empty: it does not."""
    try:
        # What is new among plain files may be part of the data: the comparison tells.
        others = others_in(path, _names(row) | {file.name for file in data_files(path)})
    except OSError as error:
        return f"its files cannot be looked at: {error}"
    if not others:
        return ""
    return f"it holds {shown_id(others[0])}, which the centre does not have: move that elsewhere"


def _checked_ns(row: OutboxRow) -> int:
    """Return when the centre read an episode back, by the receipt that was believed."""
    return int(json.loads(row.receipt)["checked_ns"]) if row.receipt else 0
