"""The words of a shift: its plan and takes, what it asks of the services, what it is told."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict


@dataclass(frozen=True)
class ShiftPlan:
    """What is to be done.

    Attributes:
        task: id from the task registry.
        instruction: its natural-language sentence.
        operator_name: who drives the robot.
        station: where.
        target: takes wanted that count; 0: no end.
        warm_up: number of first takes for practice: they go to the trash and do not count.
        countdown_s: from the press to the start of a take.
        max_take_s: a longer take is stopped; 0: unlimited.
        reset_s: for setting the scene up after a take; 0: ready at once.
    """

    task: str = ""
    instruction: str = ""
    operator_name: str = ""
    station: str = ""
    target: int = 0
    warm_up: int = 0
    countdown_s: float = 0.0
    max_take_s: float = 0.0
    reset_s: float = 0.0


NO_PLAN = ShiftPlan()


@dataclass
class Take:
    """One episode of a shift.

    Attributes:
        id: of the episode.
        warm_up: whether it is for practice.
        outcome, cause: how it ended, as far as it is labelled.
        verdict: on its recording; UNKNOWN while it is recorded.
        sentence: what the operator should hear about it.
        discarded: whether it is in the trash.
        finished: whether it is no longer recorded.
    """

    id: str
    warm_up: bool = False
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    sentence: str = ""
    discarded: bool = False
    finished: bool = False

    @property
    def counts(self) -> bool:
        """Return whether it counts towards the target."""
        usable = self.finished and not self.warm_up and not self.discarded
        return usable and self.outcome is Outcome.SUCCESS and self.verdict is not Verdict.REJECT


@dataclass(frozen=True)
class Decision:
    """Something that ``undo`` can take back.

    Attributes:
        id: of the episode.
        discarded: whether it was moved to the trash; else its outcome was set.
        outcome, cause: what held before.
        note: name of the annotation that says why it was discarded.
    """

    id: str
    discarded: bool
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    note: str = ""


@dataclass(frozen=True)
class StartTake:
    """Request to start an episode of the plan's task."""

    plan: ShiftPlan


@dataclass(frozen=True)
class StopTake:
    """Request to stop the running episode."""


@dataclass(frozen=True)
class MarkTake:
    """Request to set an outcome."""

    id: str
    outcome: Outcome
    cause: str = ""
    note: str = ""
    by: str = ""


@dataclass(frozen=True)
class NoteTake:
    """Request to annotate this moment of an episode, or to withdraw the last annotation of the name."""

    id: str
    name: str
    by: str = ""
    retract: bool = False


@dataclass(frozen=True)
class DiscardTake:
    """Request to move an episode to the trash; it is stopped first if it is running."""

    id: str


@dataclass(frozen=True)
class RestoreTake:
    """Request to bring an episode back from the trash."""

    id: str


@dataclass(frozen=True)
class AssignTask:
    """Request to set task and operator of the next episodes."""

    plan: ShiftPlan


Request = StartTake | StopTake | MarkTake | NoteTake | DiscardTake | RestoreTake | AssignTask


@dataclass(frozen=True)
class Reply:
    """A service's answer to a request, and a shift's answer to a command.

    Attributes:
        ok: whether it is done.
        message: what was done, or why not, one sentence.
        id: of the episode it is about.
        verdict, sentence: of a stopped episode.
        why: check or sentence that decided the verdict.
        stream: that it is about; empty: the whole episode.
        plan: with the task that was assigned.
    """

    ok: bool
    message: str = ""
    id: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    sentence: str = ""
    why: str = ""
    stream: str = ""
    plan: ShiftPlan | None = None


Steps = Generator[Request, Reply, Reply]
NONE_SHOWN = "none"


@dataclass(frozen=True)
class Wish:
    """A command and who gave it.

    Attributes:
        command: one of ``COMMANDS``.
        by: who says so; empty: the operator.
        cause: of a failure.
        note: free text.
        pressed_s: when a button said so, s of the monotonic clock; None: as it is heard.
        shown: id of the newest take that who gave it saw; NONE_SHOWN: none; empty: unknown.
    """

    command: str
    by: str = ""
    cause: str = ""
    note: str = ""
    pressed_s: float | None = None
    shown: str = ""


@dataclass(frozen=True)
class RecorderNews:
    """What a shift needs of the recorder's status.

    Attributes:
        recording: whether an episode is being recorded.
        id: of the running or last episode; empty: none since the recorder was started.
        verdict, sentence: of the last one.
        error: why it was aborted; empty: it was not.
        duration_s: of it.
        bad_streams: required streams that do not arrive as they should.
        episodes_left: that still fit on the disk; None: unknown.
    """

    recording: bool
    id: str
    verdict: Verdict = Verdict.UNKNOWN
    sentence: str = ""
    error: str = ""
    duration_s: float = 0.0
    bad_streams: tuple[str, ...] = ()
    episodes_left: int | None = None


@dataclass(frozen=True)
class Event:
    """Something to be said to the operator: a key of the words' ``say``, and what fills it."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
