"""Label an episode that is running, being finalised, or finished.

The nodes, the command line and the console all decide about labels here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from robot_recorder.configuration.tasks import Task, TaskRegistry, parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import MOST_LABELS, LabelContext, Span, admit
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.ids import PARTIAL, checked_id
from robot_recorder.model.labels import (
    TAKE,
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
    """The part of an episode that labels depend on.

    Attributes:
        id: its id.
        facts: its custom_data so far; empty in its first half second.
        events: its label log so far.
        span: its begin and end.
    """

    id: str
    facts: dict[str, str]
    events: tuple[LabelEvent, ...]
    span: Span

    @classmethod
    def of(cls, episode: Episode) -> LabelledEpisode:
        """Read it from a finished episode.

        Raises:
            BagError: its facts are invalid.
        """
        return cls(episode.id, episode.facts, tuple(episode.events), episode.span)

    @property
    def labels(self) -> Labels:
        """Return the labels that are valid now."""
        return fold(self.events)

    def task(
        self, registry: TaskRegistry, task_id: str = "", registry_rules: bool = False
    ) -> Task | None:
        """Return a task as it was when the episode was recorded, else as it is in ``registry``.

        Args:
            registry: the current tasks.
            task_id: empty: the task of the episode.
            registry_rules: look in ``registry`` first.

        Returns:
            None: neither knows the task.
        """
        task_id = task_id or self.labels.task
        try:
            own = parse_tasks(self.facts.get("task_yaml", "tasks: {}")).tasks
        except ConfigError:  # written by a newer version
            own = {}
        known = (registry.tasks, own) if registry_rules else (own, registry.tasks)
        return known[0].get(task_id) or known[1].get(task_id)


def decide(
    asked: Iterable[LabelEvent],
    now: LabelledEpisode,
    registry: TaskRegistry,
    now_ns: int,
    registry_rules: bool = False,
    most: int = MOST_LABELS,
) -> list[LabelEvent]:
    """Return the events to append to an episode's log for the labels asked for: all or none.

    Args:
        asked: labels in the order of the log; each is checked against the log with those before.
        now: the episode.
        registry: tasks, used as by ``LabelledEpisode.task``.
        now_ns: current time, robot clock.
        registry_rules: look up tasks in ``registry`` first.
        most: labels that the log may have.

    Raises:
        ConfigError: a label is rejected; the message says why.
    """
    before = len(now.events)
    for one in asked:

        def task(id: str, now: LabelledEpisode = now) -> Task | None:
            return now.task(registry, id, registry_rules)

        context = LabelContext(now.events, now.span, task, registry, now_ns, most)
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
    """Label a finished episode while its lock is held.

    Args:
        store: the episode's store.
        path: the episode's directory.
        asked: returns the labels to append, given the episode's current state.
        registry: tasks, used as by ``LabelledEpisode.task``.
        now_ns: current time, robot clock.
        registry_rules: look up tasks in ``registry`` first.

    Returns:
        The labelled episode, and the events that were appended.

    Raises:
        BagError: the episode is invalid or the disk fails; nothing has changed.
        ConfigError: a label is rejected; nothing has changed.
    """
    taken: list[LabelEvent] = []

    def events(episode: Episode) -> list[LabelEvent]:
        now = LabelledEpisode.of(episode)
        taken[:] = decide(asked(now), now, registry, now_ns, registry_rules)
        return taken

    return LabelledEpisode.of(store.append_labels(path, events)), taken


def describe(event: LabelEvent, now: LabelledEpisode) -> str:
    """Describe an event of an episode's log in a few words."""
    if event.kind is LabelKind.TASK:
        by = f", operator {event.operator_name}" if event.operator_name else ""
        return f"task {event.task or 'none'}{by}"
    if event.kind is LabelKind.OUTCOME:
        return outcome_text(event.outcome, event.cause)
    where = f"{event.name} {now.span.text(event.start_ns, event.end_ns)}"
    if event.kind is LabelKind.ANNOTATION and event.name == TAKE:
        own = f"task {event.task}" if event.task else ""
        judged = outcome_text(event.outcome, event.cause) if event.outcome else ""
        return ", ".join(filter(None, (where, own, judged)))
    return f"withdrawn: {where}" if event.kind is LabelKind.RETRACTION else where


def look_up(store: EpisodeStore, id: str) -> LabelledEpisode:
    """Return an episode of a store, running or finished.

    Raises:
        BagError: it does not exist, or its facts are invalid.
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
        raise BagError(f"the notes about {id} cannot be read: {error}") from error
    return LabelledEpisode(id, facts, events, Span(start_ns, start_ns - pre_roll_ns, stop_ns))
