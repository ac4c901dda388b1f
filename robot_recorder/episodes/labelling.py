"""An episode as who labels it sees it: running, being finalised, or finished long ago."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robot_recorder.configuration.tasks import Task, TaskRegistry, parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import Labelling, Span, admit
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.ids import PARTIAL, checked_id
from robot_recorder.model.labels import LabelEvent, Labels, fold, load_events
from robot_recorder.model.streams import NS_PER_S


@dataclass(frozen=True)
class Labelled:
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
    def of(cls, episode: Episode) -> Labelled:
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

    def admit(
        self, asked: LabelEvent, registry: TaskRegistry, now_ns: int, registry_rules: bool = False
    ) -> LabelEvent | Answer:
        """What becomes of a label for this episode, see ``core.label_rules.admit``; or why it is not taken."""

        def task(id: str) -> Task | None:
            return self.task(registry, id, registry_rules)

        into = Labelling(self.events, self.span, task, registry, now_ns)
        return admit(replace(asked, episode_id=self.id), into)


def look_up(store: EpisodeStore, id: str) -> Labelled:
    """An episode of a store, whatever its state.

    Raises:
        BagError: there is none, or its facts are not what they should be.
    """
    partial = store.root / f"{checked_id(id)}{PARTIAL}"
    if partial in store.unfinished():
        facts = store.read_note(partial).facts
        if partial.exists():
            return _running(id, facts)
    return Labelled.of(Episode.open(store.find(id)))  # it may have been finalised just now


def _running(id: str, facts: dict[str, str]) -> Labelled:
    try:
        start_ns = int(facts.get("start_ns", 0))
        pre_roll_ns = round(float(facts.get("pre_roll_s", 0)) * NS_PER_S)
        stop_ns = int(facts["stop_ns"]) if "stop_ns" in facts else None
        events = tuple(load_events(facts.get("labels", "")))
    except (ValueError, TypeError) as error:
        raise BagError(f"what is noted about {id} can not be read: {error}") from error
    return Labelled(id, facts, events, Span(start_ns, start_ns - pre_roll_ns, stop_ns))
