"""What becomes of labels: the one decision, for the node, the command line and every other way in.

An episode may be running, being finalised, or finished long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from robot_recorder.configuration.tasks import Task, TaskRegistry, parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import LabelContext, Span, admit
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.ids import PARTIAL, checked_id
from robot_recorder.model.labels import (
    LabelEvent,
    LabelKind,
    Labels,
    appended,
    fold,
    load_events,
    outcome_text,
)
from robot_recorder.model.streams import NS_PER_S


@dataclass(frozen=True)
class LabelledEpisode:
    """What is known about an episode that is to be labelled, or was.

    Attributes:
        facts: its custom_data so far; empty in its first half second.
        events: its label log so far.
        span: when it took place.
    """

    id: str
    facts: dict[str, str]
    events: tuple[LabelEvent, ...]
    span: Span

    @classmethod
    def of(cls, episode: Episode) -> LabelledEpisode:
        """A finished episode.

        Raises:
            BagError: its facts are not what they should be.
        """
        return cls(episode.id, episode.facts, tuple(episode.events), episode.span)

    @property
    def labels(self) -> Labels:
        """What holds now."""
        return fold(self.events)

    def task(
        self, registry: TaskRegistry, task_id: str = "", registry_rules: bool = False
    ) -> Task | None:
        """The task it demonstrates, or the one named: as it stood in the registry when it was recorded,
        or else as it stands in ``registry``; None: unknown to both.

        Args:
            registry_rules: ``registry`` comes first.
        """
        task_id = task_id or self.labels.task
        try:
            own = parse_tasks(self.facts.get("task_yaml", "tasks: {}")).tasks
        except ConfigError:  # of a newer version
            own = {}
        known = (registry.tasks, own) if registry_rules else (own, registry.tasks)
        return known[0].get(task_id) or known[1].get(task_id)


def decide(
    asked: Iterable[LabelEvent],
    now: LabelledEpisode,
    registry: TaskRegistry,
    now_ns: int,
    registry_rules: bool = False,
) -> list[LabelEvent]:
    """Return the events to append to an episode's log for the labels that were asked for: all or none.

    Args:
        asked: in the order of the log; each is decided with those before it in the log.
        registry: of tasks; see ``LabelledEpisode.task``.
        now_ns: robot clock.

    Raises:
        ConfigError: why a label is not taken.
    """
    before = len(now.events)
    for one in asked:

        def task(id: str, now: LabelledEpisode = now) -> Task | None:
            return now.task(registry, id, registry_rules)

        context = LabelContext(now.events, now.span, task, registry, now_ns)
        taken = admit(replace(one, episode_id=now.id), context)
        if isinstance(taken, Answer):
            raise ConfigError(taken.reason)
        now = replace(now, events=tuple(appended(now.events, taken)))
    return list(now.events[before:])


def label_finished(
    store: EpisodeStore,
    path: Path,
    asked: Callable[[LabelledEpisode], Iterable[LabelEvent]],
    registry: TaskRegistry,
    now_ns: int,
    registry_rules: bool = False,
) -> tuple[LabelledEpisode, list[LabelEvent]]:
    """Label a finished episode; nobody else changes it meanwhile.

    Args:
        asked: returns the labels for the episode as it stands.

    Returns:
        The episode as it stands then, and the events that were appended.

    Raises:
        BagError: the episode or the disk does not take it; nothing has changed.
        ConfigError: why a label is not taken; nothing has changed.
    """
    taken: list[LabelEvent] = []

    def events(episode: Episode) -> list[LabelEvent]:
        now = LabelledEpisode.of(episode)
        taken[:] = decide(asked(now), now, registry, now_ns, registry_rules)
        return taken

    return LabelledEpisode.of(store.append_labels(path, events)), taken


def describe(event: LabelEvent, now: LabelledEpisode) -> str:
    """Return an event of an episode's log in a few words."""
    if event.kind is LabelKind.TASK:
        by = f", operator {event.operator_name}" if event.operator_name else ""
        return f"task {event.task or 'none'}{by}"
    if event.kind is LabelKind.OUTCOME:
        return outcome_text(event.outcome, event.cause)
    where = f"{event.name} {now.span.text(event.start_ns, event.end_ns)}"
    return f"withdrawn: {where}" if event.kind is LabelKind.RETRACTION else where


def look_up(store: EpisodeStore, id: str) -> LabelledEpisode:
    """An episode of a store, whatever its state.

    Raises:
        BagError: there is none, or its facts are not what they should be.
    """
    partial = store.root / f"{checked_id(id)}{PARTIAL}"
    if partial in store.unfinished():
        facts = store.read_note(partial).facts
        if partial.exists():
            return _running(id, facts)
    return LabelledEpisode.of(Episode.open(store.find(id)))  # it may have been finalised just now


def _running(id: str, facts: dict[str, str]) -> LabelledEpisode:
    try:
        start_ns = int(facts.get("start_ns", 0))
        pre_roll_ns = round(float(facts.get("pre_roll_s", 0)) * NS_PER_S)
        stop_ns = int(facts["stop_ns"]) if "stop_ns" in facts else None
        events = tuple(load_events(facts.get("labels", "")))
    except (ValueError, TypeError) as error:
        raise BagError(f"what is noted about {id} can not be read: {error}") from error
    return LabelledEpisode(id, facts, events, Span(start_ns, start_ns - pre_roll_ns, stop_ns))
