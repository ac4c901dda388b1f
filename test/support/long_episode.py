"""A long episode of the small robot with takes marked in it, as a shift leaves one."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.episodes.facts import label_facts
from robot_recorder.model.labels import (
    TAKE,
    TAKE_BEGIN,
    LabelEvent,
    LabelKind,
    Outcome,
    appended,
)
from support.bags import NS, PROFILE, small_robot
from support.samples import T0

ID = "small_20231114T221320_000_lift_box"
SECONDS = 20


def at(seconds: float) -> int:
    return T0 + round(seconds * NS)


def mark(
    name: str,
    start_s: float,
    end_s: float | None = None,
    given_s: float | None = None,
    **more: object,
) -> LabelEvent:
    """Return an annotation, given at its end."""
    end_s = start_s if end_s is None else end_s
    stamp_ns = at(end_s if given_s is None else given_s)
    return LabelEvent(stamp_ns, ID, LabelKind.ANNOTATION, "ann", name=name, start_ns=at(start_s), end_ns=at(end_s), **more)  # type: ignore[arg-type]  # fmt: skip


def outcome(given_s: float, what: Outcome, cause: str = "") -> LabelEvent:
    return LabelEvent(at(given_s), ID, LabelKind.OUTCOME, "ann", outcome=what, cause=cause)


def task(given_s: float, id: str, operator: str = "ann") -> LabelEvent:
    return LabelEvent(
        at(given_s), ID, LabelKind.TASK, "ann", task=id, instruction=f"Do {id}.", operator_name=operator
    )  # fmt: skip


# A take by two presses, whose outcome is pressed behind it; then one that says everything of itself.
SHIFT = (
    task(0, "lift_box"),
    mark(TAKE_BEGIN, 2),
    mark("grasp", 3, 4),
    mark(TAKE, 5),
    outcome(5.5, Outcome.SUCCESS),
    mark("hold", 8, 13, given_s=8.5),
    mark(TAKE, 9, 12, task="carry_tray", instruction="Carry.", operator_name="bob",
         outcome=Outcome.FAILURE, cause="slip"),
)  # fmt: skip


def long_episode(root: Path, *events: LabelEvent, seconds: float = SECONDS, **facts: str) -> Path:
    """Write the episode into a root."""
    log = appended([], *sorted(events or SHIFT, key=lambda e: e.stamp_ns))
    own = {
        "robot": "small", "profile_yaml": PROFILE, "namespace": "/", "episode_id": ID, "start_ns": str(T0),
        "stop_ns": str(at(seconds)), "stop_reason": "request", **label_facts(log),
    }  # fmt: skip
    return small_robot(root / ID, seconds, **(own | facts))  # type: ignore[arg-type]
