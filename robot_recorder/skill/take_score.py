"""The score of one take, read from its own bag."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.content.contents import Contents, Topic
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import TAKE, TAKE_BEGIN, LabelEvent, Outcome
from robot_recorder.model.streams import NS_PER_S, Role
from robot_recorder.model.value_names import joint_of, split_name
from robot_recorder.quality.verdict import Verdict
from robot_recorder.skill.motion_score import MotionScore, score_motion

RECOVERY = "recovery"
REFERENCE = "reference_take"  # the annotation of a take that others are measured against
_NO_PHASES = {TAKE, TAKE_BEGIN, REFERENCE, RECOVERY, "discarded"}
_MOST_PHASES = 50


@dataclass(frozen=True)
class Phase:
    """A phase that somebody annotated, s since the start of the take; an instant begins as it ends."""

    name: str
    from_s: float
    to_s: float


@dataclass(frozen=True)
class TakeScore:
    """What is measured of one take; None: unknown.

    Attributes:
        duration_s: from start to stop.
        outcome: from its labels.
        cause: of a failure; empty: unknown.
        verdict: of the quality checks.
        reason: name of the check that decided the verdict; empty: none.
        recoveries: annotations that say that the operator saved a mishap.
        phases: other annotations, by their begin.
        motion: of its joints.
        problem: why something is unknown; empty: nothing is.
    """

    duration_s: float
    outcome: Outcome
    cause: str
    verdict: Verdict
    reason: str
    recoveries: int
    phases: tuple[Phase, ...]
    motion: MotionScore | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = asdict(self)
        return {**plain, "outcome": self.outcome.text, "verdict": self.verdict.text}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TakeScore:
        """Read what ``to_dict`` returned."""
        motion = plain["motion"]
        if motion is not None:
            lists = {key: tuple(motion[key]) for key in ("turns", "speeds")}
            pauses = tuple((begin, end) for begin, end in motion["pauses"])
            motion = MotionScore(**{**motion, **lists, "pauses": pauses})
        return cls(
            **{
                **plain,
                "outcome": Outcome[plain["outcome"].upper()],
                "verdict": Verdict[plain["verdict"].upper()],
                "phases": tuple(Phase(**phase) for phase in plain["phases"]),
                "motion": motion,
            }
        )


def read_score(path: Path) -> TakeScore:
    """Measure a take.

    Raises:
        BagError: not even its metadata can be read.
    """
    episode = Episode.open(path)
    try:
        report = episode.quality
        verdict, reason = report.verdict, next(iter(report.reasons), "")
    except BagError:
        verdict, reason = Verdict.UNKNOWN, ""
    labels, motion = episode.labels, None
    try:
        motion, problem = _motion(path, episode.duration_s)
    except BagError as error:
        problem = str(error)
    named = [event.name for event in labels.annotations]
    return TakeScore(
        duration_s=episode.duration_s,
        outcome=labels.outcome,
        cause=labels.cause,
        verdict=verdict,
        reason=reason,
        recoveries=named.count(RECOVERY),
        phases=_phases(labels.annotations, episode.start_ns),
        motion=motion,
        problem=problem,
    )


def make_score(path: Path, target: Path) -> None:
    """Write the score of a take as JSON.

    Raises:
        RecorderError: it cannot be read.
    """
    target.write_text(json.dumps(read_score(path).to_dict()))


def _phases(annotations: tuple[LabelEvent, ...], start_ns: int) -> tuple[Phase, ...]:
    phases = [
        Phase(event.name, (event.start_ns - start_ns) / NS_PER_S, (event.end_ns - start_ns) / NS_PER_S)
        for event in annotations
        if event.name not in _NO_PHASES
    ]  # fmt: skip
    return tuple(sorted(phases, key=lambda phase: phase.from_s)[:_MOST_PHASES])


def _motion(path: Path, duration_s: float) -> tuple[MotionScore | None, str]:
    """Return the motion of a bag's joints, and why it is not known."""
    contents = Contents.open(path)
    joints = [t for t in contents.topics if t.sort is Sort.JOINTS and not t.unreadable]
    observed = [t for t in joints if t.role is not Role.ACTION] or joints
    if not observed:
        return None, "it has no joints"
    known = set(contents.problems)
    streams = _positions(contents, observed)
    motion = score_motion(streams, duration_s)
    # What was wrong before, such as a stream without a profile, does not matter here.
    new = [problem for problem in contents.problems if problem not in known]
    return motion, new[0] if new else "" if motion else "it has no joint positions"


def _positions(
    contents: Contents, topics: list[Topic]
) -> list[tuple[tuple[str, ...], Floats, Floats]]:
    """Return names of joints, times and positions of each topic."""
    times: dict[str, list[Floats]] = {}
    rows: dict[str, list[Floats]] = {}
    joints: dict[str, tuple[str, ...]] = {}
    for batch in contents.batches(topics):
        for numbers in batch.numbers:
            stream = numbers.topic.stream
            columns = [
                at
                for at, name in enumerate(numbers.names)
                if name.startswith("position/") and split_name(name)[1] == "rad"
            ]
            found = tuple(joint_of(numbers.names[at]) for at in columns)
            if joints.setdefault(stream, found) != found:
                continue  # names that change in mid take are a finding of the checks
            times.setdefault(stream, []).append(numbers.times_s)
            rows.setdefault(stream, []).append(numbers.values[:, columns])
    streams = []
    for stream, parts in times.items():
        at, values = np.concatenate(parts), np.concatenate(rows[stream])
        order = np.argsort(at, kind="stable")
        streams.append((joints[stream], at[order], values[order]))
    return streams
