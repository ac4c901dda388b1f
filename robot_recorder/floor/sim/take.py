"""Replays an episode as a new one: another id, time, task and outcome; the same messages.

All stamps move with the start, so that no two takes have the same bytes, as of a real robot.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.bags.columns import bag_topics
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import BagMessage
from robot_recorder.configuration.tasks import Task
from robot_recorder.configuration.version import software_version
from robot_recorder.episodes.episode import Episode, episode_id
from robot_recorder.episodes.facts import label_facts, quality_facts
from robot_recorder.episodes.recovery import RecordingLock
from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.quality.verdict import QualityReport, Verdict

_KEPT = ("profile", "profile_yaml", "namespace")
_STAMP = struct.Struct("<iI")
_HEADED = "std_msgs/Header header"
# Share of verdicts, and what the takes that are not accepted are rejected for.
_VERDICTS = {Verdict.ACCEPT: 0.8, Verdict.REVIEW: 0.12, Verdict.REJECT: 0.08}
_FINDINGS = {
    Verdict.REVIEW: Result("gap", "head_camera", Level.WARN, 0.31, 0.2, "s",
                           "head_camera paused for 0.31 s: check its cable"),
    Verdict.REJECT: Result("frozen", "joint_states", Level.FAIL, 2.4, 1.0, "s",
                           "left_elbow did not move for 2.4 s: check its encoder"),
}  # fmt: skip


@dataclass(frozen=True)
class TakeFacts:
    """What is said of a take.

    Attributes:
        robot: its name.
        task: that was demonstrated.
        operator: who drove the robot.
        outcome: whether it succeeded.
        cause: of a failure; empty: it succeeded.
        verdict: of the checks.
        start_ns: when it began, clock of the robot.
    """

    robot: str
    task: Task
    operator: str
    outcome: Outcome
    cause: str
    verdict: Verdict
    start_ns: int


def draw_facts(
    rng: random.Random, robot: str, operators: tuple[str, ...], tasks: list[Task], start_ns: int
) -> TakeFacts:
    """Return the facts of a take as a floor has them: 90 % succeed, 80 % are accepted."""
    task = rng.choice(tasks)
    succeeded = rng.random() < 0.9
    return TakeFacts(
        robot,
        task,
        rng.choice(operators),
        Outcome.SUCCESS if succeeded else Outcome.FAILURE,
        "" if succeeded else rng.choice(task.failure_causes or ("unfinished",)),
        rng.choices(list(_VERDICTS), list(_VERDICTS.values()))[0],
        start_ns,
    )


class TakeReplay:
    """An episode in memory, to be written again and again."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            BagError: it cannot be read, or has no messages.
        """
        episode = Episode.open(path)
        self._facts = {k: v for k, v in episode.facts.items() if k in _KEPT}
        self._topics = bag_topics(path)
        self._messages: list[BagMessage] = list(episode.messages())
        if not self._messages:
            raise BagError(f"{path} has no messages: a light robot cannot replay it")
        self._first_ns = self._messages[0].receive_ns
        self.duration_ns = self._messages[-1].receive_ns - self._first_ns

    def record(self, store: EpisodeStore, facts: TakeFacts) -> Path:
        """Write a take as a recorder does, and return its directory.

        Args:
            store: of the robot.
            facts: what to say of it.

        Raises:
            BagError: the disk fails; the ``.partial`` directory stays.
        """
        partial = store.new_partial(episode_id(facts.robot, facts.task.id, facts.start_ns))
        custom = self._custom(partial.stem, facts)
        store.make_root()
        with RecordingLock(partial):
            self._write(store, partial, facts.start_ns - self._first_ns, custom)
            return store.finalise(partial, custom)

    def _write(
        self, store: EpisodeStore, partial: Path, shift_ns: int, custom: dict[str, str]
    ) -> None:
        writer, channels = McapWriter(), {}
        writer.open(partial, custom)
        try:
            store.write_note(partial, Note(custom, []))
            for name, (kind, definition) in self._topics.items():
                channels[name] = Channel(BagTopic(name, kind, (), "", definition))
                writer.add_topic(channels[name])
            headed = {t for t, (_, text) in self._topics.items() if text.startswith(_HEADED)}
            writer.write(
                [_moved(m, channels[m.topic], shift_ns, m.topic in headed) for m in self._messages]
            )
            writer.close()
        except BagError:
            writer.abandon()
            raise

    def _custom(self, id: str, facts: TakeFacts) -> dict[str, str]:
        stop_ns = facts.start_ns + self.duration_ns
        task = facts.task
        begun = LabelEvent(
            facts.start_ns, id, LabelKind.TASK, by=facts.operator, task=task.id,
            instruction=task.instruction, operator_name=facts.operator,
        )  # fmt: skip
        ended = LabelEvent(
            stop_ns,
            id,
            LabelKind.OUTCOME,
            by=facts.operator,
            outcome=facts.outcome,
            cause=facts.cause,
        )
        counts: dict[str, int] = dict.fromkeys(self._topics, 0)
        for message in self._messages:
            counts[message.topic] += 1
        none = dict.fromkeys(("dds", "ring", "queue", "writer"), 0)
        return {
            **self._facts,
            "robot_recorder": software_version(),
            "episode_id": id,
            "robot": facts.robot,
            "start_ns": str(facts.start_ns),
            "stop_ns": str(stop_ns),
            "pre_roll_s": "0",
            "forced": "false",
            "stop_reason": "request",
            "streams": json.dumps({t: {"written": n, "lost": none} for t, n in counts.items()}),
            **({"task_yaml": task.text} if task.text else {}),
            **label_facts([begun, ended]),
            **quality_facts(_report(facts.verdict)),
        }


def _report(verdict: Verdict) -> QualityReport:
    finding = _FINDINGS.get(verdict)
    if finding is None:
        return QualityReport(verdict, f"{verdict.text}: no problems found")
    return QualityReport(verdict, f"{verdict.text}: {finding.sentence}", (finding,))


def _moved(message: BagMessage, channel: Channel, shift_ns: int, headed: bool) -> Sample:
    data, at_ns = message.data, message.receive_ns + shift_ns
    if headed and len(data) >= 12 and data[1] & 1:
        seconds, nanoseconds = _STAMP.unpack_from(data, 4)
        stamp_ns = max(0, seconds * NS_PER_S + nanoseconds + shift_ns)
        data = data[:4] + _STAMP.pack(*divmod(stamp_ns, NS_PER_S)) + data[12:]
    return Sample(channel, data, at_ns, at_ns)


def task_choice(tasks: Mapping[str, Task], most: int = 6) -> list[Task]:
    """Return the first tasks of a registry, those that a floor works on."""
    return list(tasks.values())[:most]
