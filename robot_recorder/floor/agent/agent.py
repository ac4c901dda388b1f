"""The station agent of one root: threads that look, offer, send, beat and delete. The composition root.

Everything that must survive is in the outbox before anything follows from it, so the process may be
killed at any moment; the next one goes on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import replace_text
from robot_recorder.configuration.version import software_version
from robot_recorder.episodes.locks import HeldError, Lock
from robot_recorder.floor.agent.alarms import (
    AgentAlarms,
    AlarmKind,
    DiskSlope,
    SendingWatch,
    disk_full,
    nothing_sent,
)
from robot_recorder.floor.agent.bandwidth import BandwidthLimiter, SendingPaused
from robot_recorder.floor.agent.beat import CENTRE_NS, CentreBeat
from robot_recorder.floor.agent.freeing import ClockEvidence, Freeing
from robot_recorder.floor.agent.link import CentreLink
from robot_recorder.floor.agent.live import LiveState
from robot_recorder.floor.agent.loops import AgentLoop
from robot_recorder.floor.agent.offers import Offers
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.retries import Retries
from robot_recorder.floor.agent.scan import EpisodeScan
from robot_recorder.floor.agent.sender import DataConflictError, EpisodeSender
from robot_recorder.floor.agent.settings import AgentSettings
from robot_recorder.floor.agent.throttle import Throttle
from robot_recorder.floor.agent_status import STATUS_FILE
from robot_recorder.floor.changes import ChangeMarks
from robot_recorder.floor.client import CentreClient, CentreError, UnreachableError
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError, ConfigError

SENT_NS = "sent_ns"
_LOCK = ".agent"
_MARKS_S = 0.2
_SCAN_S = 60.0
_OFFER_S = 5.0
_BEAT_S = 1.0
_BEAT_TIMEOUT_S = 5.0
_BEAT_ANSWER_S = 20.0
_NO_BEAT_S = 30.0  # a centre that takes no beat for less is no alarm
_FREE_S = 30.0
_WATCH_S = 1.0
_STATUS_S = 60.0
_PAUSED_S = 0.3
_REFUSED_S = 5.0
_ALARMING = ("full", "denied")  # troubles of the storage that do not pass by themselves
_PATIENCE = 3  # attempts, before any other trouble is an alarm
_RECHECK_S = 120.0  # since an episode was sent without a receipt coming
_LOCK_WAIT_S = 2.0
_STOP_S = 30.0
_MANY = 1_000_000
_S = SendState


class StationAgent:
    """Sends the episodes of one root to the centre.

    Attributes:
        outbox: how far each episode is.
        alarms: what somebody must see to.
        live: what the centre shows of the robot; a ROS node may add what it hears.
    """

    def __init__(
        self, root: Path, settings: AgentSettings, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Build the agent; ``start`` starts it.

        Args:
            root: directory of the episodes.
            settings: its configuration.
            say: called with one sentence per event, from any thread.

        Raises:
            ConfigError: another agent runs here, or the configuration cannot be used.
            BagError: the disk fails.
        """
        if not root.is_dir():
            raise ConfigError(f"{root} is not a directory: give the root of the recorder")
        self._root = root
        self._settings = settings
        self._say = quietly(say)
        self._lock = _locked(root)
        try:
            self._build()
        except BaseException:
            self._lock.release()
            raise

    def _build(self) -> None:
        settings, say = self._settings, self._say
        self.alarms = AgentAlarms(say)
        self.outbox = Outbox(self._root, is_owner=True)
        if self.outbox.belong(settings.site, settings.robot, settings.centre):
            say("site, robot or centre were changed: everything is offered again")
        self.live = LiveState(self._root, settings.robot)
        self._store = open_store(self._root, wait_s=_LOCK_WAIT_S)
        self._marks = ChangeMarks(self._root)
        self._stopped = threading.Event()
        self._client = CentreClient(settings.centre, settings.token, settings.ca)
        self._quick = CentreClient(
            settings.centre, settings.token, settings.ca, _BEAT_TIMEOUT_S, _BEAT_ANSWER_S
        )
        self._link = CentreLink(self._client, self.alarms, tries=3, about="data")
        self._beat_link = CentreLink(self._quick, self.alarms, about="beat")
        self._throttle = Throttle(settings, self.live.recorder)
        self._limiter = BandwidthLimiter(self._rate)
        self._retries = Retries(5.0, 300.0)  # of an episode that was refused
        self._lost = Retries(1.0, 10.0)  # of one that the network did not let through
        self._scan = EpisodeScan(self._store, self.outbox, self.alarms, say)
        self._offers = Offers(self._store, self.outbox, self._link, self._retries, say)
        self._sender = EpisodeSender(
            self._root, self.outbox, self._link, self._limiter, settings.parallel_parts, self._stopped
        )  # fmt: skip
        self._beat = CentreBeat(
            settings, self._store, self.outbox, self._beat_link, self.alarms, self.status, say
        )
        self._freeing = Freeing(settings, self._store, self.outbox, self.alarms, say)
        self._slope, self._sending = DiskSlope(), SendingWatch()
        self._send_problem = ""
        self._hindered = 0  # attempts in a row that the network, the centre or its storage spoilt
        self._full_in_s: float | None = None
        self._scanned_s = self._beaten_s = self._rechecked_s = self._written_s = -1e9
        self._written = ""
        self._marked: set[str] = set()  # not looked at yet
        self._scanned_made = 0  # which outbox the last look at everything went into
        self._answered_s = time.monotonic()  # when the last beat got through
        self._look = AgentLoop("looking at the episodes", self._look_step, self.alarms)
        self._offer = AgentLoop("offering", self._offer_step, self.alarms)
        self._send = AgentLoop("sending", self._send_step, self.alarms)
        self._beating = AgentLoop("the beat", self._beat_step, self.alarms, _BEAT_S)
        self._loops = (
            self._look,
            self._offer,
            self._send,
            self._beating,
            AgentLoop("deleting", self._free_step, self.alarms, _FREE_S),
            AgentLoop("watching", self._watch_step, self.alarms),
        )

    def start(self) -> None:
        """Start the threads."""
        self._store.clear_freed()
        self._answered_s = time.monotonic()
        for loop in self._loops:
            loop.start()

    @property
    def is_over(self) -> bool:
        """Return whether its threads were ended: by ``stop``, or as another agent took over the root."""
        return self._stopped.is_set()

    def _end(self) -> None:
        self._stopped.set()
        for loop in self._loops:
            loop.stop()

    def stop(self) -> None:
        """End the threads; what was being sent goes on at the next start."""
        self._end()
        left = [loop.name for loop in self._loops if not loop.join(_STOP_S)]
        if left:
            logging.getLogger(__name__).warning(
                "the agent did not stop %s in time", ", ".join(left)
            )
        self._sender.close()
        self._client.close()
        self._quick.close()
        if not left:
            self.outbox.close()
        self._lock.release()

    def status(self) -> dict[str, Any]:
        """Return the status for the centre, as plain values."""
        episodes, size = self.outbox.waiting()
        return {
            **self.live.to_plain(),
            "disk_full_in_s": self._full_in_s,
            "waiting_episodes": episodes,
            "waiting_bytes": size,
            "sent_ns": self.outbox.note(SENT_NS),
            "alarms": self.alarms.sentences(),
            "version": software_version(),
            "clock_ns": time.time_ns(),
        }

    def unfinished(self) -> tuple[int, str]:
        """Return how many episodes are not acknowledged or not as they are known at the centre.

        Returns:
            How many, and why nothing goes on; empty: it does.
        """
        if self._scanned_s < 0 or self._scanned_made != self.outbox.made:
            return 1, ""  # unknown yet
        left = self.outbox.unfinished()
        if not left.count:
            return 0, ""
        if any(map(self.alarms.stands, (AlarmKind.TOKEN, AlarmKind.UNREACHABLE, AlarmKind.BEAT))):
            return left.count, self.alarms.sentences()[0]
        if left.are_sendable and not self._throttle.rate():
            return left.count, "nothing may be sent at this time"
        return left.count, left.problem

    def _rate(self) -> float:
        return -1.0 if self._stopped.is_set() else self._throttle.rate()

    # -- one step of each thread

    def _look_step(self) -> float:
        now_s = time.monotonic()
        self._marked.update(self._marks.take())  # kept if the look fails
        if now_s - self._scanned_s >= _SCAN_S or self._scanned_made != self.outbox.made:
            self.alarms.set(AlarmKind.OUTBOX, self.outbox.look(), "damage")
            self._marks.make()
            made = self.outbox.made
            is_new = self._scan.all()
            self.outbox.forget_old(time.time_ns())
            self._scanned_s, self._scanned_made = now_s, made
        else:
            is_new = self._scan.some(self._marked)
        self._marked.clear()
        if is_new:
            self._offer.wake()
        return _MARKS_S

    def _offer_step(self) -> float:
        try:
            taken = self._offers.send()
        finally:  # neither waits for the other
            self._offers.tell_freed()
        if taken:
            self._send.wake()
        return 0.0 if taken else _OFFER_S

    def _beat_step(self) -> float:
        now_s = time.monotonic()
        self._beat.exchange()
        self._answered_s = time.monotonic()
        if self._beat_link.problem == "" and now_s - self._beaten_s > 2 * _BEAT_S:
            self._offer.wake()  # the centre is back
        self._beaten_s = now_s
        return max(0.0, _BEAT_S - (time.monotonic() - now_s))

    def _send_step(self) -> float:
        if self._rate() <= 0:
            return _PAUSED_S
        row = self.outbox.to_send(self._retries.waiting() | self._lost.waiting())
        if row is None:
            self._recheck_stored()
            return 1.0
        try:
            is_there = self._sender.send(row)
        except SendingPaused:
            return _PAUSED_S
        except (CentreError, UnreachableError, BagError) as error:
            return self._failed(row, error)
        self._retries.worked(row.name)
        self._lost.worked(row.name)
        self._send_problem, self._hindered = "", 0
        self.alarms.end(AlarmKind.STORAGE)
        self.alarms.end(AlarmKind.CONFLICT, row.name)
        if is_there:
            self.outbox.set_note(SENT_NS, time.time_ns())
            self._say(f"sent {row.name}: {row.seen.size_bytes / 1e6:.1f} MB")
        return 0.0

    def _failed(self, row: OutboxRow, error: Exception) -> float:
        """Note why an episode could not be sent; return how long to wait, s."""
        self._send_problem = str(error)
        if isinstance(error, CentreError):
            if error.status == 401:
                return _REFUSED_S  # the alarm is the link's
            if error.status == 429:
                return 1.0  # nothing is wrong: it asks for patience
            if error.status == 404:  # the centre does not know the episode
                self.outbox.offer_again(row.name)
                self._offer.wake()
        if isinstance(error, DataConflictError):
            self._conflict(row, error)
        is_passing = isinstance(error, UnreachableError) or (
            isinstance(error, CentreError) and error.is_passing
        )
        if is_passing:
            self._hindered += 1
            if isinstance(error, CentreError) and (
                error.trouble in _ALARMING or self._hindered >= _PATIENCE
            ):
                self.alarms.begin(AlarmKind.STORAGE, f"the centre cannot take data: {error}")
        (self._lost if is_passing else self._retries).failed(row.name)
        if row.problem != str(error):
            self.outbox.trouble(row.name, str(error))
        # An upload that the centre has lost is simply begun again.
        is_lost = isinstance(error, CentreError) and error.trouble == "missing"
        return 0.0 if is_lost or not is_passing else 1.0

    def _recheck_stored(self) -> None:
        """Ask again for episodes that were sent long ago and have no receipt."""
        now_s = time.monotonic()
        if now_s - self._rechecked_s < _RECHECK_S:
            return
        self._rechecked_s = now_s
        for row in self.outbox.rows(_S.STORED):
            try:
                if not self._sender.is_known(row):
                    self.outbox.send_again(row.name, "the centre does not have it any more")
            except DataConflictError as error:
                self._conflict(row, error)
            except CentreError as error:
                if error.is_passing or error.status == 401:
                    raise
                self.outbox.trouble(row.name, str(error))  # the others are asked for all the same

    def _conflict(self, row: OutboxRow, error: DataConflictError) -> None:
        self.alarms.begin(AlarmKind.CONFLICT, f"{row.name} is not taken: {error}", row.name)

    def _free_step(self) -> float:
        if self._settings.keep_days is not None:
            clocks = ClockEvidence(
                time.time_ns(), self._beat.centre_ns or self.outbox.note(CENTRE_NS)
            )
            if self._freeing.run(clocks, self.live.free_bytes):
                self._offer.wake()  # tells the centre
        return _FREE_S

    def _watch_step(self) -> float:
        now_s, free = time.monotonic(), self.live.free_bytes()
        self._keep_lock()
        self._throttle.measure(self._limiter.sent_bytes)
        if free is not None:
            self._slope.sample(now_s, free)
            self._full_in_s = self._slope.full_in_s()
            self.alarms.set(AlarmKind.DISK_FULL, disk_full(self._full_in_s, free))
        self.alarms.set(AlarmKind.OUTBOX, self.outbox.trouble_now())
        self._watch_beat(now_s)
        self._write_status(now_s)
        waiting, _ = self.outbox.waiting()
        may_send = self._throttle.planned() > 0
        idle_s = self._sending.look(now_s, self._sender.accepted_bytes, waiting, may_send)
        self.alarms.set(AlarmKind.NOTHING_SENT, nothing_sent(idle_s, waiting, self._problem()))
        return _WATCH_S

    def _problem(self) -> str:
        """Return why nothing goes on, as far as it is known."""
        return self._beat_link.problem or self._beating.problem or self._send_problem

    def _watch_beat(self, now_s: float) -> None:
        """Begin an alarm if no beat gets through, whatever the reason: the centre shows no robot."""
        self._link.look()
        is_known = self.alarms.stands(AlarmKind.TOKEN) or self.alarms.stands(AlarmKind.UNREACHABLE)
        sentence = ""
        if now_s - self._answered_s > _NO_BEAT_S and not is_known:
            why = self._beating.problem or "no answer is complete"
            sentence = f"no beat gets through to the centre: {why}"
        self.alarms.set(AlarmKind.BEAT, sentence)

    def _keep_lock(self) -> None:
        """Take the lock again if somebody deleted its file; end if another agent has it by then."""
        if self._lock.is_there():
            return
        try:
            lock = Lock(self._root, _LOCK, wait_s=0)
        except HeldError as error:
            sentence = (
                f"another agent sends the episodes of {self._root}, so this one ends: {error}"
            )
            self.alarms.begin(AlarmKind.SECOND_AGENT, sentence)
            self._end()
            return
        except OSError:  # the disk is gone: looked at again in a second
            return
        self._lock.release()
        self._lock = lock

    def _write_status(self, now_s: float) -> None:
        """Write what ``agent status`` shows of a running agent: on a change, else once a minute."""
        content: dict[str, Any] = {
            "alarms": self.alarms.sentences(),
            "problem": self._problem(),
            "errors": {loop.name: loop.errors for loop in self._loops if loop.errors},
            "centre": self._settings.centre,
            "robot": self._settings.robot,
            "site": self._settings.site,
        }
        text = json.dumps({k: v for k, v in content.items() if k != "errors"}, ensure_ascii=False)
        if text == self._written and now_s - self._written_s < _STATUS_S:
            return
        self._written, self._written_s = text, now_s
        content["at_ns"] = time.time_ns()
        with suppress(OSError):  # a full disk is an alarm already
            replace_text(self._root / STATUS_FILE, json.dumps(content, ensure_ascii=False))


def quietly(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``say`` for threads that must not end because nobody can be told, as on a full disk."""

    def said(text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the file was closed
            say(text)

    return said


def _locked(root: Path) -> Lock:
    try:
        return Lock(root, _LOCK, wait_s=0)
    except HeldError as error:
        raise ConfigError(f"another agent sends the episodes of {root}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{root} cannot be locked: {error}") from error
