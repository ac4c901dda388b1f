"""What a dataset's own files do not say: names and units of columns, and facts of episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.configuration.version import software_version
from robot_recorder.dataset.schema import DatasetEpisode, Schema, ShardSpec

ABOUT, EPISODES = "dataset.json", "episodes.jsonl"


def write_about(
    folder: Path, shards: Sequence[ShardSpec], file_of: Callable[[ShardSpec, DatasetEpisode], str]
) -> list[str]:
    """Write the description of a dataset and the list of its episodes; return their paths.

    Args:
        folder: of the dataset.
        shards: in order.
        file_of: path of the file that holds an episode.
    """
    dump_json(folder / ABOUT, described(shards[0].schema))
    with open(folder / EPISODES, "w", encoding="utf-8") as lines:
        for shard in shards:
            for episode in shard.episodes:
                line = {
                    "episode": episode.index,
                    "file": file_of(shard, episode),
                    "first_frame": episode.first_frame,
                    **episode_facts(episode),
                }
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
    return [ABOUT, EPISODES]


def described(schema: Schema) -> dict[str, Any]:
    """Return frame clock, cameras and columns of a dataset, with names and units, for JSON."""
    return {
        "robot": schema.robot, "rate_hz": schema.rate_hz, "reference": schema.reference or None,
        "streams": list(schema.streams), "exporter_version": software_version(),
        "features": [_plain(f) for f in (*schema.cameras, *schema.columns)],
    }  # fmt: skip


def _plain(feature: Any) -> dict[str, Any]:
    return {**asdict(feature), "kind": feature.kind.value}


def episode_facts(episode: DatasetEpisode) -> dict[str, Any]:
    """Return what is known of an episode whatever its number, for JSON; None: unknown."""
    facts = episode.facts
    return {
        "frames": episode.length,
        "instruction": facts.sentence,
        **source_columns(episode),
        "annotations": [list(a) for a in facts.annotations],
    }


def source_columns(episode: DatasetEpisode) -> dict[str, Any]:
    """Return what is known of an episode's source, by column name; None: unknown."""
    facts = episode.facts
    known = {
        "task": facts.task, "outcome": facts.outcome, "cause": facts.cause,
        "verdict": facts.verdict, "verdict_reason": facts.reason, "operator": facts.operator,
        "robot": facts.robot, "split": episode.split, "source_id": facts.id,
        "source_sha256": episode.content, "recorder_version": facts.recorder,
    }  # fmt: skip
    return {
        **{name: value or None for name, value in known.items()},
        "exporter_version": software_version(),
        "source_start_ns": facts.start_ns or None,
        "source_piece": episode.piece,
        "source_from_frame": episode.runs[0][0],
    }


def subtasks_of(episode: DatasetEpisode, times_s: np.ndarray) -> list[str]:
    """Return the name of the last annotation that began at each frame and has not ended; or ''.

    Args:
        episode: whose annotations.
        times_s: float64[n], ticks since the start of the source, s.
    """
    found = [""] * len(times_s)
    for name, start, end in sorted(episode.facts.annotations, key=lambda a: a[1]):
        for at in np.flatnonzero((times_s >= start) & (times_s <= end)).tolist():
            found[at] = name
    return found


def dump_json(path: Path, plain: Any, indent: int = 2) -> None:
    """Write JSON for people to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def by_split(episodes: Iterable[DatasetEpisode]) -> dict[str, list[DatasetEpisode]]:
    """Return episodes by split, in order."""
    found: dict[str, list[DatasetEpisode]] = {}
    for episode in episodes:
        found.setdefault(episode.split, []).append(episode)
    return found
