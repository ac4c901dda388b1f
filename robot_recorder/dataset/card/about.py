"""Everything that a card tells of, and its largest figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from robot_recorder.dataset.card.blocks import UNKNOWN, SampleClip, clean, duration, few_words
from robot_recorder.dataset.card.sync import StreamFacts, SyncSummary
from robot_recorder.dataset.lock import DatasetLock
from robot_recorder.dataset.schema import DatasetEpisode, Feature, Schema
from robot_recorder.model.labels import Outcome
from robot_recorder.model.text import plural

OUTCOMES = (Outcome.SUCCESS.text, Outcome.FAILURE.text, Outcome.UNLABELLED.text)


@dataclass(frozen=True)
class CardOptions:
    """What a card says beyond what the dataset knows.

    Attributes:
        license: name of the licence, such as ``cc-by-4.0``; empty: unknown.
        show_operators: whether operators are named, as the dataset names them; else only counted.
        title: of the card; empty: the robots and the tasks.
        loading: lines of Python that load the dataset; empty: they follow from its files.
    """

    license: str = ""
    show_operators: bool = True
    title: str = ""
    loading: str = ""


@dataclass(frozen=True)
class About:
    """Everything that a card tells of."""

    lock: DatasetLock
    episodes: tuple[DatasetEpisode, ...]
    summaries: Mapping[int, SyncSummary]
    options: CardOptions
    samples: tuple[SampleClip, ...]

    @property
    def title(self) -> str:
        """Return what is asked for; else the robots and the tasks."""
        tasks = [task or sentence for task, sentence, _ in self.tasks]
        found = f"{self.robots}: {few_words(tasks, 'task')}"
        return clean(self.options.title or found)

    @property
    def robots(self) -> str:
        """Return the names of the robots, or how many they are."""
        return few_words((e.facts.robot for e in self.episodes), "robot")

    @property
    def schema(self) -> Schema:
        return self.lock.schema

    @property
    def frames(self) -> int:
        return sum(e.length for e in self.episodes)

    @property
    def format(self) -> str:
        return str(self.lock.settings.get("format", UNKNOWN))

    def length(self, episodes: Iterable[DatasetEpisode]) -> str:
        """Return the time that some episodes take, with its unit."""
        return duration(sum(e.length for e in episodes) / self.schema.rate_hz)

    @cached_property
    def tasks(self) -> list[tuple[str, str, list[DatasetEpisode]]]:
        """Return task, instruction and episodes of every task, the most frequent first."""
        found: dict[tuple[str, str], list[DatasetEpisode]] = {}
        for episode in self.episodes:
            key = episode.facts.task, episode.facts.instruction
            found.setdefault(key, []).append(episode)
        groups = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
        return [(task, sentence, episodes) for (task, sentence), episodes in groups]

    @cached_property
    def streams(self) -> dict[str, StreamFacts]:
        """Return what is known of every stream, by name."""
        summaries = [s for e in self.episodes if (s := self.summaries.get(e.index)) is not None]
        return {name: StreamFacts.of(name, summaries) for name in self.schema.streams}


def outcomes_of(episodes: Iterable[DatasetEpisode]) -> tuple[int, int, int]:
    """Return the numbers of successes, failures, and episodes that are neither."""
    found = Counter(e.facts.outcome for e in episodes)
    success, failure = found[OUTCOMES[0]], found[OUTCOMES[1]]
    return success, failure, found.total() - success - failure


def success_rate(success: int, failure: int) -> str:
    """Return the share of successes in what is labelled."""
    return f"{100 * success / (success + failure):.0f} %" if success + failure else UNKNOWN


def figures_of(about: About) -> list[tuple[str, str]]:
    """Return the largest figures, by name."""
    success, failure, _ = outcomes_of(about.episodes)
    counts = {"episode": len(about.episodes), "frame": about.frames, "task": len(about.tasks)}
    episodes, frames, tasks = (plural(n, what).split()[::-1] for what, n in counts.items())
    return [
        (episodes[0], episodes[1]), (frames[0], frames[1]),
        ("length", about.length(about.episodes)), (tasks[0], tasks[1]),
        ("frames a second", f"{about.schema.rate_hz:g}"),
        ("success rate", success_rate(success, failure)),
    ]  # fmt: skip


def lead(about: About) -> str:
    """Return what a dataset is, in two sentences."""
    robot = "an unknown robot" if about.robots == UNKNOWN else about.robots
    return (
        f"{plural(len(about.episodes), 'episode')} of {robot}, {about.length(about.episodes)} or "
        f"{plural(about.frames, 'frame')}, aligned by robot_recorder. Every frame says how far "
        "each stream was from it, and whether it was held or missing."
    )


def is_lerobot(about: About) -> bool:
    """Return whether LeRobot reads it."""
    return about.format.startswith("lerobot")


def video_of(about: About, feature: Feature) -> str:
    """Return the codec of a camera's videos, as ``VideoFile`` takes it; empty: it has none."""
    names = (n for n in about.lock.files if n.endswith(".mp4"))
    return about.lock.codecs.get(feature.name, "") if any(feature.name in n for n in names) else ""
