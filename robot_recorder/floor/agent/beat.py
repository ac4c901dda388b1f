"""Once a second: the status goes to the centre; labels, receipts and wishes come back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.link import CentreLink
from robot_recorder.floor.agent.offers import merge_labels
from robot_recorder.floor.agent.outbox import CURSOR, WAITING, Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.settings import AgentSettings
from robot_recorder.floor.client import UnreachableError
from robot_recorder.floor.manifest import Manifest
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.text import visible

CENTRE_NS = "centre_ns"  # note: the latest time of the centre that is known
_HISTORY = "history"  # note: which history of the centre's database the rest belongs to
CLOCK_OFF_S = 60.0  # between this clock and the centre's, above which nothing is deleted
_MOST_ASKED = 200
_NOTE_NS = 60 * 10**9  # the centre's time is noted this often: it need not be exact
_S = SendState


class CentreBeat:
    """Exchanges with the centre once a second what must be known soon. One thread uses it.

    Attributes:
        clock_off_s: by how much this machine's clock is ahead of the centre's, s; None: unknown.
        centre_ns: the latest time of the centre that was heard, ns since the epoch; None: none.
    """

    def __init__(
        self,
        settings: AgentSettings,
        store: EpisodeStore,
        outbox: Outbox,
        link: CentreLink,
        alarms: AgentAlarms,
        status: Callable[[], dict[str, Any]],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            settings: of the agent.
            store: the episodes; labels of the centre are merged into them.
            outbox: where receipts are noted.
            link: to the centre.
            alarms: that are begun and ended.
            status: returns the status of the robot, as plain values.
            say: called with a sentence for each receipt.
        """
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._link = link
        self._alarms = alarms
        self._status = status
        self._say = say
        self._asked_after = ""
        self.clock_off_s: float | None = None
        self.centre_ns: int | None = None

    def exchange(self) -> None:
        """Send a beat and do what the answer says.

        Raises:
            CentreError, UnreachableError: there is no answer.
            BagError: the outbox cannot be used.
        """
        cursor = self._outbox.note(CURSOR) or 0
        sent_ns = time.time_ns()
        answer = self._link.post(
            "/agent/beat",
            {
                "robot": self._settings.robot,
                "status": self._status(),
                "cursor": cursor,
                "receipts_for": self._without_receipt(),
            },
        )
        self._compare_clocks(answer.get("now_ns"), (sent_ns + time.time_ns()) // 2)
        new_cursor = answer.get("cursor")
        if self._is_restored(answer.get("history"), cursor, new_cursor):
            return
        for id, events in _mapping(answer, "labels").items():
            self._take_labels(id, events)
        if not _is_whole(new_cursor):
            raise UnreachableError(f"the centre's beat has the cursor {new_cursor!r:.40}")
        if new_cursor != cursor:  # only now: the labels are on the disk
            self._outbox.set_note(CURSOR, new_cursor)
        for id, receipt in _mapping(answer, "receipts").items():
            self._take_receipt(id, receipt)
        for id, problem in _mapping(answer, "problems").items():
            if (row := self._outbox.row(id)) and row.problem != problem:
                self._outbox.trouble(id, visible(str(problem)))
        self._wanted(_texts(answer, "wanted"))
        for id in _texts(answer, "recheck"):
            self._send_again(id)

    def _is_restored(self, history: Any, cursor: int, new_cursor: Any) -> bool:
        """Begin again if the centre's database was restored from a backup: it lacks what came after that."""
        known = self._outbox.note(_HISTORY)
        went_back = _is_whole(new_cursor) and new_cursor < cursor
        is_other = _is_whole(history) and known not in (None, history)
        if went_back or is_other:
            self._say("the centre was restored from a backup: everything is offered again")
            self._outbox.begin_again()
        if _is_whole(history) and known != history:
            self._outbox.set_note(_HISTORY, history)
        return went_back or is_other

    def _without_receipt(self) -> list[str]:
        """Return the episodes that were sent and have no receipt; in turn, if they are many."""
        names = self._outbox.names(_S.STORED)
        if len(names) <= _MOST_ASKED:
            return names
        names = [n for n in names if n > self._asked_after] + [
            n for n in names if n <= self._asked_after
        ]
        self._asked_after = names[_MOST_ASKED - 1]
        return names[:_MOST_ASKED]

    def _compare_clocks(self, centre_ns: Any, own_ns: int) -> None:
        if not _is_whole(centre_ns) or not centre_ns:
            raise UnreachableError(f"the centre's beat has the time {centre_ns!r:.40}")
        self.clock_off_s = (own_ns - centre_ns) / 1e9
        is_off = abs(self.clock_off_s) > CLOCK_OFF_S
        self._alarms.set(
            AlarmKind.CLOCK,
            f"this robot's clock is {abs(self.clock_off_s):.0f} s {'ahead of' if self.clock_off_s > 0 else 'behind'} "
            "the centre's: set it; until then nothing is deleted"
            if is_off
            else "",
        )
        self.centre_ns = max(self.centre_ns or 0, centre_ns)
        # The latest time of the centre that is known also after a restart; it never goes back.
        if centre_ns > (self._outbox.note(CENTRE_NS) or 0) + _NOTE_NS:
            self._outbox.set_note(CENTRE_NS, centre_ns)

    def _take_labels(self, id: str, events: Any) -> None:
        row = self._outbox.row(id)
        if row is None or row.state in (_S.FREED, _S.GONE):
            return  # if it comes back, it is offered, and the centre answers with its labels
        if row.is_discarded:  # so that it is the same for one that comes back from the trash
            self._outbox.offer_again(id)
        elif problem := merge_labels(self._store, id, events):
            # The cursor goes on: the answer to the next offer has the labels again.
            self._outbox.trouble(id, problem)
            self._outbox.offer_again(id)

    def _take_receipt(self, id: str, plain: Any) -> None:
        row = self._outbox.row(id)
        if row is None or not row.manifest or row.state not in (_S.UPLOADING, _S.STORED):
            return
        problem = receipt_refused(self._settings, row, plain)
        if problem:
            sentence = f"a receipt for {id} is not believed: {problem}"
            self._alarms.begin(AlarmKind.RECEIPT, sentence, id)
            if row.problem != sentence:
                self._outbox.trouble(id, sentence)
            return
        self._alarms.end(AlarmKind.RECEIPT, id)
        if self._outbox.acknowledge(id, json.dumps(plain)):
            self._say(f"acknowledged {id}")

    def _wanted(self, ids: list[str]) -> None:
        rows = [row for id in ids if (row := self._outbox.row(id)) is not None]
        asked = [row.name for row in rows if row.state in WAITING and not row.is_asked]
        if asked:
            self._outbox.ask(asked)

    def _send_again(self, id: str) -> None:
        row = self._outbox.row(id)
        if row is not None and row.state is _S.FREED:
            self._alarms.begin(
                AlarmKind.LOST,
                f"the centre finds its copy of {id} wrong, and this robot has deleted its own",
                id,
            )
        elif self._outbox.send_again(id, "the centre's copy is wrong: it is sent again"):
            self._say(f"{id} is sent again: the centre's copy is wrong")


def receipt_refused(settings: AgentSettings, row: OutboxRow, plain: Any) -> str:
    """Return why a receipt does not allow to delete an episode's data; empty: it does.

    Args:
        settings: of the agent: the centre's keys, and the site.
        row: the episode, hashed.
        plain: the receipt, from anybody.
    """
    # Not above: the rest of the agent, and `agent status`, work without this Debian package.
    try:
        from robot_recorder.floor.receipts import Receipt, receipt_problem
    except ImportError as error:
        raise ConfigError(
            f"receipts cannot be checked ({error}): apt install python3-cryptography"
        ) from error
    try:
        receipt = Receipt.from_plain(plain)
        manifest = Manifest.from_plain(json.loads(row.manifest))
    except (RecorderError, ValueError) as error:
        return str(error)
    return receipt_problem(
        receipt, settings.public_keys, settings.site, row.name, manifest.sha256, manifest.size_bytes
    )


def _is_whole(value: Any) -> TypeGuard[int]:
    """Return whether a value from the network is a number that a note can hold."""
    return type(value) is int and 0 <= value < 1 << 62


def _mapping(answer: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = answer.get(key)
    return value if isinstance(value, dict) else {}


def _texts(answer: Mapping[str, Any], key: str) -> list[str]:
    value = answer.get(key)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
