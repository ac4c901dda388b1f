"""Lay out a dataset: number its episodes and frames, and share them out to shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from robot_recorder.dataset.schema import (
    DatasetEpisode,
    Runs,
    Schema,
    ShardSpec,
    SourceFacts,
    sentences_of,
)


@dataclass(frozen=True)
class LaidOut:
    """A source as part of a dataset.

    Attributes:
        key: name of its folder of aligned frames.
        facts: what is known of it.
        content: SHA-256 of its data files.
        bytes: their size.
        episodes: frames of each episode that it becomes.
        split: train, val or test.
        counted: numbers of its frames and pictures that were left out, by reason.
    """

    key: str
    facts: SourceFacts
    content: str
    bytes: int
    episodes: tuple[Runs, ...]
    split: str
    counted: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> LaidOut:
        """Read what ``asdict`` made plain."""
        episodes = tuple(tuple((a, b) for a, b in runs) for runs in plain["episodes"])
        return cls(
            plain["key"], SourceFacts.from_dict(plain["facts"]), plain["content"], plain["bytes"],
            episodes, plain["split"], plain["counted"],
        )  # fmt: skip


def grouped(sources: Sequence[LaidOut], most_bytes: int) -> list[tuple[LaidOut, ...]]:
    """Share out sources to shards of about the same size, at most ``most_bytes`` if they fit.

    It depends on nothing but the sources, so that every run gives the same shards.
    """
    total = sum(s.bytes for s in sources)
    count = max(1, min(len(sources), -(-total // most_bytes)))
    groups: list[list[LaidOut]] = [[] for _ in range(count)]
    before = 0
    for source in sources:
        middle = before + source.bytes / 2
        groups[min(count - 1, int(middle * count / total)) if total else 0].append(source)
        before += source.bytes
    return [tuple(group) for group in groups if group]


def numbered(
    groups: Mapping[int, Sequence[LaidOut]],
    schema: Schema,
    sentences: Iterable[str] = (),
    subtasks: Iterable[str] = (),
) -> list[ShardSpec]:
    """Number the episodes and frames of all shards.

    Args:
        groups: sources by number of the shard, in order.
        schema: of the dataset.
        sentences, subtasks: those of an earlier state of the dataset, which keep their numbers.
    """
    shards, index, frame = [], 0, 0
    for number, sources in groups.items():
        episodes = []
        for source in sources:
            for piece, runs in enumerate(source.episodes):
                episode = DatasetEpisode(
                    index, frame, source.facts, source.split, source.content, piece, runs
                )
                episodes.append(episode)
                index, frame = index + 1, frame + episode.length
        shards.append(ShardSpec(number, tuple(episodes), schema))
    every = [e for shard in shards for e in shard.episodes]
    all_sentences = tuple(dict.fromkeys((*sentences, *sentences_of(every))))
    names = (a[0] for e in every for a in e.facts.annotations)
    all_subtasks = tuple(dict.fromkeys((*subtasks, *names)))
    if all_subtasks and all_subtasks[0]:
        all_subtasks = ("", *all_subtasks)  # number 0: no subtask
    return [replace(s, sentences=all_sentences, subtasks=all_subtasks) for s in shards]
