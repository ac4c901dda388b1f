"""Find the episode that a label without an id is meant for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_recorder.episodes.label_rules import Span
from robot_recorder.episodes.labelling import LabelledEpisode, look_up
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.labels import LabelEvent, LabelKind
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.msg import EpisodeStatus
from robot_recorder.nodes.conversions import to_ns


@dataclass(frozen=True)
class LabelTarget:
    """The episode to label.

    Attributes:
        now: its current state.
        which: how it was found, such as "running"; empty: by its id.
    """

    now: LabelledEpisode
    which: str = ""

    def __str__(self) -> str:
        """Return its id and how it was found."""
        return f"{self.now.id} ({self.which})" if self.which else self.now.id


def find_target(status: EpisodeStatus, episode_id: str) -> LabelTarget | Answer:
    """Return the episode of an id; without one the running episode, or else the last one on disk.

    Args:
        status: the latest status of the recorder.
        episode_id: empty: not given.
    """
    store, which = EpisodeStore(Path(status.root)), ""
    if not episode_id:
        running = status.state == EpisodeStatus.STATE_RECORDING
        episode_id, which = status.episode_id, "running" if running else "the last one"
    if not episode_id:  # nothing recorded since the recorder was started
        newest = store.newest(status.robot)
        if newest is None:
            return Answer(False, "there is no episode yet: start one, or give an episode_id")
        episode_id, which = newest.name.removesuffix(PARTIAL), "the last one on disk"
    try:
        now = look_up(store, episode_id)
    except BagError as error:
        return Answer(False, str(error))
    if not now.facts and episode_id == status.episode_id:
        now = _just_begun(status)
    return LabelTarget(now, which)


def _just_begun(status: EpisodeStatus) -> LabelledEpisode:
    """Return an episode that has no note on disk yet, from the recorder's status."""
    start_ns = to_ns(status.start)
    task = LabelEvent(
        start_ns, status.episode_id, LabelKind.TASK, task=status.task,
        instruction=status.instruction, operator_name=status.operator_name,
    )  # fmt: skip
    span = Span(start_ns, start_ns - round(status.pre_roll_s * NS_PER_S))
    return LabelledEpisode(status.episode_id, {}, (task,), span)
